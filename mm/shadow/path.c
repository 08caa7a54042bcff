/* SPDX-License-Identifier: MIT */
/*
 * The path of a page fault: from the root down to the leaf, level by level, what the guest's entries say and which pages of ours stand
 * for its tables. (The order in which it is used: mm/shadow/fault.c.)
 */
#include "lib/x86.h"
#include "mm/shadow/build.h"
#include "mm/space/guest_entry.h"

/* The guest's entry that level n of the path goes through; false: there is none, or it is a latched one, which gives all rights. */
static bool guest_entry(const struct build *b, unsigned level, uint64_t *e)
{
	*e = 0;
	if (level > b->w->top || level < b->w->leaf || !b->w->top)
		return false;
	*e = b->w->step[level - 1].entry;
	return b->w->step[level - 1].at.v != WALK_LATCHED;
}

/* W of a leaf counts when its D is set: else the first store is to fault, so that the flag is set. */
static uint64_t without_clean(const struct build *b, unsigned level, uint64_t e)
{
	return level == b->leaf && !(e & PTE_D) && !MUTANT(clean_writable) ? e & ~(uint64_t)PTE_W : e;
}

/* Rights that the guest's entries from the top down to `level` leave, as ROLE_ACCESS has them. */
static uint32_t rights_above(const struct build *b, unsigned level)
{
	uint32_t rights = (uint32_t)ROLE_ACCESS;
	uint64_t e;

	if (!(b->g.role & ROLE_WP0))
		return rights;
	for (unsigned l = b->g.levels; l >= level; l--) {
		if (!guest_entry(b, l, &e))
			continue;
		e = without_clean(b, l, e);
		if (!(e & PTE_U))
			rights &= ~((uint32_t)MMU_READ << 4);
		if (!(e & PTE_W))
			rights &= ~((uint32_t)MMU_WRITE << 4);
		if (e & PTE_NX)
			rights &= ~((uint32_t)MMU_EXEC << 4);
	}
	return rights;
}

/* PWT, PCD and PAT of the guest's leaf, as a page of 4 KiB has them. */
static uint64_t leaf_pat(const struct build *b)
{
	uint64_t e, pat;

	if (!guest_entry(b, b->leaf, &e))
		return 0;
	pat = e & (PTE_PWT | PTE_PCD);
	return pat | (e & (b->leaf > 1 ? PTE_PATLARGE : PTE_PAT4K) ? PTE_PAT4K : 0);
}

unsigned path_index(const struct build *b, unsigned level)
{
	return paging_index(b->g.levels, level, b->f->gva.v >> PAGE_SHIFT);
}

/* gfn and role of the page below entry path_index(level) of the path. */
static void key_below(const struct build *b, unsigned level, gfn_t *at, role_t *role)
{
	unsigned i = path_index(b, level);
	uint32_t common = (uint32_t)(b->g.role & (ROLE_WP0 | ROLE_SMEP | ROLE_SMAP));
	uint64_t e, pat;

	if (level <= b->leaf) {
		pat = leaf_pat(b);
		/* While its paging is off, the guest has no leaf. */
		if (b->g.role & ROLE_WP0 && guest_entry(b, b->leaf, &e) && e & PTE_D)
			common |= (uint32_t)ROLE_DIRTY;
		*role = (role_t){ common | (level - 1) | (uint32_t)ROLE_DIRECT | rights_above(b, level) |
				  (pat & PTE_PWT ? 1u << 22 : 0) | (pat & PTE_PCD ? 1u << 23 : 0) |
				  (pat & PTE_PAT4K ? 1u << 24 : 0) };
		*at = (gfn_t){ align_down(b->to.gfn.v, level_pages(level)) };
		return;
	}
	if (level == 3 && b->g.levels == 3) {
		root_below(b->v, &b->g, i, at, role);
		return;
	}
	guest_entry(b, level, &e);
	*role = (role_t){ b->g.role | (level - 1) | rights_above(b, level) |
			  (b->g.narrow && !MUTANT(quadrant_lost) ? (i & 1u) << 7 : 0) };
	*at = paging_table(&b->g, e);
}

struct spage *path_child(uint64_t e, unsigned level)
{
	return e & PTE_P && level > 1 && !(e & PTE_PS) ? spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT)) : NULL;
}

