/* SPDX-License-Identifier: MIT */
/* How large a leaf may be: as the slot, its backing and the host's memory types allow. */
#pragma once

#include "mm/host/mtrr.h"
#include "mm/map/backing.h"
#include "mm/map/slot_table.h"
#include "mm/mmu/internal.h"

/* Rule 15: a guest that fetches through a large leaf while it is taken apart can lock up a CPU with the iTLB
 * multihit erratum. */
static inline bool leaf_large_exec(const struct mmu *mmu)
{
	return mmu->caps.pschange_mc_no || MUTANT(exec_large);
}

/* The memory type of a leaf around frame p, -1 if there is no single one. */
static inline int leaf_type(const struct backing_run *r, uint64_t p, unsigned level)
{
	return r->memtype >= 0 ? r->memtype
			       : mtrr_type(pfn_to_hpa(pfn(align_down(p, level_pages(level)))),
					 level_pages(level) * PAGE_SIZE);
}

/* The highest level, at most `most`, of a leaf for gfn, which is page `page` of the backing of s, in run r, at frame `to`. */
static inline unsigned leaf_level(const struct slot *s, const struct backing_run *r, uint64_t gfn,
	uint64_t page, uint64_t to, unsigned most)
{
	unsigned level = 1;

	for (unsigned l = 2; l <= most; l++) {
		uint64_t n = level_pages(l), before = gfn & (n - 1);

		if (((gfn ^ to) & (n - 1)) || gfn - before < s->base ||
			gfn - before + n > s->base + s->pages || page - r->first < before ||
			page - before + n > r->first + r->pages || leaf_type(r, to, l) < 0)
			break;
		level = l;
	}
	return level;
}
