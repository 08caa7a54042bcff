/* SPDX-License-Identifier: MIT */
/* Obsolete pages given back outside the batches of mmu_reclaim(). The MMU lock is held. */
#pragma once

#include "mm/mmu/page.h"

struct mmu_drain {
	uint32_t busy;	       /* the drainer's try-lock */
	struct spage *partial; /* the drainer's: half cleared, goes on with the next batch */
};

/* Puts up to n quiesced obsolete pages into the pool at once, to be cleared when they are taken. Returns how many. */
unsigned mmu_retire(struct mmu *mmu, unsigned n);
/* Frees everything that can be freed, now (MMU_FREE_EAGER). */
void mmu_reclaim_all(struct mmu *mmu);
