/* SPDX-License-Identifier: MIT */
/* Arithmetic instructions. The result goes to a register, nowhere (CMP, TEST), or to memory, perhaps with LOCK. */
#include "guest/emu/alu.h"
#include "guest/emu/operand.h"
#include "lib/string.h"

/*
 * A bit number in a register is signed and counts from the operand's first byte. The memory accessed is the
 * piece of operand size that holds the bit (SDM Vol. 1 4.4.2.1).
 */
static int open_bit_string(struct emu *e, struct emu_mem *m, unsigned access)
{
	const struct insn *i = &e->insn;
	unsigned log_bits = 3 + bit_lowest(i->size);
	int64_t number = (int64_t)emu_sign_extended(emu_get_op_reg(e, i->reg), i->size);
	uint64_t at = emu_address(e) + (uint64_t)(number >> log_bits) * i->size;

	return emu_open(e, m, i->seg, at & (~0ull >> (64 - 8 * i->addr_size)), i->size, access, true);
}

static bool only_looks(unsigned op)
{
	return op == INSN_CMP || op == INSN_TEST || op == INSN_BT;
}

/* Arithmetic with the result in a register, or in none. */
static int exec_alu_read(struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t flags = e->regs->rflags, v, result;
	enum insn_op op = i->op;
	struct emu_mem m;
	int rc = i->op == INSN_BT && i->form == INSN_RM_REG ? open_bit_string(e, &m, EMU_READ)
							    : emu_open_rm(e, &m, EMU_READ);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (rc)
		return rc;
	/* A CPU without TZCNT ignores the prefix F3 and executes BSF; the same for LZCNT and BSR. */
	if (op == INSN_TZCNT && !(e->ops->has && e->ops->has(e, EMU_HAS_TZCNT)))
		op = INSN_BSF;
	if (op == INSN_LZCNT && !(e->ops->has && e->ops->has(e, EMU_HAS_LZCNT)))
		op = INSN_BSR;
	if (i->form == INSN_REG_RM)
		result = alu(op, i->size, emu_get_op_reg(e, i->reg), v, &flags);
	else
		result = alu(op, i->size, v, emu_other(e), &flags);
	/* A bit scan of 0 leaves the register as it is, its upper half too. */
	if (i->form != INSN_RM_REG && i->form != INSN_RM_IMM && i->form != INSN_RM && !only_looks(op) &&
		!((op == INSN_BSF || op == INSN_BSR) && !v))
		emu_set_op_reg(e, i->reg, result);
	e->regs->rflags = flags;
	return 0;
}

/* CRC32: the checksum is 32 bits, the register perhaps 64; no flags. */
static int exec_crc32(struct emu *e)
{
	const struct insn *i = &e->insn;
	struct emu_mem m;
	uint64_t v;
	int rc = emu_open_rm(e, &m, EMU_READ);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (!rc)
		emu_set_reg(e, i->reg, 8, true, alu_crc32((uint32_t)e->regs->gpr[i->reg], v, i->mem_size));
	return rc;
}

/* SHLD, SHRD. */
int emu_exec_shift_double(struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t count = i->form == INSN_RM_REG_CL ? emu_reg(e, RCX, 1, true) : i->imm,
		 flags = e->regs->rflags, v;
	struct emu_mem m;
	int rc = emu_open_rm(e, &m, EMU_READ | EMU_WRITE);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (!rc)
		rc = emu_write_value(
			e, &m, alu_shift_double(i->op, i->size, v, emu_get_op_reg(e, i->reg), count, &flags));
	if (!rc)
		e->regs->rflags = flags;
	return rc;
}

/* The upper half of a product or dividend: RDX, of bytes AH, which is byte register 4 without REX. */
static unsigned high_reg(unsigned size)
{
	return size == 1 ? 4 : RDX;
}

/* MUL, IMUL, DIV, IDIV with RDX:RAX, of bytes AX. */
int emu_exec_wide(struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t low = emu_reg(e, RAX, i->size, false), high = emu_reg(e, high_reg(i->size), i->size, false),
		 v;
	struct emu_mem m;
	int rc = emu_open_rm(e, &m, EMU_READ);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (rc)
		return rc;
	if (i->op == INSN_MUL || i->op == INSN_IMUL_WIDE)
		alu_multiply(i->op, i->size, low, v, &high, &low, &e->regs->rflags);
	else if (!alu_divide(i->op, i->size, high, low, v, &low, &high))
		return emu_fault(e, VEC_DE);
	emu_set_reg(e, RAX, i->size, false, low);
	emu_set_reg(e, high_reg(i->size), i->size, false, high);
	return 0;
}

