/* SPDX-License-Identifier: MIT */
/* A device: what device.c and copy.c share. */
#pragma once

#include "tests/threads/world.h"

#define PAUSE_US 60u

struct device {
	unsigned number, cpu;
	struct owner owner[VMS];
	uint64_t stores;
	/* The copy of a VM: for each page words [STAMP, STAMPED), and what lies around the ends of pages. */
	uint64_t copy[RAM_PAGES][STAMPED - STAMP];
	char edge[RAM_PAGES][LONG_BYTES];
};

/* A store into a place of vm; into RAM only of the VM that d copies. */
void device_store(struct device *d, struct vm *vm);
void device_store_long(struct device *d);
/* Until t is ready. */
void device_wait(const struct device *d, struct vm *vm, const struct mmu_ticket *t);
/* Copies the VM of d's number. */
void device_copy(struct device *d);
