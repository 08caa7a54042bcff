/* SPDX-License-Identifier: MIT */
/* Indirect pages: taking their entries away. (What they are: mm/mmu/indirect.h.) */
#include "mm/mmu/indirect.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/mmu/records.h"

static struct spage *page_of(const uint64_t *entry)
{
	return spage_of(hpa_to_pfn(virt_to_hpa(entry)));
}

/* The record that a key of p names. Neighbours in a table are neighbours in memory as a rule: *last is the record found last, for
 * `was`. */
static uint64_t *record_of(
	const struct mmu *mmu, const struct spage *p, uint64_t key, uint64_t *was, uint64_t **last)
{
	int64_t step = (int64_t)(key_gfn(key).v - key_gfn(*was).v);

	if (!*last || role_level(p->role) != 1 || (key_gfn(key).v ^ key_gfn(*was).v) >> 9)
		*last = record_find(mmu, key_gfn(key), key_level(p, key));
	else
		*last += step;
	*was = key;
	return *last;
}

static bool clear_entry(struct mmu *mmu, struct spage *p, unsigned i, uint64_t *was, uint64_t **last)
{
	uint64_t *entry = &spage_table(p)[i], key = p->keys[i], e = atomic_load_relaxed(entry);

	if (!e)
		return false;
	/* What it would be if the guest mapped its memory one to one, as it so often does. */
	if (MUTANT(recomputed_rmap) && !key_is_link(p, key))
		key = key_leaf((gfn_t){ align_down(p->gfn.v, ENTRIES) + i }, key_level(p, key));
	if (key_is_link(p, key)) {
		struct spage *child = spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT));

		child->parents = chain_remove(mmu, child->parents, entry);
		p->children--;
	} else {
		uint64_t *record = record_of(mmu, p, key, was, last);

		ASSERT(record);
		record_set(record, chain_remove(mmu, *record, entry));
	}
	spte_set(p, entry, 0);
	mmu->pages.undone++;
	mmu->pages.ahead_epoch = mmu->front.flush_epoch + 1;
	return true;
}

bool indirect_clear(struct mmu *mmu, struct spage *p, unsigned i)
{
	uint64_t was = 0, *last = NULL;

	return clear_entry(mmu, p, i, &was, &last);
}

bool indirect_clear_entry(struct mmu *mmu, uint64_t *entry)
{
	return indirect_clear(mmu, page_of(entry), (unsigned)((uint64_t)entry % PAGE_SIZE / 8));
}

/* Those vCPUs that have p as their root, or keep it, let go of it before they go on. */
static void reload_from(struct mmu *mmu, const struct spage *p)
{
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = mmu->vcpu[i];
		bool has = v && v->root.page == p;

		for (unsigned k = 0; v && k < MMU_ROOTS_KEPT; k++)
			has |= v->kept[k].page == p;
		if (has)
			mmu_reload(v);
	}
}

/* What takes an entry off its chain takes as long as so many looks at entries without use. */
#define UNDONE_LOOKS 16u

bool indirect_detach(struct mmu *mmu, struct spage *p, unsigned *budget)
{
	uint64_t *table = spage_table(p), was = 0, *last = NULL;

	/* Of an older generation: what was noted is forgotten already (rule 7). */
	if (spage_obsolete(mmu, p))
		return true;
	for (; p->lo < p->hi; p->lo++) {
		uint64_t since = mmu->pages.undone;

		if (!*budget)
			return false;
		--*budget;
		if (!table[p->lo])
			continue;
		/* The blocks of its chain that were looked at for it count, too. */
		clear_entry(mmu, p, p->lo, &was, &last);
		*budget -= (unsigned)min((uint64_t)*budget, UNDONE_LOOKS * (mmu->pages.undone - since));
	}
	return true;
}

/* One entry of a chain that goes as a whole. */
static void drop_entry(uint64_t *entry, void *with)
{
	struct mmu *mmu = with;
	struct spage *p = page_of(entry);

	p->children -= key_is_link(p, p->keys[(uint64_t)entry % PAGE_SIZE / 8]);
	spte_set(p, entry, 0);
	mmu->pages.undone++;
}

