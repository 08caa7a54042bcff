/* SPDX-License-Identifier: MIT */
/* Arithmetic as the CPU does it, with its flags. (SDM Vol. 1 3.4.3, 7.3; Vol. 2, each instruction.) */
#pragma once

#include "guest/emu/insn.h"
#include "lib/x86.h"

#define ALU_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* All ones in an operand of 1, 2, 4 or 8 bytes. */
static inline uint64_t alu_mask(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

/*
 * Returns what the instruction `op` writes to its first operand. Both operands are zero-extended. Instructions
 * with one operand ignore `second`; it is the count of a shift and the bit number of a bit test. CMP, TEST and BT
 * return `first` unchanged, and so does a bit scan of 0. Updates the arithmetic flags in *rflags; a flag that the
 * SDM calls undefined gets some value.
 * op: INSN_ADD..INSN_POPCNT, INSN_XCHG, INSN_XADD, INSN_MOV.
 */
uint64_t alu(enum insn_op op, unsigned size, uint64_t first, uint64_t second, uint64_t *rflags);

/* SHLD and SHRD: `first` shifted by count (as the instruction has it), filled from `fill`. With 2 bytes and a count
 * above 16 the SDM calls the result undefined; this gives some value. */
uint64_t alu_shift_double(
	enum insn_op op, unsigned size, uint64_t first, uint64_t fill, uint64_t count, uint64_t *rflags);

/* MUL and IMUL_WIDE: the two halves of the product, `size` bytes each. */
void alu_multiply(enum insn_op op, unsigned size, uint64_t a, uint64_t b, uint64_t *high, uint64_t *low,
	uint64_t *rflags);
/* DIV and IDIV of high:low (`size` bytes each). False: #DE. Changes no flags: all are undefined. */
bool alu_divide(enum insn_op op, unsigned size, uint64_t high, uint64_t low, uint64_t divisor,
	uint64_t *quotient, uint64_t *rest);
/* CRC32: `bytes` more bytes into the checksum. */
uint32_t alu_crc32(uint32_t crc, uint64_t value, unsigned bytes);

/* True if the condition of SETcc and CMOVcc (opcode bits 3:0) holds (SDM Vol. 1 appendix B). */
bool alu_condition(unsigned cond, uint64_t rflags);
