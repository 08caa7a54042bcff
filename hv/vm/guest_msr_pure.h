/* SPDX-License-Identifier: MIT */
/*
 * Values of a guest's MSRs: what WRMSR refuses with #GP, what of a value is kept, what firmware leaves, and which MSRs
 * the bitmap passes to the CPU. Pure (hv/vm/guest_msr_pure.c), for tests.
 */
#pragma once

#include "hv/host/mitigate_pure.h"

#define GUEST_MTRRS 28 /* eight variable pairs, eleven fixed ones, the default type */

/* IA32_MTRRCAP: eight variable ranges, fixed ranges, write-combining. */
#define GUEST_MTRRCAP (8 | BIT(8) | BIT(10))

/* Returns the place of an MTRR in struct vcpu's mtrr[], or -1. */
int guest_mtrr_index(uint32_t msr);
/* True if WRMSR takes the value (SDM Vol. 3A 11.11.2): memory types exist, reserved bits and address bits from
 * maxphyaddr up are 0. index: as guest_mtrr_index() gives it. */
bool guest_mtrr_ok(unsigned index, uint64_t value, unsigned maxphyaddr);
/* Fills in the MTRRs as a PC's firmware leaves them: on, write-back by default; uncached are the VGA's addresses, those
 * of ROMs and BIOS (write-protected), and the PCI window with the APICs. */
void guest_mtrr_firmware(uint64_t mtrr[GUEST_MTRRS], unsigned maxphyaddr);

/* True if WRMSR to IA32_PAT takes the value: each of its eight memory types exists (SDM Vol. 3A 11.12.2). */
bool guest_pat_ok(uint64_t value);
#define GUEST_PAT_POWER_UP 0x0007040600070406 /* 11.12.4 */

/* IA32_MISC_ENABLE (SDM Vol. 4 table 2-2) as RDMSR shows it after a WRMSR of `value`; 0 is not special. */
#define MISC_ENABLE_FAST_STRINGS BIT(0)
uint64_t guest_misc_enable(uint64_t value);

/* Returns IA32_ARCH_CAPABILITIES as a guest sees it on a CPU that has `host` there and is dealt with as `m` says: what tells
 * the guest what it need not, must or can do itself, but not what would let it use MSRs that it does not have. */
uint64_t guest_arch_capabilities(uint64_t host, const struct mitigations *m);

/* What of the machine and the VM the MSR bitmap depends on. */
struct msr_bitmap_params {
	bool efer;    /* the VMCS holds the guest's own IA32_EFER */
	bool pat;     /* VM entry and exit switch IA32_PAT */
	bool tsc_aux; /* the CPU has IA32_TSC_AUX */
	bool x2apic;  /* "virtualize x2APIC mode" is on with this bitmap */
	bool (*x2apic_register)(uint32_t msr, bool write); /* does x2APIC mode have it? */
};
/* Fills in an MSR bitmap of 4 KiB: a bit per MSR and direction, 0 passes (SDM Vol. 3C 24.6.9). */
void guest_msr_bitmap(uint8_t *bitmap, const struct msr_bitmap_params *p);
