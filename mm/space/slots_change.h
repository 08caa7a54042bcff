/* SPDX-License-Identifier: MIT */
/*
 * Changing the guest-physical map while the guest runs.
 *
 * A change builds a new table of slots, publishes it and bumps the generation in one critical section of the MMU lock
 * (contract, rule 1). A change never waits.
 */
#pragma once

#include "mm/mmu/mmu.h"

/* Each returns at once. -E_EXIST: overlaps another slot; -E_RANGE: beyond the guest's
 * physical address width, wraps, or beyond the backing; -E_NOENT: no such slot; -E_NOMEM: too many slots.
 * Locks: take the MMU lock. */
int slot_add(struct mmu *mmu, const struct slot_desc *desc, slot_id *out);
int slot_delete(struct mmu *mmu, slot_id id, struct mmu_ticket *out);
int slot_move(struct mmu *mmu, slot_id id, gfn_t to, struct mmu_ticket *out);
int slot_set_flags(struct mmu *mmu, slot_id id, unsigned flags, struct mmu_ticket *out);
