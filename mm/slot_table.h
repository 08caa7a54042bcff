/* SPDX-License-Identifier: MIT */
/*
 * The published slot table, inside mm/: two buffers, one in force and one to build the next in.
 *
 *	seq = 6                buffer 0: version 6, in force
 *	                       buffer 1: version 5, stale; 7 will be built here
 *
 * Writers hold the MMU lock. Readers need no lock: they search the buffer that seq names and believe the answer only
 * if seq is still the same afterwards, for then nobody has begun to write into what they read.
 */
#pragma once

#include "mm/backing.h"

#define SLOTS_MAX 80

struct dirty_log;

struct slot {
	uint64_t base; /* gfn */
	uint64_t pages;
	uint64_t backing_page;
	struct backing *backing;
	struct dirty_log *log; /* if SLOT_DIRTY_LOG */
	uint32_t flags;
	uint32_t id;
};
_Static_assert(sizeof(struct slot) % 8 == 0, "slots are copied by words");

struct slot_table {
	uint32_t n;
	uint32_t hint;		  /* the slot found last; checked before it is believed */
	struct slot s[SLOTS_MAX]; /* sorted by base */
};
_Static_assert(sizeof(struct slot_table) <= 4096, "one frame");

struct slots {
	uint64_t seq; /* version in force; what MMIO entries carry the low bits of */
	struct slot_table *buf[2];
	uint64_t pages; /* of all slots together */
};

int slots_init(struct mmu *mmu);
void slots_fini(struct mmu *mmu);

/* The slot that holds gfn, or NULL. MMU lock held; valid until it is dropped. */
const struct slot *slots_find_locked(const struct mmu *mmu, gfn_t at);
/* The same without the lock: false, or true and a copy. */
bool slots_find(const struct mmu *mmu, gfn_t at, struct slot *out);
/* By its id, or NULL. MMU lock held; valid until it is dropped. */
const struct slot *slots_by_id(const struct mmu *mmu, slot_id id);
/* The gap around a gfn that no slot holds: [*first, *end). MMU lock held. */
void slots_gap(const struct mmu *mmu, gfn_t at, uint64_t *first, uint64_t *end);

/* ---- for slots_change.c ---- */
struct slot_table *slots_in_force(const struct mmu *mmu);
/* Word by word, since a reader without the lock may be reading what is being written; he will not believe it. */
void slot_copy(struct slot *to, const struct slot *from);
/* The number of slots that begin at or before gfn, of the first n. (A torn read must not run away: n bounds it.) */
uint32_t slots_below(const struct slot_table *t, uint32_t n, uint64_t gfn);
