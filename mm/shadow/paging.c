/* SPDX-License-Identifier: MIT */
/* The guest's way of paging: what of its registers decides how its tables are read (SDM Vol. 3A 4.1), and so belongs to a role. */
#include "lib/x86.h"
#include "mm/shadow/shadow_internal.h"

/* Roots of level 3, which stand for registers, not for a table: of PAE and 32-bit paging, and of paging that is off. */
#define SPACE_ROOT BIT(9)
#define SPACE_OFF  BIT(10)

struct paging paging_of(const struct paging_regs *r)
{
	struct paging g = { .levels = 3, .on = r->cr0 & CR0_PG };

	if (!g.on)
		return g;
	if (r->efer & EFER_NXE && !MUTANT(role_without_nxe))
		g.role |= (uint32_t)ROLE_NXE;
	if (r->efer & EFER_LMA) {
		g.levels = r->cr4 & CR4_LA57 ? 5 : 4;
	} else if (r->cr4 & CR4_PAE) {
		g.pae = true;
		g.role |= (uint32_t)ROLE_PAE;
	} else {
		g.narrow = true;
		g.role = (uint32_t)(ROLE_NARROW |
				    (r->cr4 & CR4_PSE && !MUTANT(role_without_pse) ? ROLE_PSE : 0));
	}
	if (!(r->cr0 & CR0_WP))
		g.role |= (uint32_t)(ROLE_WP0 |
				     (r->cr4 & CR4_SMEP && !MUTANT(role_without_smep) ? ROLE_SMEP : 0) |
				     (r->cr4 & CR4_SMAP ? ROLE_SMAP : 0));
	return g;
}

gfn_t paging_root(const struct mmu_vcpu *v, const struct paging *g, role_t *role)
{
	uint64_t cr3 = v->regs.cr3;

	if (g->levels > 3) {
		*role = (role_t){ (uint32_t)(g->role | g->levels | ROLE_ACCESS) };
		return (gfn_t){ (cr3 & PTE_ADDR) >> PAGE_SHIFT };
	}
	/* A vCPU's own: it has latched the PDPTEs when it loaded CR3, and another vCPU may have done so at another time. */
	*role = (role_t){ (
		uint32_t)(g->role | 3 | ROLE_DIRECT | ROLE_ACCESS | (g->on ? SPACE_ROOT : SPACE_OFF)) };
	return (gfn_t){ (uint64_t)v->index << 32 | (g->on ? (cr3 & BITS(31, 5)) >> 5 : 0) };
}

gfn_t paging_table(const struct paging *g, uint64_t entry)
{
	return (gfn_t){ (entry & (g->narrow ? BITS(31, 12) : PTE_ADDR)) >> PAGE_SHIFT };
}
