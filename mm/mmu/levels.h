/* SPDX-License-Identifier: MIT */
/*
 * The levels of tables that the CPU walks: the same for EPT (SDM Vol. 3C 28.3.2) and for 4-level, 5-level and PAE paging
 * (Vol. 3A 4.5). A table has 512 entries; one of level 1 maps a page of 4 KiB, one of level n + 1 what a table of level n maps.
 */
#pragma once

#include "lib/types.h"

#define ENTRIES	    512
#define LEVELS_MOST 5u

/* By how many bits a gfn is shifted at a level, 1 to LEVELS_MOST + 1. The mask costs nothing: the CPU's shifts apply it
 * anyway. */
static inline unsigned level_shift(unsigned level)
{
	return 9 * (level - 1) & 63;
}
/* Which entry of a table of this level is on the way to gfn. */
static inline unsigned level_index(uint64_t gfn, unsigned level)
{
	return gfn >> level_shift(level) & (ENTRIES - 1);
}
/* Pages of 4 KiB that an entry of this level maps. */
static inline uint64_t level_pages(unsigned level)
{
	return 1ull << level_shift(level);
}
