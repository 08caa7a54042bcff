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
#include "mm/mmu/records.h"
#include "mm/shadow/build.h"

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
		unsigned i = path_index(b, level);
		uint64_t e = atomic_load_relaxed(&spage_table(p)[i]);
		struct spage *child = path_child(e, level);

		if (!child && e)
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
		e = atomic_load_relaxed(&spage_table(b->page[level])[path_index(b, level)]);
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
	} else if (path_store_without_w(b) && b->g.role & ROLE_SMAP && b->w->all & PTE_U &&
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
	path_find(&b);
	if (b.flush && !MUTANT(protect_without_ack)) {
		mmu_flush_request(b.mmu, true);
		if (!mmu_flushed(b.mmu, b.mmu->front.flush_epoch))
			return MMU_RESUME;
	}
	if (!path_current(&b))
		return MMU_RESUME;
	/* One of the pages of the path may be made from the frame that is stored into. */
	if (!b.to.record)
		b.to.record = record_find(b.mmu, b.to.gfn, 1);
	if (f->access & MMU_WRITE && protected_table(record_get(b.to.record)))
		return MMU_TABLE;
	/* A table that is new on the path may lie in what was to be one large leaf. */
	if (b.end > 1 && !MUTANT(large_over_new_table) && leaf_most(b.mmu, &b.to, b.end, f->access) < b.end)
		return MMU_RESUME;
	if (!path_link(&b))
		return MMU_RESUME;
	if (unlikely(nothing_missing(&b))) {
		v->spurious_times = v->spurious == f->gva.v ? v->spurious_times + 1 : 1;
		v->spurious = f->gva.v;
		atomic_store_relaxed(
			&v->entered_epoch, 0ull); /* that it is not for what its TLB has, that goes */
		root_fill_low(v);
		return MMU_RESUME;
	}
	v->spurious_times = 0;
	flags = path_leaf_flags(&b);
	leaf_map(b.mmu, b.page[b.end], path_index(&b, b.end), &b.to, flags, f->access);
	if (b.leaf == 1)
		b.page[1]->keys[path_index(&b, 1)] = b.w->step[0].entry;
	if (b.end == 1 && (b.to.record || (b.to.record = record_find(b.mmu, b.to.gfn, 1))))
		shadow_prefetch(b.mmu, b.page[1], path_index(&b, 1), &b.to, flags);
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
		if (likely(v->spurious_times < 2))
			return verdict;
		v->spurious_times = 0;
		if (guest_walk_record(v->mmu, &v->regs, at, f.access | WALK_IMPLICIT, &w) != -E_FAULT)
			return verdict;
		__attribute__((fallthrough));
	case -E_FAULT:
		v->inject = w.error_code;
		return MMU_INJECT;
	default: /* the guest's entries change all the time: it tries again */
		return MMU_RESUME;
	}
}
