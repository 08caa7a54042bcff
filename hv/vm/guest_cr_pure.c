/* SPDX-License-Identifier: MIT */
#include "hv/vm/guest_cr_pure.h"

#include "lib/x86.h"

bool cr0_ok(const struct cr_state *s, uint64_t new)
{
	bool on = new &CR0_PG && !(s->cr0 & CR0_PG), off = !(new &CR0_PG) && s->cr0 &CR0_PG;

	if (new >> 32 || (new &CR0_PG && !(new &CR0_PE)) || (new &CR0_NW && !(new &CR0_CD)))
		return false;
	if (on && s->efer & EFER_LME) /* into IA-32e mode */
		return s->cr4 & CR4_PAE && !s->cs_l && !s->tss16;
	if (off) /* out of it only from compatibility mode */
		return !(s->cr4 & CR4_PCIDE) && !(s->efer & EFER_LMA && s->cs_l);
	return true;
}

bool cr0_loads_pdptes(const struct cr_state *s, uint64_t new)
{
	return new &CR0_PG && !(s->cr0 & CR0_PG) && s->cr4 &CR4_PAE && !(s->efer & EFER_LME);
}

bool cr4_ok(const struct cr_state *s, uint64_t new)
{
	uint64_t changed = s->cr4 ^ new;

	if (new & ~s->cr4_allowed)
		return false;
	if (s->efer & EFER_LMA && changed & (CR4_PAE | CR4_LA57))
		return false;
	return !(changed & CR4_PCIDE && new &CR4_PCIDE) || (s->efer & EFER_LMA && !(s->cr3 & CR3_PCID));
}

bool cr4_loads_pdptes(const struct cr_state *s, uint64_t new)
{
	return s->cr0 & CR0_PG && new &CR4_PAE && !(s->efer & EFER_LMA) &&
	       (s->cr4 ^ new) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP);
}

bool efer_ok(const struct cr_state *s, uint64_t new)
{
	if (new & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return false;
	return !((s->efer ^ new) & EFER_LME && s->cr0 & CR0_PG);
}

bool xcr0_ok(uint64_t new, uint64_t supported)
{
	uint64_t avx512 = new &BITS(7, 5);

	if (!(new &BIT(0)) || new & ~supported || (new &BIT(2) && !(new &BIT(1))))
		return false;
	return !avx512 || (avx512 == BITS(7, 5) && new &BIT(2));
}

uint64_t cr4_real(uint64_t cr4, bool hidden_paging)
{
	if (hidden_paging)
		cr4 = (cr4 | CR4_PSE) & ~(CR4_PAE | CR4_PCIDE | CR4_SMEP | CR4_SMAP);
	return cr4 | CR4_MCE;
}

uint64_t cr4_mask(uint64_t allowed, bool hidden_paging)
{
	return hidden_paging ? ~0ull : ~allowed | CR4_MCE;
}
