/* SPDX-License-Identifier: MIT */
/*
 * The guest's control registers and EFER: what the guest believes, what the CPU is given, and the rules for changing
 * them (SDM Vol. 3A 2.5, 4.1, 9.8; Vol. 3C 23.8, 25.3).
 *
 * Without unrestricted guest the CPU insists on CR0.PE and CR0.PG. A guest that has its paging off then runs behind a
 * hidden page directory that maps the lower 4 GiB to itself in 4 MiB pages (vm->identity_map); its own CR3 waits in
 * hidden_cr3, an EFER.LME in hidden_lme. A guest that leaves protected mode is refused.
 *
 * On shadow page tables the CPU has none of the guest's own paging. What the guest believes stands in mmu.regs, where the MMU
 * reads it: of CR3, EFER and the latched PDPTEs always, of CR0 and CR4 the bits that decide on paging, which it cannot change
 * without an exit. (Other bits of CR0 and CR4, such as TS, are the CPU's: vcpu_paging_regs() brings them there.) Each change
 * that paging depends on ends in shadow_load().
 */
#pragma once

#include "hv/vm/vcpu.h"

void cr_init(struct vcpu *v); /* masks */
void cr_set_all(struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer);
uint64_t cr0_read(struct vcpu *v);
uint64_t cr3_read(struct vcpu *v);
uint64_t cr4_read(struct vcpu *v);
uint64_t efer_read(struct vcpu *v);
/* A MOV to the register by the guest. 0; -E_INVAL: #GP(0); -E_NOSUP: the guest cannot go on (has been ended). */
int cr0_write(struct vcpu *v, uint64_t value);
int cr3_write(struct vcpu *v, uint64_t value);
int cr4_write(struct vcpu *v, uint64_t value);
int efer_write(struct vcpu *v, uint64_t value);
/* CR4 bits that a guest may set on this machine. */
uint64_t cr4_allowed(void);
