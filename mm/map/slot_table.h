/* SPDX-License-Identifier: MIT */
/*
 * The published slot table, inside mm/: two buffers, one in force and one to build the next in.
 *
 *	seq = 6                buffer 0: version 6, in force
 *	                       buffer 1: version 5, stale; 7 will be built here
 *
 * Writers hold the MMU lock. Readers need no lock: they search the buffer that seq names and believe the answer only
 * if seq is still the same afterwards.
 *
 * A deletion copies nothing, so that it costs the same with 8 slots and with 500, also with cold caches: it stores 0 to the
 * slot's `pages`, one word of the buffer in force, and raises seq by 2, which keeps the buffer. The slot's place is left out
 * when the next version is built. A reader that meets the 0 before seq is raised answers as one that came a moment later.
 */
#pragma once

#include "mm/map/backing.h"

#define SLOTS_MAX 512

struct dirty_log;

struct slot {
	uint64_t base;	/* gfn */
	uint64_t pages; /* 0: deleted */
	uint64_t backing_page;
	struct backing *backing;
	struct dirty_log *log; /* if SLOT_DIRTY_LOG */
	uint32_t flags;
	uint32_t id;
} __aligned(64);
_Static_assert(sizeof(struct slot) == 64, "a deletion touches one line");

struct slot_table {
	uint32_t n;		  /* with those deleted */
	uint32_t hint;		  /* the slot found last; checked before it is believed */
	uint16_t at[SLOTS_MAX];	  /* where slot id is, if it is; for writers */
	struct slot s[SLOTS_MAX]; /* sorted by base */
};
#define SLOT_TABLE_FRAMES ((sizeof(struct slot_table) + PAGE_SIZE - 1) / PAGE_SIZE)

struct slots {
	uint64_t seq; /* version in force; what MMIO entries carry the low bits of */
	struct slot_table *buf[2];
	uint64_t pages; /* of all slots together */
	uint32_t count; /* slots, without those deleted */
	uint32_t free;	/* ids below are taken */
};

/* The tables of a VM are owner's. 0 or -E_NOMEM. */
int slots_init(struct slots *slots, owner_t owner);
/* The VM is gone, and no slot has a dirty log: gives back a table a call. True: none is left. */
bool slots_fini(struct slots *slots, owner_t owner);

/* The slot that holds gfn, or NULL. MMU lock held; valid until it is dropped. */
const struct slot *slots_find_locked(const struct slots *slots, gfn_t at);
/* The same without the lock: false, or true and a copy. */
bool slots_find(const struct slots *slots, gfn_t at, struct slot *out);
/* By its id, or NULL. MMU lock held; valid until it is dropped. */
struct slot *slots_by_id(const struct slots *slots, slot_id id);
/* The gap around a gfn that no slot holds: [*first, *end). MMU lock held. */
void slots_gap(const struct slots *slots, gfn_t at, uint64_t *first, uint64_t *end);

/* ---- for mm/space/slots_change.c ---- */
static inline struct slot_table *slots_buffer(const struct slots *s)
{
	return s->buf[s->seq & 1];
}
/* The number of slots that begin at or before gfn, of the first n. (A torn read must not run away: n bounds it.) */
uint32_t slots_below(const struct slot_table *t, uint32_t n, uint64_t gfn);
