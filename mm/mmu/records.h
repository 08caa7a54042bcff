/* SPDX-License-Identifier: MIT */
/*
 * Records: what the MMU has noted about guest frames. A word for each frame (level 1), and one for each region of 2 MiB
 * (2) and 1 GiB (3) that a large leaf could map:
 *
 *	 63  62    48 47                         0
 *	+---+--------+-----------------------------+
 *	| u | blocks | chain of the leaves of this |	(chain.h)
 *	|   |        | level that map it	   |
 *	+---+--------+-----------------------------+
 *
 *	u	level 1: the guest may write to it though it is a table: the pages made from it are unsynchronised (indirect_sync.c)
 *	blocks	level 1: indirect pages made from this frame: it is a table of the guest's, its leaves are write-protected
 *		above: words of the level below with blocks: no large leaf may map the region
 *
 * 512 words are a page, found by the hash, which is born and reclaimed with its generation like a table. So the
 * generation of that page is the stamp of its records: after a bump no record is found, and all that they said is
 * forgotten without a visit (rule 7). What blocks large leaves for ever (edges of slots, memory types) is not noted here
 * but computed.
 *
 * A guest frame is a gfn. Memory that repeats (backing_repeat) is at several, each with a record of its own: what is
 * stored through one of them into a table that is used by another goes unnoticed. The guest then goes on with what the
 * table said before, which is memory of its own all the same.
 */
#pragma once

#include "mm/mmu/internal.h"

#define RECORD_UNSYNC BIT(63)
#define RECORD_BLOCKS BITS(62, 48)
#define RECORD_LEVELS 3u

/* All with the MMU lock held. */

/* The word about gfn at a level, or NULL: nothing is noted. */
uint64_t *record_find(const struct mmu *mmu, gfn_t at, unsigned level);
/* The same, made if it is not there: takes up to one page of the pool. */
uint64_t *record_make(struct mmu *mmu, gfn_t at, unsigned level);
void record_set(uint64_t *record, uint64_t v);
static inline uint64_t record_get(const uint64_t *record)
{
	return record ? *record : 0;
}
static inline unsigned record_blocks(uint64_t v)
{
	return (unsigned)bits_get(v, 62, 48);
}
/* One more indirect page is made from gfn, or one less. Takes up to RECORD_LEVELS pages of the pool. */
void record_track(struct mmu *mmu, gfn_t at);
void record_untrack(struct mmu *mmu, gfn_t at);
