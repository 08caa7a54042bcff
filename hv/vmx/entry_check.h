/* SPDX-License-Identifier: MIT */
/*
 * The checks that VM entry makes on guest state (SDM Vol. 3C 26.3.1), in words: an entry that fails says only "invalid
 * guest state", so Lethe goes through them itself and names the first that does not hold. Pure, over a copy of the
 * fields (hv/vmx/entry_check_pure.c), for tests.
 */
#pragma once

#include "guest/load/vcpu_state.h"

struct vmcs;

struct entry_state {
	struct vcpu_state s; /* with the CR0 and CR4 that the CPU was given, not what the guest believes */
	uint64_t debugctl, pat, pending_debug, link, sysenter_esp, sysenter_eip;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint32_t interruptibility, activity, event_info;
	unsigned maxphyaddr;
	bool ia32e, unrestricted, ept, virtual_nmis;
	uint64_t pdpte[4];
	uint32_t gdtr_limit, idtr_limit; /* as the VMCS has them: 32 bits */
};

/* True if the guest begins with PAE paging, whose PDPTEs the entry loads. */
bool entry_has_pdptes(const struct entry_state *e);
const char *entry_check_rules(const struct entry_state *e);
/* Names the check that the guest state of a VMCS, which is current, breaks; NULL if none is found. s: its registers. */
const char *entry_check(const struct vmcs *m, const struct vcpu_state *s);
