/* SPDX-License-Identifier: MIT */
/* Start states of a vCPU (SDM Vol. 3A table 9-1, 8.4.3; boot protocols want the flat ones). */
#include "guest/load/vcpu_state.h"

#include "lib/string.h"

/* Access rights in the VMCS format (SDM Vol. 3C 24.4.1). */
#define AR_PRESENT  BIT(7)
#define AR_S	    BIT(4)
#define AR_DATA	    (AR_PRESENT | AR_S | 3)  /* read/write, accessed */
#define AR_CODE	    (AR_PRESENT | AR_S | 11) /* execute/read, accessed */
#define AR_LDT	    (AR_PRESENT | 2)
#define AR_TSS_BUSY (AR_PRESENT | 11)
#define AR_L	    BIT(13)
#define AR_DB	    BIT(14)
#define AR_G	    BIT(15)
#define AR_UNUSABLE BIT(16)

static const struct cpu_segment data16 = { .limit = 0xffff, .access = AR_DATA };

static void real_mode(struct vcpu_state *s, uint16_t cs, uint64_t cs_base, uint64_t rip)
{
	memset(s, 0, sizeof(*s));
	s->regs.rip = rip;
	s->regs.rflags = RFLAGS_ONE;
	for (unsigned i = 0; i < SEGS; i++)
		s->seg[i] = data16;
	s->seg[SEG_CS] =
		(struct cpu_segment){ .selector = cs, .base = cs_base, .limit = 0xffff, .access = AR_CODE };
	s->ldtr = (struct cpu_segment){ .limit = 0xffff, .access = AR_LDT };
	s->tr = (struct cpu_segment){ .limit = 0xffff, .access = AR_TSS_BUSY };
	s->gdtr.limit = 0xffff;
	s->idtr.limit = 0xffff;
	s->cr0 = CR0_CD | CR0_NW | CR0_ET;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
}

void vcpu_state_power_up(struct vcpu_state *s, uint32_t signature)
{
	real_mode(s, 0xf000, 0xffff0000, 0xfff0);
	s->regs.gpr[RDX] = signature;
}

void vcpu_state_init(struct vcpu_state *s, uint32_t signature)
{
	uint64_t caches = s->cr0 & (CR0_CD | CR0_NW);

	vcpu_state_power_up(s, signature);
	s->cr0 = caches | CR0_ET; /* note 2 of the table */
}

void vcpu_state_sipi(struct vcpu_state *s, uint8_t vector)
{
	s->seg[SEG_CS].selector = (uint16_t)(vector << 8);
	s->seg[SEG_CS].base = (uint64_t)vector << 12;
	s->regs.rip = 0;
}

/* Flat segments of 4 GiB; the loader that writes the GDT sets the selectors. */
static void flat(struct vcpu_state *s, uint64_t rip, uint32_t code_bits)
{
	real_mode(s, 0, 0, rip);
	for (unsigned i = 0; i < SEGS; i++)
		s->seg[i] = (struct cpu_segment){ .limit = 0xffffffff, .access = AR_DATA | AR_DB | AR_G };
	s->seg[SEG_CS] =
		(struct cpu_segment){ .limit = 0xffffffff, .access = (uint32_t)(AR_CODE | AR_G | code_bits) };
	s->ldtr = (struct cpu_segment){ .access = AR_UNUSABLE };
	s->tr.limit = 0x67;
	s->gdtr.limit = 0;
	s->idtr.limit = 0;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE;
}

void vcpu_state_flat32(struct vcpu_state *s, uint32_t eip)
{
	flat(s, eip, AR_DB);
}

void vcpu_state_flat64(struct vcpu_state *s, uint64_t rip, uint64_t cr3)
{
	flat(s, rip, AR_L);
	s->cr0 |= CR0_PG | CR0_WP;
	s->cr3 = cr3;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

/* The specification says nothing of EFER.NXE. Linux 7.2 relies on it (6.1 does not): it goes on in 64-bit mode, and pushes to a
 * stack that its own tables map with XD, which is a reserved bit without NXE, before it writes EFER. */
void vcpu_state_wakeup(struct vcpu_state *s, uint64_t vector, uint64_t cr3)
{
	vcpu_state_flat64(s, vector, cr3);
	s->efer |= EFER_NXE;
}
