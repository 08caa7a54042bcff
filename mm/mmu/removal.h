/* SPDX-License-Identifier: MIT */
/* A slot that goes, and what else follows a change of the slot table. The MMU lock is held. */
#pragma once

#include "mm/map/slot_table.h"
#include "mm/mmu/mmu.h"

struct mmu_removal_policy {
	uint8_t how;	 /* enum mmu_removal */
	uint8_t freeing; /* enum mmu_freeing */
};

/* After a change of the slot table was published, whose version was `before`: bumps if the low bits of the version, which MMIO
 * entries carry, have gone once around. */
void mmu_slots_published(struct mmu *mmu, uint64_t before);
/* Sets the limit of the pool after the size of guest memory. */
void mmu_slots_resized(struct mmu *mmu);
/* Takes away all that maps `old`, which the table in force does not hold any more (contract, rule 16). */
void mmu_remove(struct mmu *mmu, const struct slot *old, struct mmu_ticket *out);
