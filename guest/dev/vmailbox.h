/* SPDX-License-Identifier: MIT */
/*
 * The mailbox by which vCPUs start that cannot begin in real mode (ACPI 6.4, 5.2.12.19: Multiprocessor Wakeup Structure).
 *
 *	0	command: 0 none, 1 wake up; others are reserved
 *	4	APIC ID of the vCPU that is meant
 *	8	wakeup vector: physical address, at which the vCPU begins in 64-bit mode
 *	16	for the OS
 *	2048	for the firmware: zeros that do not change
 *
 * The specification has waiting CPUs read the command over and over. Here each store to the page exits, so that the vCPUs sleep
 * in hv/ meanwhile, and cost nothing. A command that is obeyed reads as 0 at once, which acknowledges it. Each vCPU obeys one;
 * a command to any other APIC ID stays as it is written, as no CPU obeys it.
 */
#pragma once

#include "guest/dev/device.h"
#include "lib/cpu_id.h"

#define VMAILBOX_COMMAND  0
#define VMAILBOX_APIC_ID  4
#define VMAILBOX_VECTOR	  8
#define VMAILBOX_FIRMWARE 2048 /* where the half begins that the OS cannot write to */
#define VMAILBOX_WAKEUP	  1

struct vmailbox {
	struct device dev;
	struct bus_range page;
	uint64_t waiting; /* vCPUs that have not started by it, a bit each */
	uint8_t os[VMAILBOX_FIRMWARE];
};
_Static_assert(CPUS_MAX <= 64, "a bit a vCPU");