/* Arithmetic with the result in memory. XCHG is always locked (SDM Vol. 3A 8.1.2.1). */
static int exec_alu_modify(struct emu *e)
{
	const struct insn *i = &e->insn;
	bool locked = i->flags & INSN_LOCK || i->op == INSN_XCHG;
	bool bit_string = i->op >= INSN_BT && i->op <= INSN_BTC && i->form == INSN_RM_REG;
	uint64_t flags, old, new;
	struct emu_mem m;
	int rc = bit_string ? open_bit_string(e, &m, EMU_READ | EMU_WRITE)
			    : emu_open_rm(e, &m, EMU_READ | EMU_WRITE);

	if (rc)
		return rc;
	for (unsigned tries = 0; tries < EMU_RETRIES; tries++) {
		flags = e->regs->rflags;
		rc = emu_read_value(e, &m, &old);
		if (rc)
			return rc;
		new = alu(i->op, i->size, old, emu_other(e), &flags);
		rc = emu_update(e, &m, &old, &new, locked);
		if (rc != -E_AGAIN)
			break;
	}
	if (rc)
		return rc;
	e->regs->rflags = flags;
	if (i->op == INSN_XCHG || i->op == INSN_XADD)
		emu_set_op_reg(e, i->reg, old);
	return 0;
}

/* Memory is written in either case, with what it held if the comparison fails (SDM Vol. 2A, CMPXCHG). */
int emu_exec_cmpxchg(struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t flags, old, new, expected = emu_get_op_reg(e, RAX);
	struct emu_mem m;
	int rc = emu_open_rm(e, &m, EMU_READ | EMU_WRITE);

	if (rc)
		return rc;
	for (unsigned tries = 0; tries < EMU_RETRIES; tries++) {
		flags = e->regs->rflags;
		rc = emu_read_value(e, &m, &old);
		if (rc)
			return rc;
		alu(INSN_CMP, i->size, expected, old, &flags);
		new = flags &RFLAGS_ZF ? emu_get_op_reg(e, i->reg) : old;
		rc = emu_update(e, &m, &old, &new, i->flags & INSN_LOCK);
		if (rc != -E_AGAIN)
			break;
	}
	if (rc)
		return rc;
	e->regs->rflags = flags;
	if (!(flags & RFLAGS_ZF))
		emu_set_reg(e, RAX, i->size, true, old);
	return 0;
}

/* CMPXCHG8B: EDX:EAX against 8 bytes, ECX:EBX into them; CMPXCHG16B: RDX:RAX, RCX:RBX, 16 bytes, aligned. */
int emu_exec_cmpxchg8b(struct emu *e)
{
	const struct insn *i = &e->insn;
	unsigned half = i->size / 2;
	uint8_t expected[16], wanted[16], old[16];
	struct emu_mem m;
	bool equal;
	int rc;

	memcpy(expected, &e->regs->gpr[RAX], half);
	memcpy(expected + half, &e->regs->gpr[RDX], half);
	memcpy(wanted, &e->regs->gpr[RBX], half);
	memcpy(wanted + half, &e->regs->gpr[RCX], half);
	if (i->size == 16)
		e->insn.flags |= INSN_ALIGNED;
	rc = emu_open_rm(e, &m, EMU_READ | EMU_WRITE);
	if (rc)
		return rc;
	for (unsigned tries = 0; tries < EMU_RETRIES; tries++) {
		rc = emu_read(e, &m, old);
		if (rc)
			return rc;
		equal = !memcmp(old, expected, i->size);
		rc = emu_update(e, &m, old, equal ? wanted : old, i->flags & INSN_LOCK);
		if (rc != -E_AGAIN)
			break;
	}
	if (rc)
		return rc;
	if (equal) {
		e->regs->rflags |= RFLAGS_ZF;
	} else {
		uint64_t low = 0, high = 0;

		memcpy(&low, old, half);
		memcpy(&high, old + half, half);
		emu_set_reg(e, RAX, half, true, low);
		emu_set_reg(e, RDX, half, true, high);
		e->regs->rflags &= ~RFLAGS_ZF;
	}
	return 0;
}

int emu_exec_alu(struct emu *e)
{
	const struct insn *i = &e->insn;

	if (i->op == INSN_CRC32)
		return exec_crc32(e);
	return i->form == INSN_REG_RM || i->form == INSN_REG_RM_IMM || only_looks(i->op) ? exec_alu_read(e)
											 : exec_alu_modify(e);
}
