/* SPDX-License-Identifier: MIT */
/* Arithmetic as the CPU does it, with its flags. (SDM Vol. 1 3.4.3, 7.3; Vol. 2, each instruction.) */
#pragma once

#include "guest/insn.h"
#include "lib/x86.h"

#define ALU_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* All ones in an operand of 1, 2, 4 or 8 bytes. */
static inline uint64_t alu_mask(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

/*
 * What op leaves in its first operand, given both (zero-extended; the second is ignored by those that have
 * one, and is the count of shifts and the bit number of bit tests). CMP, TEST and BT return the first
 * unchanged. Updates the arithmetic flags in *rflags; flags that the SDM calls undefined get some value.
 * op: INSN_ADD..INSN_BTC, INSN_XCHG, INSN_XADD, INSN_MOV.
 */
uint64_t alu(enum insn_op op, unsigned size, uint64_t first, uint64_t second, uint64_t *rflags);

/* Is the condition of SETcc and CMOVcc (opcode bits 3:0) true? (SDM Vol. 1 appendix B.) */
bool alu_condition(unsigned cond, uint64_t rflags);
