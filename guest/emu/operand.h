/* SPDX-License-Identifier: MIT */
/* The operands of the decoded instruction, by its form and size. Private to the emulator. */
#pragma once

#include "guest/emu/emu.h"

/* The effective address (SDM Vol. 1 3.7.5); RIP-relative counts from the next instruction. */
static inline uint64_t emu_address_64(const struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t at = (uint64_t)i->disp;

	if (i->base < GPRS)
		at += e->regs->gpr[i->base];
	else if (i->base == INSN_RIP)
		at += e->regs->rip + i->len;
	if (i->index < GPRS)
		at += e->regs->gpr[i->index] << i->scale;
	return at;
}
static inline uint64_t emu_address(const struct emu *e)
{
	return emu_address_64(e) & (~0ull >> (64 - 8 * e->insn.addr_size));
}

static inline int emu_open_rm(struct emu *e, struct emu_mem *m, unsigned access)
{
	return emu_open(e, m, e->insn.seg, emu_address(e), e->insn.mem_size, access, true);
}

/* Of an instruction that has another memory operand: then e->gpa may be that one's. */
static inline int emu_open_rm_of_two(struct emu *e, struct emu_mem *m, unsigned access)
{
	return emu_open(e, m, e->insn.seg, emu_address(e), e->insn.mem_size, access, false);
}

static inline uint64_t emu_get_op_reg(const struct emu *e, unsigned n)
{
	return emu_reg(e, n, e->insn.size, e->insn.flags & INSN_REX);
}
static inline void emu_set_op_reg(struct emu *e, unsigned n, uint64_t v)
{
	emu_set_reg(e, n, e->insn.size, e->insn.flags & INSN_REX, v);
}

/* The operand that is not memory. */
static inline uint64_t emu_other(const struct emu *e)
{
	switch (e->insn.form) {
	case INSN_RM_REG:
	case INSN_REG_RM:
		return emu_get_op_reg(e, e->insn.reg);
	case INSN_RM_IMM:
	case INSN_REG_RM_IMM:
		return e->insn.imm;
	case INSN_RM_CL:
		return emu_reg(e, RCX, 1, true);
	default:
		return 0;
	}
}

static inline uint64_t emu_sign_extended(uint64_t v, unsigned size)
{
	return sign_extend(v, 8 * size);
}
