/* SPDX-License-Identifier: MIT */
/* Leaves: the frame comes from the slot, rights and memory type from the guest's entries. */
#include "mm/mmu/leaf.h"

#include "mm/mmu/records.h"
#include "mm/shadow/shadow_internal.h"

#define LARGEST 2u /* 1 GiB leaves are few in guests, and would have to be split for any table in them */

bool leaf_target(struct mmu *mmu, gfn_t at, struct target *to)
{
	const struct slot *s = slots_find_locked(&mmu->slots, at);

	if (!s)
		return false;
	to->gfn = at;
	to->slot = s;
	to->page = s->backing_page + (at.v - s->base);
	to->run = backing_find(s->backing, to->page);
	to->frame = pfn(to->run->pfn.v + (to->page - to->run->first));
	to->record = record_find(mmu, at, 1);
	return true;
}

unsigned leaf_most(struct mmu *mmu, const struct target *to, unsigned most, unsigned access)
{
	if (most == 1 || (to->slot->log && !MUTANT(dirty_lost_on_large)) || mmu->small_pages ||
		(!leaf_large_exec(mmu) && access & MMU_EXEC))
		return 1;
	most = leaf_level(to->slot, to->run, to->gfn.v, to->page, to->frame.v, min(most, LARGEST));
	while (most > 1 &&
		!indirect_large_allowed(mmu, (gfn_t){ align_down(to->gfn.v, level_pages(most)) }, most))
		most--;
	return most;
}

void leaf_map(struct mmu *mmu, struct spage *p, unsigned i, const struct target *to, uint64_t flags,
	unsigned access)
{
	unsigned level = role_level(p->role);
	uint64_t within = level_pages(level) - 1;
	uint64_t e = (to->frame.v & ~within) << PAGE_SHIFT | PTE_P | PTE_A | (flags & ~(uint64_t)PTE_W);
	gfn_t at = { to->gfn.v & ~within };

	/* In a logged slot the first store to a page faults. */
	if (flags & PTE_W && (!(to->slot->flags & SLOT_READONLY) || MUTANT(rom_writable)) &&
		(!to->slot->log || access & MMU_WRITE || MUTANT(log_writable)))
		e |= PTE_W | PTE_D;
	if (level == 1) {
		indirect_map_noted(mmu, p, i, at, e, to->record ? to->record : record_make(mmu, at, 1));
		return;
	}
	/* The PAT flag is elsewhere. */
	e = (flags & PTE_PAT4K ? e | PTE_PATLARGE : e) | PTE_PS | (leaf_large_exec(mmu) ? 0 : PTE_NX);
	indirect_map(mmu, p, i, at, e);
}