void path_find(struct build *b)
{
	b->page[b->g.levels] = b->v->root.page;
	b->linked = b->g.levels;
	b->v->root.page->flags &= (uint16_t)~SPAGE_STORES;
	for (unsigned level = b->g.levels; level > 1; level--) {
		struct spage *p = b->page[level];
		struct spage *child =
			path_child(atomic_load_relaxed(&spage_table(p)[path_index(b, level)]), level);
		role_t role;
		gfn_t at;

		key_below(b, level, &at, &role);
		if (child && (child->gfn.v != at.v || child->role.v != role.v))
			child = NULL;
		if (level <= b->end && !child)
			return;
		b->end = min(b->end, level - 1);
		if (child && b->linked == level)
			b->linked = level - 1;
		if (!child)
			child = indirect_find(b->mmu, at, role);
		if (!child) {
			child = indirect_new(b->mmu, at, role, &b->flush);
			if (level == 2 && level > b->leaf)
				shadow_copy_keys(b->mmu, child);
		}
		child->flags &= (uint16_t)~SPAGE_STORES;
		b->page[level - 1] = child;
	}
}

/* Step 4. Links that were there are right: stores into the tables that they were made from are seen. */
bool path_current(const struct build *b)
{
	struct guest_window window = guest_window_cached(b->mmu);
	unsigned from = min(b->w->top, max(b->linked, b->w->leaf));

	for (unsigned level = from; level && level >= b->w->leaf; level--) {
		const struct walk_step *s = &b->w->step[level - 1];

		if (s->at.v != WALK_LATCHED &&
			guest_entry_read(b->mmu, &window, s->at.v, b->g.narrow ? 4 : 8) != s->entry)
			return MUTANT(entries_not_read_again);
	}
	return true;
}

static uint64_t link_bits(const struct build *b, unsigned level)
{
	uint64_t e;

	if (b->g.role & ROLE_WP0 || !guest_entry(b, level, &e))
		return LINK_ALL;
	return PTE_P | (without_clean(b, level, e) & (PTE_W | PTE_U)) | (b->g.narrow ? 0 : e & PTE_NX);
}

/* The flags of a large page of the guest's, below whose entry there are linear pages, may have been set since it was linked. */
bool path_link(struct build *b)
{
	for (unsigned level = max(b->linked, b->leaf <= b->g.levels ? b->leaf : 0); level > b->end; level--) {
		struct spage *p = b->page[level], *child = b->page[level - 1];
		unsigned i = path_index(b, level);
		uint64_t e = atomic_load_relaxed(&spage_table(p)[i]) & ~(uint64_t)PTE_A;
		uint64_t bits = link_bits(b, level);

		if (e == (virt_to_hpa(spage_table(child)).v | bits))
			continue;
		/* What is reached anew cannot be in a TLB, so it has to be right: the page, and those that it leads to. The same after
		 * INVLPG, which finds no entry to compare where the path was broken. */
		if (path_child(e, level) != child && child->children && !MUTANT(unsync_linked))
			indirect_unlink_unsync(b->mmu);
		/* The guest stores into a table above level 1 unnoticed (indirect_let_store()): what is in it goes, but for the store
		 * itself, which goes this way. */
		if (path_child(e, level) != child && level > 2 && child->lo < child->hi &&
			child->gfn.v != b->to.gfn.v && !(child->role.v & ROLE_DIRECT) &&
			unlikely(indirect_is_unsync(b->mmu, child->gfn))) {
			indirect_zap(b->mmu, child);
			return false;
		}
		if (path_child(e, level) != child && indirect_must_sync(b->mmu, child) &&
			!MUTANT(unsync_linked)) {
			if (!shadow_sync_page(b->mmu, child)) {
				indirect_zap(b->mmu, child);
				return false;
			}
			indirect_synced(child);
		}
		indirect_link(b->mmu, p, i, child, bits);
	}
	return true;
}

bool path_store_without_w(const struct build *b)
{
	return b->g.role & ROLE_WP0 && b->f->access & MMU_WRITE && supervisor(b) && !(b->w->all & PTE_W);
}

uint64_t path_leaf_flags(const struct build *b)
{
	uint64_t flags = leaf_pat(b), e;
	uint32_t rights;

	if (!(b->g.role & ROLE_WP0)) {
		if (b->end < b->leaf || !guest_entry(b, b->leaf, &e))
			return flags | PTE_U | PTE_W;
		return flags | (without_clean(b, b->leaf, e) & (PTE_U | PTE_W)) |
		       (b->g.narrow ? 0 : e & PTE_NX);
	}
	rights = rights_above(b, b->leaf) >> 4;
	flags |= (rights & MMU_READ ? PTE_U : 0) | (rights & MMU_WRITE ? PTE_W : 0) |
		 (rights & MMU_EXEC ? 0 : PTE_NX);
	if (!path_store_without_w(b))
		return flags;
	/* The CPU runs with WP = 1, so only a supervisor's page can be stored to, and not by a user. What the user may do comes by its
	 * own fault. A user's page is none of the supervisor's to execute with SMEP. */
	if (flags & PTE_U && b->g.role & ROLE_SMEP && !MUTANT(wp0_exec_kept))
		flags |= PTE_NX;
	return (flags & ~(uint64_t)(MUTANT(wp0_user_kept) ? 0 : PTE_U)) | PTE_W;
}
