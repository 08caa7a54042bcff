/* SPDX-License-Identifier: MIT */
/*
 * Roots. A guest that loads CR3 has the next mmu_serve() come here, and this is where its TLB would be flushed: what the guest has
 * stored into unsynchronised tables counts from now on.
 *
 * Outside IA-32e mode the CPU takes the four entries of the root from below 4 GiB, at each VM entry: a copy for each vCPU, without
 * the rights that PDPTEs do not have (SDM Vol. 3A 4.4.1).
 */
#include "lib/trace.h"
#include "lib/x86.h"
#include "mm/shadow/shadow_internal.h"

#define SYNC_MOST                                                                                            \
	4000u /* instructions of comparing at once; pages beyond that are compared when they are used again */

bool root_below(const struct mmu_vcpu *v, const struct paging *g, unsigned i, gfn_t *at, role_t *role)
{
	*role = (role_t){ (uint32_t)(g->role | 2 | ROLE_ACCESS) };
	if (g->narrow) {
		role->v |= MUTANT(directory_quadrant_lost) ? 0 : i << 7;
		*at = (gfn_t){ (v->regs.cr3 & BITS(31, 12)) >> PAGE_SHIFT };
		return true;
	}
	*at = paging_table(g, v->regs.pdpte[i]);
	return v->regs.pdpte[i] & PTE_P;
}

void root_fill_low(struct mmu_vcpu *v)
{
	if (role_level(v->root.page->role) != 3)
		return;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t e = atomic_load_relaxed(&spage_table(v->root.page)[i]);

		atomic_store_relaxed(&v->low_root[i], e & PTE_P ? (e & SPTE_ADDR) | PTE_P : 0);
	}
}

/* What the PDPTEs said when this root was last loaded may not be what was latched now. */
static void compare_pdptes(struct mmu_vcpu *v, const struct paging *g, struct spage *root)
{
	for (unsigned i = 0; i < 4 && !MUTANT(pdptes_not_compared); i++) {
		uint64_t e = spage_table(root)[i];
		struct spage *p;
		role_t role;
		gfn_t at;

		if (!(e & PTE_P))
			continue;
		p = spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT));
		if (!root_below(v, g, i, &at, &role) || p->gfn.v != at.v || p->role.v != role.v)
			indirect_clear(v->mmu, root, i);
	}
}

int shadow_root(struct mmu_vcpu *v, struct spage **out)
{
	struct mmu *mmu = v->mmu;
	struct paging g = paging_of(&v->regs);
	bool flush = false;
	role_t role;
	gfn_t at = paging_root(v, &g, &role);
	struct spage *root;

	if (!MUTANT(cr3_without_sync))
		indirect_sync(mmu, shadow_sync_page, SYNC_MOST);
	root = indirect_find(mmu, at, role);
	if (!root) {
		int err = mmu_make_available(mmu, INDIRECT_NEW_NEEDS, gfn(0));

		if (err)
			return err;
		root = indirect_new(mmu, at, role, &flush);
	}
	/* Faults wait for it, and read the guest's entries when it is done. */
	if (flush)
		mmu_flush_request(mmu, true);
	if (g.pae)
		compare_pdptes(v, &g, root);
	root->flags |= SPAGE_REFERENCED;
	*out = root;
	return 0;
}

uint64_t shadow_pointer(const struct mmu_vcpu *v, const struct spage *root)
{
	return virt_to_hpa(role_level(root->role) == 3 ? v->low_root : spage_table(root)).v;
}

void shadow_drop_tags(struct mmu_vcpu *v)
{
	if (!MUTANT(low_root_late))
		root_fill_low(v);
	if (!v->mmu->caps.vpid)
		return; /* VM entries and exits drop all */
	TRACE(TRACE_MMU, "INVVPID of VPID %lu, root %#lx", v->vpid, v->root.pointer, 0);
	v->ops->invvpid_single(v->vpid);
}

void shadow_load(struct mmu_vcpu *v)
{
	mmu_reload(v);
}
