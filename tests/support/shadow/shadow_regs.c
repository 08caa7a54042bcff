/* SPDX-License-Identifier: MIT */
/* What a guest does with its registers and its TLB. */
#include "mm/space/guest_mem.h"
#include "tests/support/shadow/shadow_sim_internal.h"

static unsigned pcid(const struct shadow_vcpu *v)
{
	return v->guest.cr4 & CR4_PCIDE ? (unsigned)(v->guest.cr3 & CR3_PCID) % PCIDS : 0;
}

uint64_t shadow_vcpu_since(const struct shadow_vcpu *v, uint64_t at)
{
	uint64_t since = v->flushed[pcid(v)];

	for (unsigned i = 0; i < INVLPGS; i++)
		if (v->invlpg[i].page == at >> PAGE_SHIFT && (v->invlpg[i].pcids & BIT(pcid(v))))
			since = max(since, v->invlpg[i].version);
	return since;
}

static void flushed(struct shadow_vcpu *v, unsigned pcids, uint64_t version)
{
	for (unsigned p = 0; p < PCIDS; p++)
		if (pcids & BIT(p))
			v->flushed[p] = version;
}
#define ALL_PCIDS (BIT(PCIDS) - 1)

static void random_rights(struct shadow_vcpu *v)
{
	v->guest.cr0 = below(3) ? v->guest.cr0 | CR0_WP : v->guest.cr0 & ~CR0_WP;
	v->guest.cr4 = below(2) ? v->guest.cr4 | CR4_SMEP : v->guest.cr4 & ~CR4_SMEP;
	v->guest.cr4 = below(2) ? v->guest.cr4 | CR4_SMAP : v->guest.cr4 & ~CR4_SMAP;
	v->guest.cr4 = below(2) ? v->guest.cr4 | CR4_PGE : v->guest.cr4 & ~CR4_PGE;
	v->guest.efer = below(4) ? v->guest.efer | EFER_NXE : v->guest.efer & ~EFER_NXE;
}

/* What the CPU does when CR3 is loaded in PAE paging (SDM Vol. 3A 4.4.1). */
static void latch(struct shadow_vcpu *v)
{
	if (v->mode == SHADOW_PAE &&
		guest_read(shadow_sim.mmu, gpa(v->guest.cr3 & BITS(31, 5)), v->guest.pdpte, 32))
		oracle_fail("shadow: no PDPTEs at %#lx", v->guest.cr3);
}

static void load_root(struct shadow_vcpu *v)
{
	if (v->mode == SHADOW_PAE)
		v->guest.cr3 = (PDPT + below(PDPTS)) << PAGE_SHIFT | below(3) * 32;
	else if (v->mode != SHADOW_OFF)
		v->guest.cr3 = shadow_tables_root(v->mode >= SHADOW_4) << PAGE_SHIFT;
	if (v->guest.cr4 & CR4_PCIDE)
		v->guest.cr3 |= below(PCIDS);
	latch(v);
}

static void random_mode(struct shadow_vcpu *v)
{
	do
		v->mode = (enum shadow_mode)below(SHADOW_MODES);
	while (!(shadow_sim.c->modes & BIT(v->mode)));
	v->guest.cr0 = CR0_PE | (v->mode != SHADOW_OFF ? CR0_PG : 0);
	v->guest.cr4 = v->mode >= SHADOW_PAE || (v->mode == SHADOW_OFF && below(2)) ? CR4_PAE : 0;
	v->guest.cr4 |= v->mode == SHADOW_32_PSE || (below(2) && v->mode != SHADOW_32) ? CR4_PSE : 0;
	v->guest.cr4 |= v->mode == SHADOW_5 ? CR4_LA57 : 0;
	v->guest.cr4 |= v->mode >= SHADOW_4 && below(2) ? CR4_PCIDE : 0;
	v->guest.efer = v->mode >= SHADOW_4 ? EFER_LME | EFER_LMA : 0;
	random_rights(v);
	load_root(v);
}

void shadow_regs_init(struct shadow_vcpu *v)
{
	random_mode(v);
	v->v.regs = v->guest;
	v->again = false;
	v->stage = 0;
	flushed(v, ALL_PCIDS, shadow_model_now());
}

/* The mode stays, and which root. Returns the PCIDs of which the TLB holds nothing any more. */
static unsigned toggle(struct shadow_vcpu *v)
{
	uint64_t was = v->guest.cr4;
	enum shadow_mode other = v->mode == SHADOW_32 ? SHADOW_32_PSE : SHADOW_32;

	shadow_seen.toggles++;
	random_rights(v);
	if ((v->mode == SHADOW_32 || v->mode == SHADOW_32_PSE) && (shadow_sim.c->modes & BIT(other)) &&
		below(2)) {
		v->mode = other;
		v->guest.cr4 ^= CR4_PSE;
	}
	if (was != v->guest.cr4)
		latch(v);
	if ((was ^ v->guest.cr4) & CR4_PGE)
		return ALL_PCIDS;
	return ~was & v->guest.cr4 & CR4_SMEP ? 1u << pcid(v) : 0;
}

void shadow_regs_change(struct shadow_vcpu *v)
{
	uint64_t version;
	unsigned gone;

	shadow_model_scan();
	version = shadow_model_now();
	switch (below(16)) {
	case 0 ... 1:
		random_mode(v);
		gone = ALL_PCIDS;
		shadow_seen.modes++;
		break;
	case 2 ... 5:
		gone = toggle(v);
		break;
	case 6: /* INVPCID, all contexts; CR4.PGE off and on */
		gone = ALL_PCIDS;
		break;
	case 7: /* the same CR3 */
		latch(v);
		gone = 1u << pcid(v);
		break;
	default:
		load_root(v);
		/* With bit 63, or without. */
		gone = (v->guest.cr4 & CR4_PCIDE) && below(2) ? 0 : 1u << pcid(v);
		shadow_seen.loads++;
	}
	v->v.regs = v->guest;
	shadow_load(&v->v);
	flushed(v, gone, version);
	v->again = false;
	v->stage = 0;
}

void shadow_regs_invlpg(struct shadow_vcpu *v, uint64_t at)
{
	uint64_t version;
	unsigned in = pcid(v);

	shadow_model_scan();
	version = shadow_model_now();
	shadow_seen.invlpgs++;
	/* INVPCID names a PCID, which need not be the current one. */
	if ((v->guest.cr4 & CR4_PCIDE) && !v->stage && !below(3))
		in = (unsigned)below(PCIDS);
	v->v.regs = v->guest;
	/* Of an address that is not canonical, it does nothing. */
	if (!below(50)) {
		shadow_invlpg(&v->v, gva(at ^ BIT(62)));
		return;
	}
	shadow_invlpg(&v->v, gva(at | below(PAGE_SIZE)));
	v->invlpg[v->ninvlpg++ % INVLPGS] = (struct shadow_invlpg){ at >> PAGE_SHIFT, version, 1u << in };
}

void shadow_regs_pdpt(void)
{
	uint64_t e[12];

	for (unsigned i = 0; i < ARRAY_SIZE(e); i++)
		e[i] = below(6) ? shadow_sim.table[4 + below(6)] << PAGE_SHIFT | PTE_P : 0;
	guest_write(shadow_sim.mmu, gpa((PDPT + below(PDPTS)) << PAGE_SHIFT), e, sizeof(e));
}
