/* SPDX-License-Identifier: MIT */
/*
 * Instructions that use the stack, which may lie in device memory, or whose other operand does. The stack pointer's
 * width is the stack segment's (SS.B; in 64-bit mode 8 bytes), an element's is the operand size (SDM Vol. 1 6.2).
 */
#include "guest/emu/operand.h"

/* Bytes of the stack pointer. */
static unsigned stack_size(struct emu *e)
{
	if (e->mode == INSN_MODE_64)
		return 8;
	return emu_segment(e, SEG_SS)->access & BIT(14) ? 4 : 2;
}

/* An address in the stack segment, cut to the stack pointer's width. */
static uint64_t stack_wrapped(uint64_t at, unsigned s)
{
	return at & (~0ull >> (64 - 8 * s));
}

static void set_sp(struct emu *e, uint64_t to)
{
	emu_set_addr_reg(e, RSP, stack_size(e), to);
}

static void drop(struct emu *e, uint64_t bytes)
{
	set_sp(e, emu_addr_reg(e, RSP, stack_size(e)) + bytes);
}

/* Opens the element below the stack pointer; *top is its address. only: it is the one memory operand. */
static int open_push(struct emu *e, struct emu_mem *m, uint64_t *top, bool only)
{
	unsigned s = stack_size(e), size = e->insn.size;

	*top = stack_wrapped(emu_addr_reg(e, RSP, s) - size, s);
	return emu_open(e, m, SEG_SS, *top, size, EMU_WRITE, only);
}

/* Pushes a value. only: as with open_push(). */
static int push_value(struct emu *e, uint64_t value, bool only)
{
	struct emu_mem m;
	uint64_t top;
	int rc = open_push(e, &m, &top, only);

	if (!rc)
		rc = emu_write_value(e, &m, value);
	if (!rc)
		set_sp(e, top);
	return rc;
}

/* Reads the element at the stack pointer, which stays. */
static int read_top(struct emu *e, uint64_t *value)
{
	struct emu_mem m;
	int rc = emu_open(e, &m, SEG_SS, emu_addr_reg(e, RSP, stack_size(e)), e->insn.size, EMU_READ, true);

	return rc ? rc : emu_read_value(e, &m, value);
}

static int push_memory(struct emu *e)
{
	struct emu_mem m, stack;
	uint64_t top, v;
	int rc = emu_open_rm_of_two(e, &m, EMU_READ);

	if (!rc)
		rc = open_push(e, &stack, &top, false);
	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (!rc)
		rc = emu_write_value(e, &stack, v);
	if (!rc)
		set_sp(e, top);
	return rc;
}

/* A destination that is addressed by RSP is where RSP points to after the pop (SDM Vol. 2B, POP). */
static int pop_memory(struct emu *e)
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

/* What is popped into RSP stays there. */
static int pop_register(struct emu *e)
{
	uint64_t v;
	int rc = read_top(e, &v);

	if (rc)
		return rc;
	drop(e, e->insn.size);
	emu_set_reg(e, e->insn.rm, e->insn.size, true, v);
	return 0;
}

/* PUSHA: AX, CX, DX, BX, SP as it was, BP, SI, DI, downward; POPA the other way, and drops SP's element. All eight are
 * opened before the first is touched. */
static int all_registers(struct emu *e, bool push)
{
	unsigned s = stack_size(e), size = e->insn.size;
	uint64_t sp = emu_addr_reg(e, RSP, s), v[8];
	struct emu_mem m[8]; /* by register */
	int rc = 0;

	for (unsigned r = 0; r < 8 && !rc; r++) {
		uint64_t at = push ? sp - (r + 1) * size : sp + (7 - r) * size;

		rc = emu_open(
			e, &m[r], SEG_SS, stack_wrapped(at, s), size, push ? EMU_WRITE : EMU_READ, false);
	}
	for (unsigned r = 0; r < 8 && !rc; r++)
		rc = push ? emu_write_value(e, &m[r], emu_reg(e, r, size, true))
			  : emu_read_value(e, &m[r], &v[r]);
	if (rc)
		return rc;
	for (unsigned r = 0; r < 8 && !push; r++)
		if (r != RSP)
			emu_set_reg(e, r, size, true, v[r]);
	set_sp(e, push ? sp - 8 * size : sp + 8 * size);
	return 0;
}

static bool virtual_8086(const struct emu *e)
{
	return e->regs->rflags & RFLAGS_VM;
}

/* SDM Vol. 2B, PUSHF and POPF. In virtual-8086 mode they depend on IOPL and VME. */
static int push_flags(struct emu *e)
{
	if (virtual_8086(e))
		return emu_refuse(e, "PUSHF in virtual-8086 mode");
	return push_value(e, e->regs->rflags & ~(RFLAGS_RF | RFLAGS_VM), true);
}

