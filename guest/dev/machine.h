/* SPDX-License-Identifier: MIT */
/*
 * The inside of `struct platform`: for the files that make a PC of its parts, write the tables that describe it, or stand between
 * it and hv/ (which uses platform.h). Devices see their board only (device.h).
 */
#pragma once

#include "guest/dev/devices.h"
#include "guest/dev/platform.h"
#include "guest/dev/vectors.h"
#include "lib/assert.h"
#include "lib/bits.h"
#include "mm/map/slots.h"

/* No field changes after creation but those of the parts, which have their own locks, and the counters. */
struct platform {
	const struct vm_ops *ops;
	void *vm;
	const char *name;
	struct mmu *mmu;
	unsigned vcpus;
	uint32_t cpu_signature, cpu_features; /* CPUID leaf 1: EAX, EDX */
	uint64_t pages;			      /* of this object */
	struct backing *bios;
	struct platform_stats stats;		     /* atomic */
	uint64_t irqs[CPUS_MAX];		     /* by vCPU; atomic */
	const struct bus_range *mmio_last[CPUS_MAX]; /* by vCPU: what bus_mmio() found */

	struct vclock clock;
	struct timer_queue timers[CPUS_MAX];
	struct interrupts interrupts;
	struct console console;
	struct power power;
	struct vectors vectors;
	struct device_settings settings;
	struct spinlock pci_lock;
	struct board board;
	struct devices devices;
	struct bus bus;
};

/* Bytes of a platform with the states of its devices. */
size_t platform_bytes(void);
/* As platform_create(), in an object of platform_bytes() that the caller has allocated (zeroed, aligned to 64). Returns
 * what that returns. platform_fini() gives back the memory that devices have taken. */
int platform_init(struct platform *p, const struct platform_params *params);
void platform_fini(struct platform *p);

/* pc.c: connects the lines between the devices. */
void pc_wire(struct platform *p);
