/* SPDX-License-Identifier: MIT */
/*
 * A page fault of a guest on shadow tables (contract, rule 8).
 *
 * 1. Without the lock: walk the guest's tables, which sets their flags. If the walk faults, so does the guest.
 * 2. With it, on a root that is current (mm/mmu/fault.c): what is there? Devices and stores into tables are emulated.
 * 3. Find or make the page for each level down to the leaf. New ones write-protect the guest's tables; flush.
 * 4. When all vCPUs have left that could still write to them, read the guest's entries again. Have they changed, the guest tries
 *    again.
 * 5. Link the pages, top down, and map the leaf.
 */
#include "lib/x86.h"
#include "mm/mmu/records.h"
#include "mm/shadow/shadow_internal.h"
#include "mm/space/guest_entry.h"

struct build {
	struct mmu_vcpu *v;
	struct mmu *mmu;
	const struct mmu_fault *f;
	const struct guest_walk *w;
	struct paging g;
	struct target to;
	unsigned leaf; /* level of the guest's leaf; while its paging is off: above all levels */
	unsigned end;  /* level of ours */
	struct spage *page[LEVELS_MOST + 1]; /* by level */
	unsigned linked; /* from the root down to this level the path was linked already */
	bool flush;
};

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

static unsigned index_at(const struct build *b, unsigned level)
{
	return level_index(b->f->gva.v >> PAGE_SHIFT, level) & (b->g.levels == 3 && level == 3 ? 3u : ~0u);
}

/* gfn and role of the page below entry index_at(level) of the path. */
static void key_below(const struct build *b, unsigned level, gfn_t *at, role_t *role)
{
	unsigned i = index_at(b, level);
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

static struct spage *child_of(uint64_t e, unsigned level)
{
	return e & PTE_P && level > 1 && !(e & PTE_PS) ? spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT)) : NULL;
}

/* Step 3. A table that is there already takes smaller leaves: what was made small for a reason is not made large by the next fault. */
static void find_path(struct build *b)
{
	b->page[b->g.levels] = b->v->root.page;
	b->linked = b->g.levels;
	b->v->root.page->flags &= (uint16_t)~SPAGE_STORES;
	for (unsigned level = b->g.levels; level > 1; level--) {
		struct spage *p = b->page[level];
		struct spage *child =
			child_of(atomic_load_relaxed(&spage_table(p)[index_at(b, level)]), level);
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
		if (!child)
			child = indirect_new(b->mmu, at, role, &b->flush);
		child->flags &= (uint16_t)~SPAGE_STORES;
		b->page[level - 1] = child;
	}
}

/* Step 4. Links that were there are right: stores into the tables that they were made from are seen. */
static bool walk_current(const struct build *b)
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

/* The flags of a large page of the guest's, below whose entry there are linear pages, may have been set since it was linked. False: a page was given up, and the guest
 * tries again. */
