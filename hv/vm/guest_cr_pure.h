/* SPDX-License-Identifier: MIT */
/*
 * When a write to CR0, CR4, EFER or XCR0 raises #GP(0) (SDM Vol. 3A 2.5, 4.1, 9.8.5; Vol. 1 13.3), and what the CPU is given
 * in place of what the guest believes. Pure (hv/vm/guest_cr_pure.c), for tests.
 */
#pragma once

#include "lib/types.h"

struct cr_state {
	uint64_t cr0, cr3, cr4, efer; /* before the write, as the guest believes them to be */
	uint64_t cr4_allowed;
	bool cs_l;  /* CS.L, whether it means something in this mode or not */
	bool tss16; /* TR holds a 16-bit TSS */
};

bool cr0_ok(const struct cr_state *s, uint64_t new);
bool cr4_ok(const struct cr_state *s, uint64_t new);
bool efer_ok(const struct cr_state *s, uint64_t new);

/* What the guest's addresses are translated by. */
enum cr_paging {
	CR_UNRESTRICTED, /* EPT behind the guest's own paging, or behind none */
	CR_RESTRICTED, /* EPT behind the guest's own paging, which is on: without unrestricted guest it cannot be off */
	CR_HIDDEN, /* EPT behind the hidden page directory: the guest's own paging is off */
	CR_SHADOW, /* shadow page tables, whether its own paging is on or off (mm/shadow/shadow.h) */
};

/* CR0 as the CPU gets it: NE and the caches stay on. On shadow page tables the guest's WP = 0 is in the tables. */
uint64_t cr0_real(enum cr_paging how, uint64_t cr0);
/* CR4 as the CPU gets it. MCE is Lethe's and always on: with it off a machine check shuts the machine down instead of
 * exiting (SDM Vol. 3C 25.2). Behind the hidden page directory: 32-bit paging with 4 MiB pages, and nothing that has rules
 * of its own there. On shadow page tables: entries of 8 bytes, and of the guest's bits those that are not in the tables. */
uint64_t cr4_real(enum cr_paging how, const struct cr_state *s);
/* EFER as the CPU gets it. While paging is on, LME must agree with LMA (SDM Vol. 3C 26.3.1.1). */
uint64_t efer_real(enum cr_paging how, uint64_t efer);
/* The guest/host masks: bits that the guest reads from the shadow, and whose change exits. */
uint64_t cr0_mask(enum cr_paging how);
uint64_t cr4_mask(enum cr_paging how, uint64_t allowed);
/* On shadow page tables: do the tables depend on what has changed, or does the change drop translations (SDM Vol. 3A 4.10.4.1)? */
bool cr_reloads(const struct cr_state *from, const struct cr_state *to);

/* Does the write load the PDPTEs of PAE paging? (The entries may have reserved bits: #GP, too.) */
bool cr0_loads_pdptes(const struct cr_state *s, uint64_t new);
bool cr4_loads_pdptes(const struct cr_state *s, uint64_t new);
/* supported: bits that XCR0 can have on this machine. */
bool xcr0_ok(uint64_t new, uint64_t supported);
