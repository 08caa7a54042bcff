/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls as guests make them: VMCALL at CPL 0 with a number in RAX; the result comes back in RAX, negative for errors
 * (enum err). Guests in assembly have these numbers by tools/numbers. A number that is not here is -E_NOSUP.
 *
 * A VMCALL in real mode at one of the traps of guest/dev/rom/vectors.asm is none of these, whatever RAX is.
 */
#pragma once

enum hypercall_number {
	HYPERCALL_NOTHING = 0,	 /* what a bare exit costs */
	HYPERCALL_STATISTIC = 2, /* of the guest's MMU; RBX: enum hypercall_statistic */
	HYPERCALL_COUNTER = 3,	 /* of a MEASURE=1 build (hv/vmx/measure.h); RBX: enum hypercall_counter */
};

/* As in struct mmu_stats. */
enum hypercall_statistic {
	STATISTIC_BUMPS,
	STATISTIC_BATCHES,
	STATISTIC_PAGES_FREED,
	STATISTIC_WAITING,
	STATISTIC_FAULTS,
	STATISTIC_PAGES_LIVE,
	STATISTIC_TABLES_BYTES,
	STATISTIC_BATCH_TICKS_MAX,
	STATISTIC_BATCH_PAGES_MAX,
	STATISTIC_FAULTS_SINCE_BUMP,
	STATISTIC_LOCK_TICKS_MAX,
	STATISTIC_TARGETED,
	STATISTIC_PAGES_LIVE_PEAK,
	STATISTIC_FLUSHES,
	STATISTIC_EVICTIONS,
	STATISTIC_KICKS,
};

enum hypercall_counter {
	COUNTER_VMACCESSES,  /* VMREADs and VMWRITEs */
	COUNTER_MSRACCESSES, /* RDMSRs and WRMSRs */
};
