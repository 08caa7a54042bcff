/* SPDX-License-Identifier: MIT */
/*
 * The architectural state of a vCPU as loaders set it, INIT and SIPI reset it and dumps show it. hv/ moves it into
 * and out of the VMCS.
 */
#pragma once

#include "lib/regs.h"
#include "lib/x86.h"

struct cpu_table {
	uint64_t base;
	uint16_t limit;
};

struct vcpu_state {
	struct cpu_regs regs;
	struct cpu_segment seg[SEGS], ldtr, tr;
	struct cpu_table gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t dr[4], dr6, dr7;
};

/* The state after power-up (SDM Vol. 3A table 9-1): real mode at F000:FFF0, EDX = signature, which is what CPUID leaf 1
 * shows in EAX. */
void vcpu_state_power_up(struct vcpu_state *s, uint32_t signature);
/* Turns the state into the one after INIT (table 9-1): as after power-up, but CR0.CD and CR0.NW stay. What is not in
 * this structure (x87 and SSE registers, MSRs, XCR0) INIT does not change at all. */
void vcpu_state_init(struct vcpu_state *s, uint32_t signature);
/* Turns the state after INIT into the one after a SIPI with this vector (SDM Vol. 3A 8.4.3): execution begins at
 * vector << 12, the rest stays. */
void vcpu_state_sipi(struct vcpu_state *s, uint8_t vector);
/* 32-bit protected mode, paging off, flat 4 GiB segments (no tables in memory needed until a segment is loaded). */
void vcpu_state_flat32(struct vcpu_state *s, uint32_t eip);
/* 64-bit mode with flat segments, paging on with cr3. */
void vcpu_state_flat64(struct vcpu_state *s, uint64_t rip, uint64_t cr3);
/* The state after the wakeup mailbox (ACPI 6.4, 5.2.12.19): 64-bit mode, interrupts off, paging on with cr3, flat segments whose
 * selectors mean nothing. */
void vcpu_state_wakeup(struct vcpu_state *s, uint64_t vector, uint64_t cr3);
