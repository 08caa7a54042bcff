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

#define CR0_ALWAYS (CR0_NE | CR0_CD | CR0_NW) /* Lethe's in every VM */

uint64_t cr0_real(enum cr_paging how, uint64_t cr0)
{
	cr0 = (cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE;
	if (how != CR_UNRESTRICTED)
		cr0 |= CR0_PE | CR0_PG;
	return how == CR_SHADOW ? cr0 | CR0_WP : cr0;
}

uint64_t cr0_mask(enum cr_paging how)
{
	return CR0_ALWAYS | (how == CR_UNRESTRICTED ? 0 : CR0_PE | CR0_PG) | (how == CR_SHADOW ? CR0_WP : 0);
}

/* Bits of CR4 that say how the guest's tables translate. */
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57)

static uint64_t cr4_shadow(const struct cr_state *s)
{
	uint64_t keep = (s->cr0 & CR0_PG ? CR4_SMEP | CR4_SMAP : 0) | (s->efer & EFER_LMA ? CR4_LA57 : 0);

	return (s->cr4 & (keep | ~CR4_PAGING)) | CR4_PAE;
}

uint64_t cr4_real(enum cr_paging how, const struct cr_state *s)
{
	uint64_t cr4 = s->cr4;

	if (how == CR_HIDDEN)
		cr4 = (cr4 | CR4_PSE) & ~(CR4_PAE | CR4_PCIDE | CR4_SMEP | CR4_SMAP);
	if (how == CR_SHADOW)
		cr4 = cr4_shadow(s);
	return cr4 | CR4_MCE;
}

uint64_t cr4_mask(enum cr_paging how, uint64_t allowed)
{
	if (how == CR_HIDDEN)
		return ~0ull;
	return ~allowed | CR4_MCE | (how == CR_SHADOW ? CR4_PAGING : 0);
}

uint64_t efer_real(enum cr_paging how, uint64_t efer)
{
	if (how == CR_HIDDEN)
		return efer & ~EFER_LME;
	if (how == CR_SHADOW)
		return (efer & ~EFER_LME) | (efer & EFER_LMA ? EFER_LME : 0) | EFER_NXE;
	return efer;
}

bool cr_reloads(const struct cr_state *from, const struct cr_state *to)
{
	return (from->cr0 ^ to->cr0) & (CR0_PG | CR0_WP) || (from->cr4 ^ to->cr4) & CR4_PAGING ||
	       (from->efer ^ to->efer) & (EFER_NXE | EFER_LME | EFER_LMA);
}
