/* SPDX-License-Identifier: MIT */
#include "hv/vm/guest_msr_pure.h"

#include "guest/dev/layout.h"
#include "lib/string.h"
#include "lib/x86.h"

/* ---- MTRRs ---- */

#define FIXED_FIRST 16
#define DEF_TYPE    27

#define MTRR_VALID	  BIT(11) /* in PHYSMASK */
#define MTRR_ENABLE	  BIT(11) /* in DEF_TYPE */
#define MTRR_FIXED_ENABLE BIT(10)

int guest_mtrr_index(uint32_t msr)
{
	if (msr >= MSR_MTRR_PHYSBASE0 && msr < MSR_MTRR_PHYSBASE0 + FIXED_FIRST)
		return (int)(msr - MSR_MTRR_PHYSBASE0);
	if (msr == MSR_MTRR_FIX64K_00000)
		return FIXED_FIRST;
	if (msr == MSR_MTRR_FIX16K_80000 || msr == MSR_MTRR_FIX16K_A0000)
		return (int)(17 + msr - MSR_MTRR_FIX16K_80000);
	if (msr >= MSR_MTRR_FIX4K_C0000 && msr < MSR_MTRR_FIX4K_C0000 + 8)
		return (int)(19 + msr - MSR_MTRR_FIX4K_C0000);
	return msr == MSR_MTRR_DEF_TYPE ? DEF_TYPE : -1;
}
_Static_assert(GUEST_MTRRS == DEF_TYPE + 1, "guest_mtrr_index() counts 28");

static bool memtype_ok(uint64_t t)
{
	return t == MT_UC || t == MT_WC || (t >= MT_WT && t <= MT_WB);
}

bool guest_mtrr_ok(unsigned index, uint64_t value, unsigned maxphyaddr)
{
	uint64_t beyond = BITS(63, maxphyaddr);
	bool ok = true;

	if (index == DEF_TYPE)
		return memtype_ok(value & 0xff) && !(value & ~(MTRR_ENABLE | MTRR_FIXED_ENABLE | 0xff));
	if (index < FIXED_FIRST && index & 1) /* PHYSMASK */
		return !(value & (beyond | BITS(10, 0)));
	if (index < FIXED_FIRST)
		return memtype_ok(value & 0xff) && !(value & (beyond | BITS(11, 8)));
	for (unsigned b = 0; b < 64; b += 8)
		ok &= memtype_ok(value >> b & 0xff);
	return ok;
}

void guest_mtrr_firmware(uint64_t mtrr[GUEST_MTRRS], unsigned maxphyaddr)
{
	const uint64_t each = 0x0101010101010101;

	memset(mtrr, 0, GUEST_MTRRS * sizeof(*mtrr));
	mtrr[0] = LAYOUT_PCI | MT_UC;
	mtrr[1] = (BITS(maxphyaddr - 1, 12) & ~(LAYOUT_HIGH - LAYOUT_PCI - 1)) | MTRR_VALID;
	mtrr[16] = mtrr[17] = each * MT_WB; /* 0 to 9FFFFh */
	mtrr[18] = each * MT_UC;	    /* A0000h to BFFFFh */
	for (unsigned i = 19; i < DEF_TYPE; i++)
		mtrr[i] = each * MT_WP;
	mtrr[DEF_TYPE] = MTRR_ENABLE | MTRR_FIXED_ENABLE | MT_WB;
}

bool guest_pat_ok(uint64_t value)
{
	bool ok = true;

	for (unsigned b = 0; b < 64; b += 8)
		ok &= memtype_ok(value >> b & 0xff) || (value >> b & 0xff) == MT_UC_MINUS;
	return ok;
}

/* ---- IA32_MISC_ENABLE ---- */

uint64_t guest_misc_enable(uint64_t value)
{
	/* Kept, since nothing follows from them in a VM: fast strings, thermal control, SpeedStep, xTPR messages. */
	const uint64_t kept = MISC_ENABLE_FAST_STRINGS | BIT(3) | BIT(16) | BIT(23);

	/* Read-only: BTS and PEBS are unavailable. Of the rest (MONITOR, limit CPUID, XD disable) the guest has none. */
	return (value & kept) | BIT(11) | BIT(12);
}

/* ---- speculation ---- */

uint64_t guest_arch_capabilities(uint64_t host, const struct mitigations *m)
{
	/* RDCL_NO IBRS_ALL RSBA SKIP_L1DFL_VMENTRY SSB_NO MDS_NO PSCHANGE_MC_NO TAA_NO; SBDR_SSDP_NO FBSDP_NO PSDP_NO;
	 * FB_CLEAR RRSBA BHI_NO PBRSB_NO GDS_NO RFDS_NO RFDS_CLEAR ITS_NO (SDM Vol. 4 table 2-2). */
	uint64_t value = host & (BITS(6, 0) | BIT(8) | BITS(15, 13) | BIT(17) | BITS(20, 19) | BIT(24) |
					BITS(28, 26) | CAP_ITS_NO);

	/* What is always on cannot be switched by the guest, and need not be. */
	if (m->measures.spec_ctrl & SPEC_CTRL_BHI_DIS_S)
		value |= CAP_BHI_NO;
	if (m->measures.gds_lock)
		value |= CAP_GDS_NO;
	/* No CPU has this bit: hypervisors set it, so that guests need not know the model. */
	if (m->its_no)
		value |= CAP_ITS_NO;
	return value;
}

/* ---- the bitmap ---- */

static const uint32_t passed[] = {
	MSR_SYSENTER_CS,
	MSR_SYSENTER_ESP,
	MSR_SYSENTER_EIP,
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_SYSCALL_MASK,
	MSR_FS_BASE,
	MSR_GS_BASE,
	MSR_KERNEL_GS_BASE,
};

static void pass(uint8_t *bitmap, uint32_t msr, bool read, bool write)
{
	unsigned at = (msr & 0x1fff) / 8 + (msr >= 0xc0000000 ? 1024 : 0);
	uint8_t bit = (uint8_t)(1u << (msr & 7));

	if (read)
		bitmap[at] &= (uint8_t)~bit;
	if (write)
		bitmap[at + 2048] &= (uint8_t)~bit;
}

/* Reads come from the virtual-APIC page, whatever lies there, so only those of registers that exist are passed; the
 * timer's current count is not in the page. TPR, EOI and self-IPI writes the CPU does (SDM Vol. 3C 29.5). */
static void pass_x2apic(uint8_t *bitmap, bool (*exists)(uint32_t msr, bool write))
{
	for (uint32_t msr = MSR_X2APIC; msr <= MSR_X2APIC + 0xff; msr++)
		if (exists(msr, false) && msr != MSR_X2APIC + 0x39)
			pass(bitmap, msr, true, false);
	pass(bitmap, MSR_X2APIC + 0x08, false, true);
	pass(bitmap, MSR_X2APIC + 0x0b, false, true);
	pass(bitmap, MSR_X2APIC + 0x3f, false, true);
}

void guest_msr_bitmap(uint8_t *bitmap, const struct msr_bitmap_params *p)
{
	memset(bitmap, 0xff, PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
		pass(bitmap, passed[i], true, true);
	if (p->pat)
		pass(bitmap, MSR_PAT, true, true);
	if (p->efer) /* else the VMCS may not hold what the guest believes (hv/vm/guest_cr.c) */
		pass(bitmap, MSR_EFER, true, false);
	pass(bitmap, MSR_TSC, true, false);
	if (p->tsc_aux)
		pass(bitmap, MSR_TSC_AUX, true, true);
	if (p->x2apic)
		pass_x2apic(bitmap, p->x2apic_register);
}
