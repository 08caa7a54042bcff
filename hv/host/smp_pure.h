/* SPDX-License-Identifier: MIT */
/*
 * Which CPUs of the MADT are started, and what follows from one that does not come. No hardware (hv/host/smp_pure.c),
 * so that tests can play a machine with ghosts: firmware that lists CPUs which are not there, or which no interrupt
 * reaches.
 */
#pragma once

#include "drivers/acpi/acpi.h"

enum smp_result {
	SMP_RUNS,
	SMP_SILENT,    /* it did not come, and waits for another SIPI: the next one can be started */
	SMP_STUCK,     /* it did not come, and may be on its way: no other may use the trampoline */
	SMP_NO_MEMORY, /* for its stacks */
};

enum smp_left_out {
	SMP_OUT_UNREACHABLE, /* an ID above 254 in xAPIC mode (SDM Vol. 3A 10.6.1) */
	SMP_OUT_SILENT,
	SMP_OUT_BEHIND_STUCK, /* those after one that is stuck */
	SMP_OUT_NO_MEMORY,
	SMP_OUT_TOO_MANY, /* CPUS_MAX run already */
};

struct smp_ops {
	/* Starts the CPU with this APIC ID as CPU `number`. */
	enum smp_result (*start)(void *ctx, unsigned number, uint32_t apic_id);
	/* It is left out. Told of each, in the order of the list. */
	void (*left_out)(void *ctx, uint32_t apic_id, enum smp_left_out why);
	void *ctx;
};

/* Starts all of list[0..n) but `self`, numbered from 1 on in this order. Returns how many CPUs run, this one included. */
unsigned smp_start_list(
	const struct acpi_cpu *list, unsigned n, uint32_t self, bool x2apic, const struct smp_ops *ops);
/* "cannot be reached in xAPIC mode" */
const char *smp_left_out_name(enum smp_left_out why);
