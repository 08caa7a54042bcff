/* SPDX-License-Identifier: MIT */
/*
 * The EPT back end: taking away. Nothing here flushes; the callers gather what they cut into one flush (rule 6).
 */
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"

/* p's link goes, and p waits for the flush that the caller asks for: the next one. */
static void drop_table(struct mmu *mmu, struct spage *parent, uint64_t *entry, struct spage *p)
{
	ASSERT(p->parent == entry);
	atomic_store_relaxed(entry, 0);
	parent->children--;
	p->parent = NULL;
	spage_detach(mmu, p);
	spage_pend(mmu, p, mmu->front.flush_epoch + 1);
}

/* Depth first, so that no table goes before those that it links. How far it has got stands in p->lo: entries below that are 0. */
bool ept_detach(struct mmu *mmu, struct spage *p, unsigned *budget)
{
	unsigned level = role_level(p->role);

	while (p->children) {
		uint64_t *entry = spage_table(p) + p->lo, e = ept_read(entry);
		struct spage *child = ept_is_table(e, level) ? spage_of(ept_pfn(e)) : NULL;

		/* An entry is counted when it goes, not on the way down: so the smallest budget gets on. */
		if ((child && !ept_detach(mmu, child, budget)) || !*budget)
			return false;
		--*budget;
		if (child)
			drop_table(mmu, p, entry, child);
		else
			atomic_store_relaxed(entry, 0);
		p->lo++;
	}
	return true;
}

unsigned ept_below(const struct spage *p, unsigned most)
{
	unsigned level = role_level(p->role), n = p->children;

	for (unsigned i = p->lo; level > 2 && i < p->hi && n <= most; i++) {
		uint64_t e = ept_read(&spage_table(p)[i]);

		if (ept_is_table(e, level))
			n += ept_below(spage_of(ept_pfn(e)), most - n);
	}
	return n;
}

void ept_cut(struct mmu *mmu, struct spage *p)
{
	uint64_t *entry = p->parent;
	struct spage *parent = spage_of(hpa_to_pfn(virt_to_hpa(entry)));
	unsigned all = UINT32_MAX;

	/* The place was stored when the link was made; recomputed from a gfn it could be another table's by now. */
	if (MUTANT(recomputed_key)) {
		entry = spage_table(mmu->root) + level_index(p->gfn.v, mmu->shape.levels);
		parent = mmu->root;
		p->parent = entry;
	}
	ASSERT(MUTANT(recomputed_key) ||
		ept_pfn(ept_read(entry)).v == hpa_to_pfn(virt_to_hpa(spage_table(p))).v);
	ept_detach(mmu, p, &all);
	drop_table(mmu, parent, entry, p);
}

/*
 * A range is weighed first, and unmapped only if that is not too much. Both go down the same way:
 *
 *	level	of the range			weighed			unmapped
 *	above 2	each table			entered			entered; all of it: goes
 *	2	tables at its two ends		entered			entered
 *		tables in between		by their number		go, unseen inside
 *	1	entries				by their number		all to 0
 *
 * Only entries [lo, hi) of a table count: what was never used is nothing. So to weigh costs a fraction of unmapping,
 * ends when it is too much, and never says less than unmapping costs. The unit is an instruction, counted in Bochs.
 */

/* What of [at, end) p may have something in. */
static void clip(const struct spage *p, unsigned level, uint64_t *at, uint64_t *end)
{
	*at = max(*at, p->gfn.v + ((uint64_t)p->lo << level_shift(level)));
	*end = min(*end, p->gfn.v + ((uint64_t)p->hi << level_shift(level)));
}

/* The table that p links for gfn, or NULL. */
static struct spage *child_at(const struct spage *p, unsigned level, uint64_t gfn)
{
	uint64_t e = ept_read(&spage_table(p)[level_index(gfn, level)]);

	return ept_is_table(e, level) ? spage_of(ept_pfn(e)) : NULL;
}

/* The lowest table that maps all of [at, end), and more. */
static struct spage *lowest(struct spage *p, uint64_t at, uint64_t end)
{
	for (unsigned level = role_level(p->role); level > 1; level--) {
		struct spage *child;

		if (at >> level_shift(level) != (end - 1) >> level_shift(level) ||
			end - at == level_pages(level))
			break;
		child = child_at(p, level, at);
		if (!child)
			break;
		p = child;
	}
	return p;
}

