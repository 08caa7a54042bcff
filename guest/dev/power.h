/* SPDX-License-Identifier: MIT */
/* The way from a device to the end of its VM: power off, reset, debug exit. */
#pragma once

#include "guest/dev/platform.h"

struct power {
	const struct vm_ops *ops;
	void *vm;
	bool ended; /* atomic */
};

/* Asks hv/ for the end of the VM. Any CPU, with any lock. Only the first reason counts; the guest may still run a
 * little until hv/ stops it. */
void power_end(struct power *w, enum vm_end why, uint32_t code);
