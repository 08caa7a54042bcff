/* SPDX-License-Identifier: MIT */
/* Leaves: the frame comes from the slot, rights and memory type from the guest's entries. */
#include "mm/mmu/leaf.h"

#include "mm/shadow/shadow_internal.h"

#define LARGEST 2u /* 1 GiB leaves are few in guests, and would have to be split for any table in them */

/* Rule 15: as for EPT (mm/mmu/ept.c). */
static bool large_exec(const struct mmu *mmu)
{
	return mmu->caps.pschange_mc_no || MUTANT(exec_large);
}

static uint64_t slot_page(const struct slot *s, gfn_t at)
{
	return s->backing_page + (at.v - s->base);
}

static pfn_t slot_frame(const struct slot *s, gfn_t at)
{
	return backing_pfn(s->backing, slot_page(s, at));
}

unsigned leaf_most(struct mmu *mmu, const struct slot *s, gfn_t at, unsigned most, unsigned access)
{
	const struct backing_run *r = backing_find(s->backing, slot_page(s, at));

	if ((s->log && !MUTANT(dirty_lost_on_large)) || mmu->small_pages ||
		(!large_exec(mmu) && access & MMU_EXEC))
		return 1;
	most = leaf_level(s, r, at.v, slot_page(s, at), slot_frame(s, at).v, min(most, LARGEST));
	while (most > 1 &&
		!indirect_large_allowed(mmu, (gfn_t){ align_down(at.v, level_pages(most)) }, most))
		most--;
	return most;
}

void leaf_map(struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, const struct slot *s, const struct leaf *l)
{
	unsigned level = role_level(p->role);
	uint64_t e = pfn_to_hpa(slot_frame(s, at)).v | PTE_P | PTE_A | (l->flags & ~(uint64_t)PTE_W);

	if (level > 1) {
		e |= PTE_PS;
		if (l->flags & PTE_PAT4K)
			e |= PTE_PATLARGE;
		if (!large_exec(mmu))
			e |= PTE_NX;
	}
	/* In a logged slot the first store to a page faults. */
	if (l->flags & PTE_W && !(s->flags & SLOT_READONLY) && (!s->log || l->access & MMU_WRITE))
		e |= PTE_W | PTE_D;
	indirect_map(mmu, p, i, at, e);
}
