/* SPDX-License-Identifier: MIT */
/*
 * The EPT back end: faults. Tables are filled in on demand, top down, with the largest leaf that
 *
 *	the slot	covers it whole, and gfn and frame are equally aligned
 *	the backing	is contiguous there
 *	the host	has one memory type for it (MTRRs; the guest's PAT applies on top, 28.3.7.2)
 *	the CPU		can do: 2 MiB, 1 GiB
 *	the dirty log	is off
 *
 * all agree to. Where nothing backs a gfn, an MMIO entry is put as high up as the hole is wide.
 */
#include "mm/mmu/ept.h"

#include "mm/mmu/internal.h"
#include "mm/mmu/leaf.h"

/* Where in the tables a walk has got to. */
struct cursor {
	uint64_t *entry;
	unsigned level; /* of the table that holds it */
};

static inline void cursor_at(struct cursor *w, uint64_t eptp, unsigned level, uint64_t gfn)
{
	w->level = level;
	w->entry = (uint64_t *)hpa_to_virt(hpa(eptp & EPT_ADDR)) + level_index(gfn, level);
}

static inline void cursor_down(struct cursor *w, uint64_t gfn)
{
	cursor_at(w, ept_read(w->entry), w->level - 1, gfn);
}

static inline struct spage *cursor_page(const struct cursor *w)
{
	return spage_of(hpa_to_pfn(virt_to_hpa(w->entry)));
}

/* Writes w's entry. */
static void cursor_set(struct cursor *w, uint64_t e)
{
	struct spage *p = cursor_page(w);

	spte_set(p, w->entry, e);
	p->flags |= SPAGE_REFERENCED;
}

/* A new table for w's entry, which links none. */
static struct spage *new_table(struct mmu *mmu, struct cursor *w, uint64_t gfn)
{
	role_t role = { (uint32_t)(w->level - 1) | ROLE_DIRECT | EPT_RWX << 4 };
	uint64_t base = align_down(gfn, level_pages(w->level));

	return spage_new(mmu, (gfn_t){ base }, role, w->entry);
}

static void link_table(struct cursor *w, struct spage *child)
{
	cursor_page(w)->children++;
	cursor_set(w, virt_to_hpa(spage_table(child)).v | EPT_RWX);
}

/* What backs a gfn, and how large a leaf may be there. */
struct target {
	pfn_t pfn;
	uint64_t rights;
	unsigned memtype;
	unsigned level;
	unsigned uniform; /* what `level` would be if it were not for the fetch: all around is alike */
	bool clean;	  /* writable, but D is to be clear: the CPU logs the first write */
};

static void choose(
	const struct mmu *mmu, const struct slot *s, uint64_t gfn, unsigned access, struct target *t)
{
	uint64_t page = s->backing_page + (gfn - s->base);
	const struct backing_run *r = backing_find(s->backing, page);
	unsigned most = !mmu->caps.ept_2m ? 1 : !mmu->caps.ept_1g ? 2 : 3;
	int type;

	if (s->log && !MUTANT(dirty_lost_on_large))
		most = 1;
	t->pfn = pfn(r->pfn.v + (page - r->first));
	t->uniform = leaf_level(s, r, gfn, page, t->pfn.v, most);
	/* Rule 15: where large leaves are not executable, what is fetched from is mapped by small ones. */
	t->level = !leaf_large_exec(mmu) && (access & MMU_EXEC) ? 1 : t->uniform;
	type = leaf_type(r, t->pfn.v, t->uniform);
	t->memtype = type < 0 ? MT_UC : (unsigned)type;
	t->rights = EPT_R | EPT_X | (s->flags & SLOT_READONLY ? 0 : EPT_W);
	t->clean = false;
	if (s->log && !(access & MMU_WRITE)) {
		t->clean = dirty_pml_ready((struct mmu *)mmu);
		if (!t->clean)
			t->rights &= ~EPT_W;
	}
}

static uint64_t leaf_entry(const struct mmu *mmu, const struct target *t, uint64_t gfn, unsigned level)
{
	/* The target's frame is the one of gfn; a larger leaf begins further down. */
	uint64_t first = t->pfn.v - (gfn & (level_pages(level) - 1));
	uint64_t e = first << PAGE_SHIFT | t->rights | (uint64_t)t->memtype << EPT_MT_AT;

	if (level > 1) {
		e |= EPT_PS;
		if (!leaf_large_exec(mmu))
			e &= ~EPT_X;
	}
	/* It is about to be used: set here, the CPU need not. (Nothing relies on D, rule 13.) */
	if (mmu->caps.ept_ad)
		e |= EPT_A | (t->rights & EPT_W && !t->clean ? EPT_D : 0);
	return e;
}

/*
 * Below w's entry RAM is uniform, but by small leaves only can it be executed. All of them are filled in at once: a leaf
 * costs three instructions here, and a fault of its own several hundred. The slot has no dirty log (s->log), so D is
 * set as in any leaf.
 */
