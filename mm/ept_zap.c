/* SPDX-License-Identifier: MIT */
/*
 * The EPT back end: taking away. Nothing here flushes; the callers gather what they cut into one flush (rule 6).
 */
#include "mm/ept.h"
#include "mm/mmu_internal.h"

void ept_cut(struct mmu *mmu, struct spage *p)
{
	uint64_t *entry = p->parent;
	struct spage *parent = spage_of(hpa_to_pfn(virt_to_hpa(entry)));

	/* The place was stored when the link was made; recomputed from a gfn it could be another table's by now. */
	if (MUTANT(recomputed_key)) {
		entry = spage_table(mmu->root) + ept_index(p->gfn.v, mmu->root_level);
		parent = mmu->root;
	}
	ASSERT(MUTANT(recomputed_key) || ept_pfn(*entry).v == hpa_to_pfn(virt_to_hpa(spage_table(p))).v);
	spte_set(parent, entry, 0);
	parent->children--;
	p->parent = NULL;
}

bool ept_test_clear_accessed(struct mmu *mmu, struct spage *p)
{
	if (!mmu->caps.ept_ad || !(atomic_load_relaxed(p->parent) & EPT_A))
		return false;
	/* Atomic: the CPU sets it in its own time. It is a hint, so no flush: at worst it is set a little late. */
	atomic_fetch_and(p->parent, ~EPT_A);
	return true;
}

bool ept_sound(const struct mmu *mmu, uint64_t e, unsigned level)
{
	uint64_t type = bits_get(e, 5, 3), address = BITS(mmu->caps.maxphyaddr - 1, PAGE_SHIFT);

	if (!e)
		return true;
	if (!ept_present(e) || (e & EPT_ADDR & ~address))
		return false;
	if (ept_is_table(e, level))
		return !bits_get(e, 7, 3);
	if (level > 3 || (level > 1 && (e & EPT_ADDR & (ept_pages(level) * PAGE_SIZE - 1))))
		return false;
	return type == MT_UC || type == MT_WC || type == MT_WT || type == MT_WP || type == MT_WB;
}

/*
 * Takes all below p away, up to `most` entries, depth first. A table that is empty afterwards goes itself: its entry
 * is 0 and it waits for the flush that the caller will ask for.
 */
static void drop_table(struct mmu *mmu, struct spage *p)
{
	ept_cut(mmu, p);
	spage_detach(mmu, p);
	/* The flush that the caller asks for is the next one. */
	spage_pend(mmu, p, mmu->front.flush_epoch + 1);
}

static void unmap(
	struct mmu *mmu, struct spage *p, uint64_t at, uint64_t end, unsigned most, unsigned *touched)
{
	unsigned level = role_level(p->role);
	uint64_t n = ept_pages(level), base = p->gfn.v;
	/* Only entries that were ever used can be anything. */
	uint64_t from = max(at, base + p->lo * n), to = min(end, base + p->hi * n);

	for (uint64_t g = align_down(from, n); g < to && *touched < most; g += n) {
		uint64_t *entry = spage_table(p) + ept_index(g, level);
		uint64_t e = *entry;

		++*touched;
		if (ept_is_table(e, level)) {
			struct spage *child = spage_of(ept_pfn(e));

			if (level == 2 && g >= at && g + n <= end) {
				/* All of it goes: no need to look inside a table of leaves. */
				drop_table(mmu, child);
				continue;
			}
			unmap(mmu, child, at, end, most, touched);
			if (*touched < most && !child->children && g >= at && g + n <= end)
				drop_table(mmu, child);
		} else if (ept_present(e)) {
			spte_set(p, entry, 0);
		}
	}
}

unsigned ept_unmap(struct mmu *mmu, struct spage *root, gfn_t at, uint64_t pages, unsigned most, bool *done)
{
	unsigned touched = 0;

	unmap(mmu, root, at.v, at.v + pages, most, &touched);
	*done = touched < most;
	return touched;
}

/* The table of level 1 that maps gfn, or NULL. */
static struct spage *leaf_table(struct mmu *mmu, uint64_t gfn)
{
	struct spage *p = mmu->root;

	for (unsigned level = mmu->root_level; p && level > 1; level--) {
		uint64_t e = spage_table(p)[ept_index(gfn, level)];

		p = ept_is_table(e, level) ? spage_of(ept_pfn(e)) : NULL;
	}
	return p;
}

void ept_rearm(struct mmu *mmu, uint64_t gfn, uint64_t bits, bool pml)
{
	uint64_t mask = pml ? ~EPT_D : ~EPT_W, in = UINT64_MAX;
	struct spage *p = NULL;

	for (; bits; bits &= bits - 1) {
		uint64_t at = gfn + bit_lowest(bits), *entry;

		if (at >> 9 != in) {
			in = at >> 9;
			p = leaf_table(mmu, at);
		}
		if (!p)
			continue;
		/* Atomic: the CPU may be setting A and D. What is not present faults anyway. */
		entry = &spage_table(p)[ept_index(at, 1)];
		if (ept_present(*entry))
			atomic_fetch_and(entry, mask);
	}
}