static unsigned weigh(const struct spage *p, uint64_t at, uint64_t end, unsigned most)
{
	unsigned level = role_level(p->role), entries, weight;
	uint64_t n = level_pages(level), last;

	clip(p, level, &at, &end);
	if (at >= end)
		return 0;
	last = align_down(end - 1, n);
	entries = (unsigned)((last - align_down(at, n)) >> level_shift(level)) + 1;
	if (level == 1)
		return entries * EPT_WEIGHT_LEAF;
	weight = entries * EPT_WEIGHT_ENTRY + min(entries, (unsigned)p->children) * EPT_WEIGHT_DROP;
	for (uint64_t g = align_down(at, n); p->children && g <= last && weight <= most;) {
		const struct spage *child = child_at(p, level, g);

		if (child && (level > 2 || g < at || g + n > end))
			weight += EPT_WEIGHT_ENTER + weigh(child, at, end, most - weight);
		g = level == 2 && g < last ? last : g + n;
	}
	return weight;
}

/* Entries for [at, end), all within [lo, hi). An MMIO entry there is from before the slot: it may go, too. */
static void unmap_leaves(struct spage *p, uint64_t at, uint64_t end)
{
	unsigned from = level_index(at, 1), to = level_index(end - 1, 1) + 1;
	uint64_t *t = spage_table(p);

	/* Relaxed: the flush that is asked for has a fence. Not one string store: the CPU walks this table. */
	for (unsigned i = from; i < to; i++)
		atomic_store_relaxed(&t[i], 0);
	if (from == p->lo)
		p->lo = (uint16_t)to;
	if (to == p->hi)
		p->hi = (uint16_t)from;
}

static void unmap(struct mmu *mmu, struct spage *p, uint64_t at, uint64_t end)
{
	unsigned level = role_level(p->role), all = UINT32_MAX;
	uint64_t n = level_pages(level);

	clip(p, level, &at, &end);
	if (at >= end)
		return;
	if (level == 1) {
		unmap_leaves(p, at, end);
		return;
	}
	for (uint64_t g = align_down(at, n); g < end; g += n) {
		uint64_t *entry = spage_table(p) + level_index(g, level), e = ept_read(entry);
		bool whole = g >= at && g + n <= end;

		if (ept_is_table(e, level)) {
			struct spage *child = spage_of(ept_pfn(e));

			if (!whole) {
				unmap(mmu, child, at, end);
				continue;
			}
			ept_detach(mmu, child, &all);
			drop_table(mmu, p, entry, child);
		} else if (ept_present(e)) {
			atomic_store_relaxed(entry, 0);
		}
	}
}

/* Without a root of this generation nothing is mapped. */
unsigned ept_weigh(const struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most)
{
	uint64_t end = at.v + pages;

	return mmu->root ? weigh(lowest(mmu->root, at.v, end), at.v, end, most) : 0;
}

unsigned ept_unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most)
{
	uint64_t end = at.v + pages;
	struct spage *p;
	unsigned weight;

	if (!mmu->root)
		return 0;
	p = lowest(mmu->root, at.v, end);
	weight = weigh(p, at.v, end, most);
	if (weight <= most)
		unmap(mmu, p, at.v, end);
	return weight;
}

/* The table of level 1 that maps gfn, or NULL. */
static struct spage *leaf_table(struct mmu *mmu, uint64_t gfn)
{
	struct spage *p = mmu->root;

	for (unsigned level = mmu->shape.levels; p && level > 1; level--) {
		uint64_t e = ept_read(&spage_table(p)[level_index(gfn, level)]);

		p = ept_is_table(e, level) ? spage_of(ept_pfn(e)) : NULL;
	}
	return p;
}

unsigned ept_rearm(struct mmu *mmu, gfn_t first, uint64_t bits, bool pml)
{
	uint64_t mask = pml ? ~EPT_D : ~EPT_W, in = UINT64_MAX;
	struct spage *p = NULL;

	for (; bits; bits &= bits - 1) {
		uint64_t at = first.v + bit_lowest(bits), *entry;

		if (at >> 9 != in) {
			in = at >> 9;
			p = leaf_table(mmu, at);
		}
		if (!p)
			continue;
		/* Atomic: the CPU may be setting A and D. What is not present faults anyway. */
		entry = &spage_table(p)[level_index(at, 1)];
		if (ept_present(ept_read(entry)))
			atomic_fetch_and(entry, mask);
	}
	return 0;
}
