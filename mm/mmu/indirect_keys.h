/* SPDX-License-Identifier: MIT */
/*
 * The key of an entry of an indirect page: where it was noted (rule 10). Means something while the entry is not 0.
 *
 *	KEY_LINK		in the chain of the page that the entry's address leads to
 *	gfn << 12 | level	in the record of that gfn at that level
 */
#pragma once

#include "mm/mmu/internal.h"

#define KEY_LINK 0ull

static inline uint64_t key_leaf(gfn_t at, unsigned level)
{
	return at.v << PAGE_SHIFT | level;
}
static inline gfn_t key_gfn(uint64_t key)
{
	return (gfn_t){ key >> PAGE_SHIFT };
}
static inline unsigned key_level(uint64_t key)
{
	return (unsigned)(key & 7);
}

/* As indirect_clear(), for an entry wherever it is. */
bool indirect_clear_entry(struct mmu *mmu, uint64_t *entry);