static bool link_path(struct build *b)
{
	for (unsigned level = max(b->linked, b->leaf <= b->g.levels ? b->leaf : 0); level > b->end; level--) {
		struct spage *p = b->page[level], *child = b->page[level - 1];
		unsigned i = index_at(b, level);
		uint64_t e = atomic_load_relaxed(&spage_table(p)[i]) & ~(uint64_t)PTE_A;
		uint64_t bits = link_bits(b, level);

		if (e == (virt_to_hpa(spage_table(child)).v | bits))
			continue;
		/* What is reached anew cannot be in a TLB, so it has to be right: the page, and those that it leads to. The same after
		 * INVLPG, which finds no entry to compare where the path was broken. */
		if (child_of(e, level) != child && child->children && !MUTANT(unsync_linked))
			indirect_unlink_unsync(b->mmu);
		/* The guest stores into a table above level 1 unnoticed (indirect_let_store()): what is in it goes, but for the store
		 * itself, which goes this way. */
		if (child_of(e, level) != child && level > 2 && child->lo < child->hi &&
			child->gfn.v != b->to.gfn.v && !(child->role.v & ROLE_DIRECT) &&
			unlikely(indirect_is_unsync(b->mmu, child->gfn))) {
			indirect_zap(b->mmu, child);
			return false;
		}
		if (child_of(e, level) != child && indirect_must_sync(b->mmu, child) &&
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

static bool supervisor(const struct build *b)
{
	return !(b->f->error & PF_USER);
}

/* A supervisor's store through entries that give no right to write, which CR0.WP = 0 allows. */
static bool store_without_w(const struct build *b)
{
	return b->g.role & ROLE_WP0 && b->f->access & MMU_WRITE && supervisor(b) && !(b->w->all & PTE_W);
}

/* Rights and memory type of the leaf. */
static uint64_t leaf_flags(const struct build *b)
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
	if (!store_without_w(b))
		return flags;
	/* The CPU runs with WP = 1, so only a supervisor's page can be stored to, and not by a user. What the user may do comes by its
	 * own fault. A user's page is none of the supervisor's to execute with SMEP. */
	if (flags & PTE_U && b->g.role & ROLE_SMEP && !MUTANT(wp0_exec_kept))
		flags |= PTE_NX;
	return (flags & ~(uint64_t)(MUTANT(wp0_user_kept) ? 0 : PTE_U)) | PTE_W;
}

/* The frame is that of a table, and the guest's stores into it must be seen. */
static bool protected_table(uint64_t record)
{
	return record_blocks(record) && !(record & RECORD_UNSYNC);
}

/* No RAM is there any more: if an entry for some is left, it goes (rule 12). */
static void drop_leaf(const struct build *b)
{
	struct spage *p = b->v->root.page;

	for (unsigned level = b->g.levels; p; level--) {
		unsigned i = index_at(b, level);
		struct spage *child = child_of(atomic_load_relaxed(&spage_table(p)[i]), level);

		if (!child && spage_table(p)[i])
			indirect_clear(b->mmu, p, i);
		p = child;
	}
}

/*
 * Our tables allow the access already, so far as the fault told what it was: another vCPU has seen to it, or it is an implicit access
 * with AC set, which SMAP stops all the same, and of which the CPU says no more than of an explicit one (SDM Vol. 3A 4.6.1). The
 * second time in a row it is the latter.
 */
static bool nothing_missing(const struct build *b)
{
	uint64_t e = 0, need = PTE_P | (b->f->access & MMU_WRITE ? PTE_W : 0);

	if (b->linked != b->end || !(b->f->error & PF_PRESENT) || !supervisor(b) ||
		!(b->v->regs.cr4 & CR4_SMAP) || !(b->w->all & PTE_U) || b->f->access & MMU_EXEC)
		return false;
	for (unsigned level = b->g.levels; level >= b->end; level--) {
		e = atomic_load_relaxed(&spage_table(b->page[level])[index_at(b, level)]);
		if ((e & need) != need)
			return false;
	}
	/* The last is the leaf. */
	return (b->end == 1 || e & PTE_PS) &&
	       !(((e & SPTE_ADDR) >> PAGE_SHIFT ^ b->to.frame.v) & ~(level_pages(b->end) - 1));
}

/* Step 2. True: there is something to map. */
static bool look(struct build *b, enum mmu_verdict *verdict)
{
	unsigned access = b->f->access;

	b->v->fault_at = b->f->at;
	*verdict = MMU_RESUME;
	if (!leaf_target(b->mmu, gpa_to_gfn(b->f->at), &b->to)) {
		b->mmu->stats.faults_mmio++;
		drop_leaf(b);
		*verdict = access & MMU_EXEC ? MMU_EXEC_MMIO : MMU_MMIO;
	} else if (access & MMU_WRITE && b->to.slot->flags & SLOT_READONLY) {
		*verdict = MMU_ROM;
	} else if (access & MMU_WRITE && protected_table(record_get(b->to.record)) &&
		   !indirect_unsync(b->mmu, b->to.gfn)) {
		*verdict = MMU_TABLE;
	} else if (store_without_w(b) && b->g.role & ROLE_SMAP && b->w->all & PTE_U &&
		   !MUTANT(wp0_smap_escaped) && !b->v->smap_let) {
		/* As a supervisor's page it would escape SMAP. */
		*verdict = MMU_TABLE;
	}
	return *verdict == MMU_RESUME;
}

enum mmu_verdict shadow_build(struct mmu_vcpu *v, const struct mmu_fault *f)
{
	struct build b;
	enum mmu_verdict verdict;
	uint64_t flags;

	b.v = v;
	b.mmu = v->mmu;
	b.f = f;
	b.w = f->walk;
	b.g = paging_of(&v->regs);
	b.flush = false;
	/* Others may still store into tables by rights that are gone. */
	if (!mmu_flushed(b.mmu, b.mmu->front.flush_epoch))
		return MMU_RESUME;
	if (!look(&b, &verdict))
		return verdict;
	if (b.to.slot->log && f->access & MMU_WRITE && !MUTANT(fault_unlogged))
		dirty_mark(b.to.slot->log, b.to.gfn.v - b.to.slot->base);
	b.leaf = b.g.on ? b.w->leaf : LEVELS_MOST;
	b.end = leaf_most(b.mmu, &b.to, min(b.leaf, b.g.levels), f->access);
	find_path(&b);
	if (b.flush && !MUTANT(protect_without_ack)) {
		mmu_flush_request(b.mmu, true);
		if (!mmu_flushed(b.mmu, b.mmu->front.flush_epoch))
			return MMU_RESUME;
	}
	if (!walk_current(&b))
		return MMU_RESUME;
	/* One of the pages of the path may be made from the frame that is stored into. */
	if (!b.to.record)
		b.to.record = record_find(b.mmu, b.to.gfn, 1);
	if (f->access & MMU_WRITE && protected_table(record_get(b.to.record)))
		return MMU_TABLE;
	/* A table that is new on the path may lie in what was to be one large leaf. */
	if (b.end > 1 && !MUTANT(large_over_new_table) && leaf_most(b.mmu, &b.to, b.end, f->access) < b.end)
		return MMU_RESUME;
	if (!link_path(&b))
		return MMU_RESUME;
	if (unlikely(nothing_missing(&b))) {
		v->spurious_times = v->spurious == f->gva.v ? v->spurious_times + 1 : 1;
		v->spurious = f->gva.v;
		v->entered_epoch = 0; /* that it is not for what its TLB has, that goes */
		root_fill_low(v);
		return MMU_RESUME;
	}
	v->spurious_times = 0;
	flags = leaf_flags(&b);
	leaf_map(b.mmu, b.page[b.end], index_at(&b, b.end), &b.to, flags, f->access);
	if (b.end == 1 && (b.to.record || (b.to.record = record_find(b.mmu, b.to.gfn, 1))))
		shadow_prefetch(b.mmu, b.page[1], index_at(&b, 1), &b.to, flags);
	v->smap_let = false;
	root_fill_low(v);
	return MMU_RESUME;
}

enum mmu_verdict shadow_fault(struct mmu_vcpu *v, gva_t at, uint32_t error)
{
	struct guest_walk w;
	struct mmu_fault f = { .gva = at, .error = error, .walk = &w };
	unsigned implicit = v->regs.cpl == 3 && !(error & PF_USER) ? WALK_IMPLICIT : 0;
	enum mmu_verdict verdict;

	f.access = error & PF_WRITE ? MMU_WRITE : error & PF_FETCH ? MMU_EXEC : MMU_READ;
	switch (guest_walk_record(v->mmu, &v->regs, at, f.access | implicit, &w)) {
	case 0:
		f.at = w.out;
		verdict = mmu_fault(v, &f);
		if (likely(v->spurious_times < 2) ||
			guest_walk_record(v->mmu, &v->regs, at, f.access | WALK_IMPLICIT, &w) != -E_FAULT)
			return verdict;
		__attribute__((fallthrough));
	case -E_FAULT:
		v->spurious_times = 0;
		v->inject = w.error_code;
		return MMU_INJECT;
	default: /* the guest's entries change all the time: it tries again */
		return MMU_RESUME;
	}
}