static void fill_table(
	const struct mmu *mmu, struct spage *child, const struct target *t, uint64_t gfn, unsigned level)
{
	struct target first = {
		.pfn = pfn(t->pfn.v - (gfn - child->gfn.v)), .rights = t->rights, .memtype = t->memtype
	};
	uint64_t e = leaf_entry(mmu, &first, child->gfn.v, level);

	for (unsigned i = 0; i < ENTRIES; i++, e += level_pages(level) << PAGE_SHIFT)
		spage_table(child)[i] = e;
	child->lo = 0;
	child->hi = ENTRIES;
}

static enum mmu_verdict map_ram(
	struct mmu *mmu, struct cursor *w, const struct slot *s, uint64_t gfn, unsigned access)
{
	struct spage *child;
	struct target t;
	bool filled = false;

	choose(mmu, s, gfn, access, &t);
	if (s->log && (access & MMU_WRITE))
		dirty_mark(s->log, gfn - s->base);
	for (;;) {
		uint64_t e = ept_read(w->entry);

		if (ept_is_table(e, w->level)) {
			cursor_down(w, gfn);
			continue;
		}
		if (ept_is_leaf(e, w->level) && !(access & ~e)) {
			mmu->stats.faults_spurious += !filled;
			break;
		}
		if (w->level <= t.level) {
			/* Where a table stood in the way of a large leaf, it is a smaller one. */
			cursor_set(w, leaf_entry(mmu, &t, gfn, w->level));
			break;
		}
		/* Nothing, a stale MMIO entry, or a large leaf to be taken apart. */
		child = new_table(mmu, w, gfn);
		filled = w->level <= t.uniform;
		if (filled)
			fill_table(mmu, child, &t, gfn, w->level - 1);
		link_table(w, child);
		cursor_down(w, gfn);
	}
	return MMU_RESUME;
}

static void map_mmio(struct mmu *mmu, struct cursor *w, uint64_t gfn)
{
	uint64_t e = ept_mmio_entry(mmu->slots.seq, mmu->caps.maxphyaddr), first, end;

	slots_gap(&mmu->slots, (gfn_t){ gfn }, &first, &end);
	for (;;) {
		uint64_t n = level_pages(w->level), base = align_down(gfn, n);

		if (ept_is_table(ept_read(w->entry), w->level)) {
			cursor_down(w, gfn);
			continue;
		}
		if (ept_present(ept_read(w->entry))) {
			/* RAM that no slot holds any more: its removal should have taken this entry along. */
			cursor_set(w, 0);
			mmu_flush_request(mmu, true);
		}
		if (base >= first && base + n <= end) {
			cursor_set(w, e);
			return;
		}
		link_table(w, new_table(mmu, w, gfn));
		cursor_down(w, gfn);
	}
}

enum mmu_verdict ept_fault(struct mmu *mmu, uint64_t eptp, gfn_t at, unsigned access)
{
	const struct slot *s = slots_find_locked(&mmu->slots, at);
	struct cursor w;

	/* Beyond what the tables can express the CPU faults always (28.3.2): nothing can be put there. */
	if (unlikely(at.v >> (9 * mmu->shape.levels)))
		return access & MMU_EXEC ? MMU_EXEC_MMIO : MMU_MMIO;
	cursor_at(&w, eptp, mmu->shape.levels, at.v);
	if (likely(s != NULL)) {
		if (unlikely((s->flags & SLOT_READONLY) && (access & MMU_WRITE)))
			return MMU_ROM;
		return map_ram(mmu, &w, s, at.v, access);
	}
	mmu->stats.faults_mmio++;
	map_mmio(mmu, &w, at.v);
	return access & MMU_EXEC ? MMU_EXEC_MMIO : MMU_MMIO;
}

enum mmu_verdict ept_misconfig(struct mmu *mmu, uint64_t eptp, gfn_t at)
{
	struct cursor w;
	uint64_t e, mine;

	cursor_at(&w, eptp, mmu->shape.levels, at.v);
	while (ept_is_table(ept_read(w.entry), w.level))
		cursor_down(&w, at.v);
	e = ept_read(w.entry);
	/* Made by a fault of another vCPU meanwhile, or taken away: the guest tries again. */
	if (!ept_is_mmio(e) && ept_sound(mmu, e, w.level))
		return MMU_RESUME;
	mine = ept_mmio_entry(mmu->slots.seq, mmu->caps.maxphyaddr);
	if (likely(e == mine || MUTANT(mmio_ignores_gen)))
		return MMU_MMIO;
	if (e != ept_mmio_entry(ept_mmio_gen(e), mmu->caps.maxphyaddr))
		panic("EPT entry %lx of level %u for gfn %lx is not one that Lethe makes", e, w.level, at.v);
	/* The map has changed since: perhaps there is RAM now. The fault that follows will tell. */
	cursor_set(&w, 0);
	return MMU_RESUME;
}
