/* SPDX-License-Identifier: MIT */
/*
 * The shadow back end, as hv/ sees it: page tables for a guest whose second stage is not the CPU's EPT. The CPU runs on tables
 * that are made from the guest's own, entry by entry, as it faults:
 *
 *	the guest's CR3 --> its tables --> gpa			what the guest believes (mm/space/walker.h)
 *	CR3 of the VMCS --> shadow pages ----------> hpa	what the CPU walks
 *
 * hv/ keeps v->regs, the guest's own idea of its registers, up to date before each call here, with the PDPTEs of PAE paging as
 * they were latched. It gives the CPU in their place:
 *
 *	CR0	PE, PG, WP and NE set: the guest's WP = 0 is in the tables
 *	CR3	mmu_root_pointer(), which changes in mmu_serve() and is below 4 GiB outside IA-32e mode
 *	CR4	PAE set, PCIDE clear; SMEP and SMAP the guest's while its paging is on, else clear
 *	EFER	NXE set; LME and LMA both as the guest's LMA
 *
 * and has exits for page faults (all of them), MOV to and from CR3, INVLPG, INVPCID, changes of those bits, and of EFER.
 */
#pragma once

#include "mm/mmu/mmu.h"

extern const struct backend mmu_backend_shadow;

/*
 * A page fault in the guest, as the CPU raised it: error is its error code, `at` its CR2. Sets accessed and dirty flags in the
 * guest's tables as the CPU would.
 *
 * MMU_RESUME; MMU_INJECT: it is the guest's own, with error code v->inject; MMU_MMIO, MMU_ROM, MMU_TABLE: the access at v->fault_at is
 * to be emulated (MMU_TABLE: a store into memory that holds a page table of the guest's: if the emulator cannot,
 * shadow_unprotect()); MMU_EXEC_MMIO; MMU_NO_MEMORY. Locks: takes the MMU lock.
 */
enum mmu_verdict shadow_fault(struct mmu_vcpu *v, gva_t at, uint32_t error);

/* The guest has loaded CR3 (also with the value that it had, also with bit 63), has changed CR0, CR4 or EFER, or has dropped all
 * that its TLB held of an address space or of all (INVPCID types 1 to 3, CR4.PGE): v->regs says what is true now. The next mmu_serve(), which
 * comes before the next entry, takes the root for it and flushes. Locks: takes the MMU lock. */
void shadow_load(struct mmu_vcpu *v);

/* INVLPG, INVPCID type 0: what the TLB holds of this page goes. Locks: takes the MMU lock. */
void shadow_invlpg(struct mmu_vcpu *v, gva_t at);

/* After MMU_TABLE: from the frame at this gpa no table is made any more, so that the guest can store into it by itself. Locks:
 * takes the MMU lock. */
void shadow_unprotect(struct mmu_vcpu *v, gpa_t at);

/* The same, where the store is translated by that very table, so that it is made from again at once: the guest stores unnoticed, until
 * it invalidates what its TLB may hold of what the table said. And where the store is to be emulated because CR0.WP = 0 allows it and SMAP
 * would not see the page any more: the page is mapped for it, until its next INVLPG. Locks: takes the MMU lock. */
void shadow_let_store(struct mmu_vcpu *v, gpa_t at);
