/* SPDX-License-Identifier: MIT */
/*
 * When a write to CR0, CR4, EFER or XCR0 raises #GP(0) (SDM Vol. 3A 2.5, 4.1, 9.8.5; Vol. 1 13.3). Pure
 * (hv/vm/guest_cr_pure.c), for tests: what they judge is what the guest believes, not what the CPU was given.
 */
#pragma once

#include "lib/types.h"

struct cr_state {
	uint64_t cr0, cr3, cr4, efer; /* before the write */
	uint64_t cr4_allowed;
	bool cs_l;  /* CS.L, whether it means something in this mode or not */
	bool tss16; /* TR holds a 16-bit TSS */
};

bool cr0_ok(const struct cr_state *s, uint64_t new);
bool cr4_ok(const struct cr_state *s, uint64_t new);
bool efer_ok(const struct cr_state *s, uint64_t new);
/* CR4 as the CPU gets it. MCE is Lethe's and always on: with it off a machine check shuts the machine down instead of
 * exiting (SDM Vol. 3C 25.2). Behind the hidden page directory: 32-bit paging with 4 MiB pages, and nothing that has rules
 * of its own there. */
uint64_t cr4_real(uint64_t cr4, bool hidden_paging);
/* The guest/host mask of CR4: bits that the guest reads from the shadow, and whose change exits. */
uint64_t cr4_mask(uint64_t allowed, bool hidden_paging);
/* Does the write load the PDPTEs of PAE paging? (The entries may have reserved bits: #GP, too.) */
bool cr0_loads_pdptes(const struct cr_state *s, uint64_t new);
bool cr4_loads_pdptes(const struct cr_state *s, uint64_t new);
/* supported: bits that XCR0 can have on this machine. */
bool xcr0_ok(uint64_t new, uint64_t supported);