void indirect_unlink(struct mmu *mmu, struct spage *p)
{
	if (!p->parents)
		return;
	chain_drain(mmu, p->parents, drop_entry, mmu);
	p->parents = 0;
	mmu->pages.ahead_epoch = mmu->front.flush_epoch + 1;
}

bool indirect_zap(struct mmu *mmu, struct spage *p)
{
	indirect_unlink(mmu, p);
	if (!(p->role.v & ROLE_DIRECT))
		record_untrack(mmu, p->gfn);
	spage_detach(mmu, p);
	/* The flush that the caller asks for is the next one. */
	if (p->pins) {
		mmu->pages.cut_epoch = mmu->front.flush_epoch + 1;
		reload_from(mmu, p);
	} else {
		spage_pend(mmu, p, mmu->front.flush_epoch + 1);
	}
	return true;
}

bool indirect_zap_frame(struct mmu *mmu, gfn_t at)
{
	bool flush = false;

	for (;;) {
		struct spage *p = indirect_first(mmu, at);

		if (!p)
			return flush;
		flush |= indirect_zap(mmu, p);
	}
}

/* All leaves of one record go. */
static bool zap_leaves(struct mmu *mmu, uint64_t *record)
{
	if (!chain_count(record_get(record)))
		return false;
	chain_drain(mmu, *record, drop_entry, mmu);
	record_set(record, *record & (RECORD_UNSYNC | RECORD_BLOCKS));
	mmu->pages.ahead_epoch = mmu->front.flush_epoch + 1;
	return true;
}

static void write_protect(uint64_t *entry, void *any)
{
	/* Atomic: the CPU may be setting A and D. */
	if (atomic_fetch_and(entry, ~SPTE_W) & SPTE_W)
		*(bool *)any = true;
}

bool indirect_protect_small(struct mmu *mmu, gfn_t at)
{
	bool flush = false;

	chain_each(record_get(record_find(mmu, at, 1)), write_protect, &flush);
	return flush;
}

bool indirect_write_protect(struct mmu *mmu, gfn_t at)
{
	bool flush = indirect_protect_small(mmu, at);

	/* Large ones go: what they map besides comes back in small pieces. */
	for (unsigned level = 2; level <= RECORD_LEVELS && !MUTANT(large_over_table); level++)
		flush |= zap_leaves(mmu, record_find(mmu, at, level));
	/* What went without a flush may have been a right to write to this frame. */
	return flush || (mmu->pages.ahead_epoch > mmu->front.flush_epoch && !MUTANT(ahead_forgotten));
}

unsigned indirect_rearm(struct mmu *mmu, gfn_t at, uint64_t bits)
{
	unsigned looked = 0;

	for (; bits; bits &= bits - 1) {
		gfn_t page = { at.v + bit_lowest(bits) };

		for (unsigned level = 1; level <= RECORD_LEVELS; level++)
			looked += 1 + chain_count(record_get(record_find(mmu, page, level)));
		indirect_write_protect(mmu, page);
	}
	return looked;
}

/* Goes through the records of [at, end): weighs what is to be done, or (`zap`) does it. False: more than `most`, or a
 * table of the guest's. */
static bool records_of(struct mmu *mmu, uint64_t at, uint64_t end, unsigned most, bool zap)
{
	unsigned weight = 0;

	for (unsigned level = RECORD_LEVELS; level; level--) {
		uint64_t step = level_pages(level), reach = level_pages(level + 1), *record = NULL;

		for (uint64_t g = align_down(at, step); g < end; g += step) {
			if (record && g & (reach - 1)) {
				record++;
			} else {
				weight += INDIRECT_WEIGHT_FIND;
				record = record_find(mmu, (gfn_t){ g }, level);
			}
			weight += record ? INDIRECT_WEIGHT_RECORD : 0;
			weight += chain_count(record_get(record)) * INDIRECT_WEIGHT_LEAF;
			if (weight > most || (level == 1 && record_blocks(record_get(record))))
				return false;
			if (!record)
				g = align_down(g, reach) + reach - step; /* nor about its neighbours */
			else if (zap)
				zap_leaves(mmu, record);
		}
	}
	return true;
}

bool indirect_unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most)
{
	uint64_t end = at.v + pages;

	return records_of(mmu, at.v, end, most, false) && records_of(mmu, at.v, end, UINT32_MAX, true);
}
