/* SPDX-License-Identifier: MIT */
/*
 * Prefetch: a fault maps the neighbours of its leaf, too, AROUND entries that lie together, where that needs no work but to write them:
 *
 *	the guest's entry has A set (the CPU would have nothing to set there), or the page is linear
 *	our entry is empty
 *	it leads into the same run of the same slot, to a gfn that has a record and no other leaf: nothing is allocated
 *
 * A fault takes some 1,200 instructions, a neighbour some 120. What has A set was used before, so most neighbours save a fault.
 */
#include "lib/x86.h"
#include "mm/mmu/records.h"
#include "mm/shadow/shadow_internal.h"

#define AROUND 8u

/* The target of a neighbour: as `to`, which has a record, but for its gfn. False: it is not as easy as that. */
static bool neighbour(struct mmu *mmu, const struct target *to, gfn_t at, struct target *n)
{
	const struct slot *s = to->slot;
	uint64_t page = s->backing_page + (at.v - s->base);

	if (at.v - s->base >= s->pages || page - to->run->first >= to->run->pages)
		return false;
	*n = *to;
	n->gfn = at;
	n->page = page;
	n->frame = pfn(to->run->pfn.v + (page - to->run->first));
	/* 512 records lie together. */
	n->record =
		(at.v ^ to->gfn.v) >> 9 ? record_find(mmu, at, 1) : to->record + (int64_t)(at.v - to->gfn.v);
	return n->record && !chain_count(*n->record);
}

void shadow_prefetch(struct mmu *mmu, struct spage *p, unsigned i, const struct target *to, uint64_t flags)
{
	const uint64_t *entry = spage_table(p);
	bool linear = p->role.v & ROLE_DIRECT;
	const void *table = linear ? NULL : shadow_guest_table(mmu, p);
	uint64_t reserved = shadow_reserved(mmu, p->role);
	unsigned first = i & ~(AROUND - 1);

	if (p->role.v & ROLE_WP0 || (!linear && !table))
		return;
	for (unsigned k = first; k < first + AROUND; k++) {
		gfn_t at = { to->gfn.v + k - i };
		struct target n;
		uint64_t g = 0;

		if (entry[k])
			continue;
		if (!linear) {
			g = shadow_guest_entry(p, table, k);
			if ((g & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || g & reserved)
				continue;
			at = (gfn_t){ (g & PTE_ADDR) >> PAGE_SHIFT };
			flags = g & (PTE_U | PTE_PWT | PTE_PCD | PTE_PAT4K | PTE_NX);
			if ((g & (PTE_W | PTE_D)) == (PTE_W | PTE_D))
				flags |= PTE_W;
		}
		if (!neighbour(mmu, to, at, &n))
			continue;
		leaf_map(mmu, p, k, &n, flags, MMU_READ);
		if (!linear)
			p->keys[k] = g;
	}
}
