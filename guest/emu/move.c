/* SPDX-License-Identifier: MIT */
/* Instructions that move: registers, immediates, conditions, the stack, XMM registers. */
#include "guest/emu/alu.h"
#include "guest/emu/operand.h"
#include "lib/string.h"

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

/* With UMIP these are not for user mode (SDM Vol. 2B, SMSW). */
int emu_exec_system(struct emu *e)
{
	static const enum emu_system which[] = { EMU_CR0, EMU_LDTR, EMU_TR };
	struct emu_mem m;
	int rc;

	if (e->insn.op != INSN_SMSW && !e->protected_mode)
		return emu_fault(e, VEC_UD);
	if (e->umip && e->cpl)
		return emu_fault(e, VEC_GP);
	if (!e->ops->system)
		return emu_refuse(e, "a store of a system register");
	rc = emu_open_rm(e, &m, EMU_WRITE);
	return rc ? rc : emu_write_value(e, &m, e->ops->system(e, which[e->insn.op - INSN_SMSW]));
}

/* The AVX form: a load clears the register above what it loads. */
static int emu_exec_ymm(struct emu *e)
{
	const struct insn *i = &e->insn;
	bool load = i->form == INSN_REG_RM;
	uint8_t value[32] = { 0 };
	struct emu_mem m;
	int rc;

	if (!e->ops->ymm_read || !e->ops->ymm_write)
		return emu_refuse(e, "an AVX move, with no access to YMM registers");
	/* Before the first access, because reading a device may change it. */
	if (!e->ops->ymm_read(e, i->reg, value))
		return emu_fault(e, VEC_UD);
	rc = emu_open_rm(e, &m, load ? EMU_READ : EMU_WRITE);
	if (rc)
		return rc;
	if (!load)
		return emu_write(e, &m, value + (i->op == INSN_XMM_STORE_HIGH ? 8 : 0));
	memset(value, 0, sizeof(value));
	rc = emu_read(e, &m, value);
	if (!rc)
		e->ops->ymm_write(e, i->reg, value);
	return rc;
}

int emu_exec_xmm(struct emu *e)
{
	const struct insn *i = &e->insn;
	bool load = i->form == INSN_REG_RM;
	uint8_t value[16] = { 0 }, *part = value;
	struct emu_mem m;
	int rc;

	if (i->flags & INSN_VEX)
		return emu_exec_ymm(e);
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
