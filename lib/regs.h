/* SPDX-License-Identifier: MIT */
/*
 * The general registers of a CPU, guest's or host's, in the encoding order of ModRM (SDM Vol. 2A 2.2.1.2),
 * so that an instruction's register number is the index. hv/host/entry.asm saves and loads gpr[] by these offsets.
 */
#pragma once

#include "lib/types.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

struct cpu_regs {
	uint64_t gpr[GPRS];
	uint64_t rip;
	uint64_t rflags;
};

/* Segment registers in the order of their encoding in MOV Sreg, which is also the VMCS's order. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEGS };

/* A segment register with its hidden part. `access` is in the VMCS format (SDM Vol. 3C 24.4.1): bits 3:0 type,
 * 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. */
struct cpu_segment {
	uint16_t selector;
	uint32_t limit;
	uint32_t access;
	uint64_t base;
};

_Static_assert(offsetof(struct cpu_regs, rip) == 8 * GPRS, "entry.asm counts on it");
