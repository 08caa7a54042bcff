/* SPDX-License-Identifier: MIT */
/* Records of guest frames. (What they are: mm/mmu/records.h.) */
#include "mm/mmu/records.h"

static role_t role(unsigned level)
{
	return (role_t){ ROLE_RECORDS | level };
}

/* The first gfn that the page with the word about `at` is about. */
static gfn_t first(gfn_t at, unsigned level)
{
	return (gfn_t){ align_down(at.v, level_pages(level + 1)) };
}

uint64_t *record_find(const struct mmu *mmu, gfn_t at, unsigned level)
{
	struct spage *p = hash_find(mmu, first(at, level), role(level));

	return p ? spage_table(p) + level_index(at.v, level) : NULL;
}

uint64_t *record_make(struct mmu *mmu, gfn_t at, unsigned level)
{
	uint64_t *record = record_find(mmu, at, level);
	struct spage *p;

	if (record)
		return record;
	p = spage_new(mmu, first(at, level), role(level), NULL);
	hash_add(mmu, p);
	return spage_table(p) + level_index(at.v, level);
}

void record_set(uint64_t *record, uint64_t v)
{
	struct spage *p = spage_of(hpa_to_pfn(virt_to_hpa(record)));

	/* Eviction takes pages that say nothing (evict.c). */
	p->children = (uint16_t)(p->children + (v != 0) - (*record != 0));
	p->flags |= SPAGE_REFERENCED;
	spte_set(p, record, v);
}

/* Adds `by` = 1 or -1 to the blocks of a word. Returns whether it has some now and had none, or the other way round. */
static bool add(uint64_t *record, int by)
{
	unsigned was = record_blocks(*record), is = was + (unsigned)by;

	ASSERT(is <= bits_get(RECORD_BLOCKS, 62, 48));
	record_set(record, (*record & ~RECORD_BLOCKS) | (uint64_t)is << 48);
	return !was != !is;
}

void record_track(struct mmu *mmu, gfn_t at)
{
	for (unsigned level = 1; level <= RECORD_LEVELS; level++)
		if (!add(record_make(mmu, at, level), 1))
			return;
}

void record_untrack(struct mmu *mmu, gfn_t at)
{
	uint64_t *record = record_find(mmu, at, 1);

	if (record_blocks(*record) == 1)
		record_set(record, *record & ~RECORD_UNSYNC);
	for (unsigned level = 1; level <= RECORD_LEVELS; level++)
		if (!add(record_find(mmu, at, level), -1))
			return;
}
