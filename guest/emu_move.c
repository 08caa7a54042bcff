/* SPDX-License-Identifier: MIT */
/* Instructions that move: registers, immediates, conditions, the stack, XMM registers. */
#include "guest/alu.h"
#include "guest/emu_operand.h"

static uint64_t swapped(uint64_t v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* MOV, MOVZX, MOVSX, MOVBE. */
int emu_exec_mov(struct emu *e)
{
	const struct insn *i = &e->insn;
	struct emu_mem m;
	uint64_t v;
	int rc;

	if (i->form != INSN_REG_RM) {
		rc = emu_open_rm(e, &m, EMU_WRITE);
		if (rc)
			return rc;
		v = emu_other(e);
		return emu_write_value(e, &m, i->op == INSN_MOVBE ? swapped(v, i->size) : v);
	}
	rc = emu_open_rm(e, &m, EMU_READ);
	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (rc)
		return rc;
	if (i->op == INSN_MOVSX)
		v = emu_sign_extended(v, i->mem_size);
	else if (i->op == INSN_MOVBE)
		v = swapped(v, i->size);
	emu_set_op_reg(e, i->reg, v);
	return 0;
}

int emu_exec_setcc(struct emu *e)
{
	struct emu_mem m;
	int rc = emu_open_rm(e, &m, EMU_WRITE);

	return rc ? rc : emu_write_value(e, &m, alu_condition(e->insn.cond, e->regs->rflags));
}

/* The memory is read, and the upper half of a 4-byte register cleared, whatever the condition. */
int emu_exec_cmovcc(struct emu *e)
{
	const struct insn *i = &e->insn;
	struct emu_mem m;
	uint64_t v;
	int rc = emu_open_rm(e, &m, EMU_READ);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (rc)
		return rc;
	emu_set_op_reg(e, i->reg, alu_condition(i->cond, e->regs->rflags) ? v : emu_get_op_reg(e, i->reg));
	return 0;
}

/* Bytes of the stack pointer: SS.B, in 64-bit mode 8 (SDM Vol. 1 6.2.3). */
static unsigned stack_size(struct emu *e)
{
	if (e->mode == INSN_MODE_64)
		return 8;
	return emu_segment(e, SEG_SS)->access & BIT(14) ? 4 : 2;
}

int emu_exec_push(struct emu *e)
{
	unsigned s = stack_size(e), size = e->insn.size;
	uint64_t top = (emu_addr_reg(e, RSP, s) - size) & (~0ull >> (64 - 8 * s)), v;
	struct emu_mem m, stack;
	int rc = emu_open_rm_of_two(e, &m, EMU_READ);

	if (!rc)
		rc = emu_open(e, &stack, SEG_SS, top, size, EMU_WRITE, false);
	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (!rc)
		rc = emu_write_value(e, &stack, v);
	if (!rc)
		emu_set_addr_reg(e, RSP, s, top);
	return rc;
}

/* A destination that is addressed by RSP is where RSP points to after the pop (SDM Vol. 2B, POP). */
int emu_exec_pop(struct emu *e)
{
	unsigned s = stack_size(e), size = e->insn.size;
	uint64_t top = emu_addr_reg(e, RSP, s), before = e->regs->gpr[RSP], v;
	struct emu_mem m, stack;
	int rc = emu_open(e, &stack, SEG_SS, top, size, EMU_READ, false);

	emu_set_addr_reg(e, RSP, s, top + size);
	if (!rc)
		rc = emu_open_rm_of_two(e, &m, EMU_WRITE);
	if (!rc)
		rc = emu_read_value(e, &stack, &v);
	if (!rc)
		rc = emu_write_value(e, &m, v);
	if (rc)
		e->regs->gpr[RSP] = before;
	return rc;
}

int emu_exec_xmm(struct emu *e)
{
	const struct insn *i = &e->insn;
	bool load = i->form == INSN_REG_RM;
	uint8_t value[16] = { 0 }, *part = value;
	struct emu_mem m;
	int rc;

	if (!e->ops->xmm_read || !e->ops->xmm_write)
		return emu_refuse(e, "an SSE move, with no access to XMM registers");
	rc = emu_open_rm(e, &m, load ? EMU_READ : EMU_WRITE);
	if (rc)
		return rc;
	if (i->op != INSN_XMM_LOAD)
		e->ops->xmm_read(e, i->reg, value);
	if (i->op == INSN_XMM_LOAD_HIGH || i->op == INSN_XMM_STORE_HIGH)
		part += 8;
	if (!load)
		return emu_write(e, &m, part);
	rc = emu_read(e, &m, part);
	if (!rc)
		e->ops->xmm_write(e, i->reg, value);
	return rc;
}

int emu_exec_clflush(struct emu *e)
{
	struct emu_mem m;

	return emu_open_rm(e, &m, EMU_READ);
}
