/* SPDX-License-Identifier: MIT */
/* Grace periods: when may freed tables and guest RAM be reused? (How that is known: mm/mmu/grace.c.) No lock is needed. */
#pragma once

#include "mm/mmu/mmu.h"

/* True if no vCPU is in the guest on a generation below `gen`. */
bool mmu_quiescent_below(struct mmu *mmu, uint64_t gen);
/* Pages of generations below gen can be freed, and pages evicted in flush epochs up to `epoch`. */
struct horizon {
	uint64_t gen, epoch;
};
struct horizon mmu_horizon(struct mmu *mmu);
/* True if no vCPU is in the guest that entered it before flush epoch `epoch`. */
bool mmu_flushed(struct mmu *mmu, uint64_t epoch);
/* Returns a new host epoch, for the ticket of a removal that was just published. */
uint64_t mmu_host_epoch_next(void);
