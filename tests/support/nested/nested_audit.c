/* SPDX-License-Identifier: MIT */
/* Checks that the notes about indirect pages agree with their entries: no more and no less. */
#include "mm/mmu/indirect.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/mmu/records.h"
#include "tests/support/nested/nested.h"

struct search {
	const uint64_t *entry;
	unsigned found;
};

static void look(uint64_t *entry, void *with)
{
	struct search *s = with;

	s->found += entry == s->entry;
}

static void in_chain_once(uint64_t head, const uint64_t *entry, const char *what, uint64_t of)
{
	struct search s = { entry, 0 };

	chain_each(head, look, &s);
	if (s.found != 1)
		oracle_fail("an entry is %u times in the chain of %s %#lx", s.found, what, of);
}

struct totals {
	uint64_t leaves, links, tables, noted_leaves, noted_links, frames;
};

static void audit_table(struct mmu *mmu, struct spage *p, struct totals *t)
{
	unsigned links = 0;

	t->tables += !(p->role.v & ROLE_DIRECT) && !(p->flags & SPAGE_INVALID);
	t->noted_links += chain_count(p->parents);
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t *entry = &spage_table(p)[i], key = p->keys[i];

		if (!*entry)
			continue;
		if (i < p->lo || i >= p->hi)
			oracle_fail("entry %u of a page is in use outside [%u, %u)", i, p->lo, p->hi);
		if (key_is_link(p, key)) {
			struct spage *child = spage_of(pfn((*entry & SPTE_ADDR) >> PAGE_SHIFT));

			links++;
			if (spage_obsolete(mmu, child) || (child->flags & SPAGE_INVALID))
				oracle_fail("a valid page links one that is not");
			in_chain_once(child->parents, entry, "page", child->gfn.v);
		} else {
			uint64_t *record = record_find(mmu, key_gfn(key), key_level(p, key));

			t->leaves++;
			if (!record)
				oracle_fail("nothing is noted of gfn %#lx, which is mapped", key_gfn(key).v);
			in_chain_once(*record, entry, "gfn", key_gfn(key).v);
			if (key_level(p, key) > 1 && record_blocks(*record))
				oracle_fail("a large leaf maps a table of the guest's");
			if ((*entry & SPTE_W) && indirect_tracked(mmu, key_gfn(key)) &&
				!indirect_is_unsync(mmu, key_gfn(key)))
				oracle_fail("gfn %#lx is a table and mapped for writing", key_gfn(key).v);
		}
	}
	if (links != p->children)
		oracle_fail("a page links %u others and counts %u", links, p->children);
	t->links += links;
}

static void audit_records(struct mmu *mmu, struct spage *p, struct totals *t, uint64_t *blocks)
{
	unsigned level = role_level(p->role), used = 0;

	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t v = spage_table(p)[i];
		gfn_t at = { p->gfn.v + i * (1ull << 9 * (level - 1)) };

		used += v != 0;
		t->noted_leaves += chain_count(v);
		blocks[level] += record_blocks(v);
		if (level < RECORD_LEVELS && record_blocks(v) && indirect_large_allowed(mmu, at, level + 1))
			oracle_fail("a large leaf may map the table %#lx", at.v);
	}
	if (used != p->children)
		oracle_fail("a page of records has %u words in use and counts %u", used, p->children);
}

/* Pages that were given up in this generation stand in records until their entries are undone (mm/mmu/reclaim.c): on pending-free, or
 * on no list while a vCPU has them pinned. */
static void audit_given_up(struct mmu *mmu, struct totals *t)
{
	struct spage *seen[64];
	unsigned n = 0;

	list_for_each (p, &mmu->pages.pending, struct spage, link)
		if (spage_is_indirect(p) && !spage_obsolete(mmu, p))
			audit_table(mmu, p, t);
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = mmu->vcpu[i];

		for (unsigned k = 0; v && k <= MMU_ROOTS_KEPT; k++) {
			struct spage *p = k < MMU_ROOTS_KEPT ? v->kept[k].page : v->root.page;
			bool again = false;

			if (!p || !(p->flags & SPAGE_INVALID) || !spage_is_indirect(p) ||
				spage_obsolete(mmu, p))
				continue;
			for (unsigned s = 0; s < n; s++)
				again |= seen[s] == p;
			if (again || n == ARRAY_SIZE(seen))
				continue;
			seen[n++] = p;
			audit_table(mmu, p, t);
		}
	}
}

void nested_audit(struct mmu *mmu)
{
	struct totals t = { 0 };
	uint64_t blocks[RECORD_LEVELS + 1] = { 0 }, gen = UINT64_MAX, valid = 0;

	list_for_each (p, &mmu->pages.active, struct spage, link) {
		if (p->gen > gen)
			oracle_fail("the active list is not sorted");
		gen = p->gen;
		t.frames += spage_frames(p);
		if (spage_obsolete(mmu, p))
			continue;
		valid += spage_frames(p);
		if (p->role.v & ROLE_RECORDS)
			audit_records(mmu, p, &t, blocks);
		else if (spage_is_indirect(p))
			audit_table(mmu, p, &t);
	}
	audit_given_up(mmu, &t);
	if (t.leaves != t.noted_leaves || t.links != t.noted_links || t.tables != blocks[1])
		oracle_fail("%lu leaves, %lu links, %lu tables; noted are %lu, %lu, %lu", t.leaves, t.links,
			t.tables, t.noted_leaves, t.noted_links, blocks[1]);
	if (t.frames != mmu->count.active || valid != mmu->count.valid)
		oracle_fail("%lu pages, %lu valid; counted are %lu and %lu", t.frames, valid,
			mmu->count.active, mmu->count.valid);
}
