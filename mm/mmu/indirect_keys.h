/* SPDX-License-Identifier: MIT */
/*
 * The key of an entry of an indirect page: where it was noted (rule 10). Means something while the entry is not 0.
 *
 *	KEY_LINK		in the chain of the page that the entry's address leads to
 *	gfn << 12 | level	in the record of that gfn at that level
 *
 * In a page of level 1 the back end may put into bits 63:52 and 11:0 what it likes: all its entries are leaves of that level. Shadow
 * tables keep the guest's entry there, as it was when theirs was made (mm/shadow/sync.c).
 */
#pragma once

#include "mm/mmu/indirect.h"

#define KEY_LINK 0ull

static inline uint64_t key_leaf(gfn_t at, unsigned level)
{
	return at.v << PAGE_SHIFT | level;
}
static inline gfn_t key_gfn(uint64_t key)
{
	return (gfn_t){ (key & SPTE_ADDR) >> PAGE_SHIFT };
}
static inline bool key_is_link(const struct spage *p, uint64_t key)
{
	return role_level(p->role) > 1 && key == KEY_LINK;
}
/* Of a key that is none of a link. */
static inline unsigned key_level(const struct spage *p, uint64_t key)
{
	return role_level(p->role) == 1 ? 1 : (unsigned)(key & 7);
}

/* As indirect_clear(), for an entry wherever it is. */
bool indirect_clear_entry(struct mmu *mmu, uint64_t *entry);
