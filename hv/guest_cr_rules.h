/* SPDX-License-Identifier: MIT */
/*
 * When a write to CR0, CR4, EFER or XCR0 raises #GP(0) (SDM Vol. 3A 2.5, 4.1, 9.8.5; Vol. 1 13.3). Pure
 * (hv/guest_cr_rules.c), for tests: what they judge is what the guest believes, not what the CPU was given.
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
/* Does the write load the PDPTEs of PAE paging? (The entries may have reserved bits: #GP, too.) */
bool cr0_loads_pdptes(const struct cr_state *s, uint64_t new);
bool cr4_loads_pdptes(const struct cr_state *s, uint64_t new);
/* supported: bits that XCR0 can have on this machine. */
bool xcr0_ok(uint64_t new, uint64_t supported);
