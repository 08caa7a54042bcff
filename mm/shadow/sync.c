/* SPDX-License-Identifier: MIT */
/* Entries of level 1 compared with what the guest's table says now. What is still right stays, so that a flush costs no faults. */
#include "lib/x86.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/shadow/shadow_internal.h"
#include "mm/space/guest_entry.h"

/* Where in the guest's table entry i was made from. */
static uint64_t entry_at(const struct spage *p, unsigned i)
{
	bool narrow = p->role.v & ROLE_NARROW;
	uint64_t n = i + (narrow ? bits_get(p->role.v, 8, 7) * ENTRIES : 0);

	return (p->gfn.v << PAGE_SHIFT) + n * (narrow ? 4 : 8);
}

/* Bits that make an entry of level 1 a reserved one (as in mm/space/walker.c). */
static uint64_t reserved(const struct mmu *mmu, role_t role)
{
	if (role.v & ROLE_NARROW)
		return 0;
	return BITS(role.v & ROLE_PAE ? 62 : 51, mmu->guest_maxphyaddr) | (role.v & ROLE_NXE ? 0 : PTE_NX);
}

/* Is the leaf `e` of ours, made for gfn `at`, what the guest's entry g gives still, or less than that? */
static bool holds(const struct mmu *mmu, role_t role, uint64_t e, gfn_t at, uint64_t g)
{
	const uint64_t same = PTE_U | PTE_PWT | PTE_PCD | PTE_PAT4K;
	uint64_t address = g & (role.v & ROLE_NARROW ? BITS(31, 12) : PTE_ADDR);

	/* Made for one access, of a supervisor without WP: seldom, so that it may fault again. */
	if (role.v & ROLE_WP0)
		return false;
	if ((g & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || g & reserved(mmu, role) || address >> PAGE_SHIFT != at.v)
		return false;
	if ((e ^ g) & same || (!(role.v & ROLE_NARROW) && (e ^ g) & PTE_NX))
		return false;
	return !(e & PTE_W) || (g & (PTE_W | PTE_D)) == (PTE_W | PTE_D);
}

static void sync_entry(struct mmu *mmu, struct guest_window *w, struct spage *p, unsigned i)
{
	uint64_t e = atomic_load_relaxed(&spage_table(p)[i]), g;

	if (!e)
		return;
	g = guest_entry_read(mmu, w, entry_at(p, i), p->role.v & ROLE_NARROW ? 4 : 8);
	if (!holds(mmu, p->role, e, key_gfn(p->keys[i]), g))
		indirect_clear(mmu, p, i);
}

void shadow_sync_entry(struct mmu *mmu, struct spage *p, unsigned i)
{
	struct guest_window w = guest_window_cached(mmu);

	sync_entry(mmu, &w, p, i);
}

unsigned shadow_sync_page(struct mmu *mmu, struct spage *p)
{
	struct guest_window w = guest_window_cached(mmu);
	unsigned from = p->lo, end = p->hi;

	for (unsigned i = from; i < end; i++)
		sync_entry(mmu, &w, p, i);
	return end > from ? end - from : 0;
}

void shadow_invlpg(struct mmu_vcpu *v, gva_t at)
{
	struct mmu *mmu = v->mmu;
	struct spage *p;
	unsigned level = 0;

	mmu_lock(mmu);
	p = v->root.gen == mmu->front.valid_gen ? v->root.page : NULL;
	for (level = p ? role_level(p->role) : 0; level > 1; level--) {
		uint64_t e = atomic_load_relaxed(&spage_table(p)[level_index(at.v >> PAGE_SHIFT, level)]);

		if (!(e & PTE_P) || e & PTE_PS)
			break;
		p = spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT));
	}
	/* Above level 1 each store is seen, and below a large page of the guest's there is nothing to compare. */
	if (level == 1 && !(p->role.v & ROLE_DIRECT) && indirect_must_sync(mmu, p))
		shadow_sync_entry(mmu, p, level_index(at.v >> PAGE_SHIFT, 1));
	mmu_unlock(mmu);
	v->entered_epoch = 0; /* this vCPU's tags go (mmu_make_ready) */
}