static int pop_flags(struct emu *e)
{
	uint64_t may = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF |
		       RFLAGS_OF | RFLAGS_NT,
		 v;
	int rc;

	if (virtual_8086(e))
		return emu_refuse(e, "POPF in virtual-8086 mode");
	rc = read_top(e, &v);
	if (rc)
		return rc;
	if (e->insn.size > 2)
		may |= RFLAGS_AC | RFLAGS_ID;
	if (e->cpl <= (e->regs->rflags & RFLAGS_IOPL) >> 12)
		may |= RFLAGS_IF;
	if (!e->cpl)
		may |= RFLAGS_IOPL;
	drop(e, e->insn.size);
	e->regs->rflags = (e->regs->rflags & ~may) | (v & may);
	return 0;
}

/* ENTER without nesting: PUSH rBP, rBP = rSP, room for locals. */
static int enter(struct emu *e)
{
	unsigned s = stack_size(e);
	struct emu_mem m, end;
	uint64_t top;
	int rc;

	if (e->insn.cond)
		return emu_refuse(e, "ENTER with nested frames");
	rc = open_push(e, &m, &top, false);
	/* The new top must be writable; nothing is written there. */
	if (!rc)
		rc = emu_open(
			e, &end, SEG_SS, stack_wrapped(top - e->insn.imm, s), e->insn.size, EMU_WRITE, false);
	if (!rc)
		rc = emu_write_value(e, &m, emu_reg(e, RBP, e->insn.size, true));
	if (rc)
		return rc;
	emu_set_reg(e, RBP, e->insn.size, true, top);
	set_sp(e, top - e->insn.imm);
	return 0;
}

/* rSP = rBP, POP rBP. */
static int leave(struct emu *e)
{
	uint64_t frame = emu_addr_reg(e, RBP, stack_size(e)), v;
	struct emu_mem m;
	int rc = emu_open(e, &m, SEG_SS, frame, e->insn.size, EMU_READ, true);

	if (!rc)
		rc = emu_read_value(e, &m, &v);
	if (rc)
		return rc;
	set_sp(e, frame + e->insn.size);
	emu_set_reg(e, RBP, e->insn.size, true, v);
	return 0;
}

static int push(struct emu *e)
{
	const struct insn *i = &e->insn;

	switch (i->form) {
	case INSN_RM:
		return push_memory(e);
	case INSN_STACK_REG:
		return push_value(e, emu_reg(e, i->rm, i->size, true), true);
	default:
		return push_value(e, i->imm, true);
	}
}

int emu_exec_stack(struct emu *e)
{
	switch (e->insn.op) {
	case INSN_PUSH:
		return push(e);
	case INSN_POP:
		return e->insn.form == INSN_RM ? pop_memory(e) : pop_register(e);
	case INSN_PUSH_SEG:
		return push_value(e, emu_segment(e, e->insn.reg)->selector, true);
	case INSN_PUSHA:
	case INSN_POPA:
		return all_registers(e, e->insn.op == INSN_PUSHA);
	case INSN_PUSHF:
		return push_flags(e);
	case INSN_POPF:
		return pop_flags(e);
	case INSN_ENTER:
		return enter(e);
	default:
		return leave(e);
	}
}

/* 0, or -E_FAULT if a near branch may not go to `target` (SDM Vol. 3A 5.3.1; Vol. 2A, CALL). */
static int check_target(struct emu *e, uint64_t target)
{
	bool ok = e->mode == INSN_MODE_64 ? is_canonical(target, e->linear_bits)
					  : target <= emu_segment(e, SEG_CS)->limit;

	return ok ? 0 : emu_fault(e, VEC_GP);
}

/* Reads where a CALL or JMP through memory goes. only: it is the one memory operand. */
static int read_target(struct emu *e, bool only, uint64_t *target)
{
	struct emu_mem m;
	int rc = only ? emu_open_rm(e, &m, EMU_READ) : emu_open_rm_of_two(e, &m, EMU_READ);

	return rc ? rc : emu_read_value(e, &m, target);
}

int emu_exec_branch(struct emu *e)
{
	const struct insn *i = &e->insn;
	uint64_t mask = ~0ull >> (64 - 8 * i->size), next = (e->regs->rip + i->len) & mask, target = 0;
	bool through_memory = i->form == INSN_RM;
	int rc = 0;

	if (i->op == INSN_RET)
		rc = read_top(e, &target);
	else if (through_memory)
		rc = read_target(e, i->op == INSN_JMP, &target);
	else
		target = (next + i->imm) & mask;
	if (!rc)
		rc = check_target(e, target);
	if (!rc && i->op == INSN_CALL)
		rc = push_value(e, next, !through_memory);
	if (rc)
		return rc;
	if (i->op == INSN_RET)
		drop(e, i->size + i->imm);
	e->regs->rip = target;
	e->branched = true;
	return 0;
}
