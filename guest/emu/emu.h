/* SPDX-License-Identifier: MIT */
/*
 * What the emulator's files share: registers by operand size, memory operands. Private to the emulator.
 *
 *	emulate.c      one instruction: decoded, done, RIP
 *	operand.h  its operands
 *	mem.c      a memory operand: segment -> linear -> gpa -> RAM or device
 *	move.c     MOV and its kind, SETcc, CMOVcc, SSE and AVX moves
 *	stack.c    what uses the stack: PUSH, POP, ENTER, LEAVE, CALL, RET
 *	arith.c    arithmetic, bit tests, exchanges (alu.c: results and flags)
 *	string.c   MOVS, CMPS, STOS, LODS, SCAS, and their REP
 *	io.c       INS and OUTS
 */
#pragma once

#include "guest/emu/emulate.h"
#include "lib/bits.h"
#include "lib/x86.h"

/*
 * A memory operand that has been checked and translated: it can be read and written without a fault, so all
 * of an instruction's operands are opened before the first is touched.
 */
struct emu_mem {
	uint64_t linear;
	gpa_t at[2];	/* of its first byte, and, if it crosses into another page, of that page */
	uint8_t size;	/* bytes, 1..32; 0: not open */
	uint8_t first;	/* bytes of it in the first page */
	uint8_t device; /* bit p: part p is known not to be RAM */
};

/*
 * Opens [seg:offset, size) for access (EMU_READ, EMU_WRITE). `only`: the instruction has no other memory
 * operand, so e->gpa may be this one's. Returns 0, -E_FAULT with e->fault, or an error of ops->translate.
 */
int emu_open(struct emu *e, struct emu_mem *m, unsigned seg, uint64_t offset, unsigned size, unsigned access,
	bool only);
/* The same for an element of a string. If the previous element, *m, lies in the same page, its translation is used
 * again. */
int emu_open_next(
	struct emu *e, struct emu_mem *m, unsigned seg, uint64_t offset, unsigned size, unsigned access);
/* Whole operands, m->size bytes. 0 or an error of ops. */
int emu_read(struct emu *e, struct emu_mem *m, void *to);
int emu_write(struct emu *e, struct emu_mem *m, const void *from);
/* Replaces *expected, which emu_read returned, by *desired. If `locked` and it is RAM: atomically, and -E_AGAIN if RAM
 * does not hold *expected any more. Both are at least 8 bytes long. */
int emu_update(struct emu *e, struct emu_mem *m, const void *expected, const void *desired, bool locked);
/* Of at most 8 bytes, zero-extended. */
int emu_read_value(struct emu *e, struct emu_mem *m, uint64_t *value);
int emu_write_value(struct emu *e, struct emu_mem *m, uint64_t value);

/* The hidden part of a segment register, asked for once. */
const struct cpu_segment *emu_segment(struct emu *e, unsigned seg);

/* Each executes the instruction in e->insn, except for RIP. Returns 0 or an error as emulate() does. */
int emu_exec_mov(struct emu *e); /* MOV, MOVZX, MOVSX, MOVBE */
int emu_exec_setcc(struct emu *e);
int emu_exec_cmovcc(struct emu *e);
int emu_exec_stack(struct emu *e);  /* PUSH and POP of all kinds, ENTER, LEAVE */
int emu_exec_branch(struct emu *e); /* CALL, RET, JMP: sets RIP, too */
int emu_exec_system(struct emu *e); /* SMSW, SLDT, STR */
int emu_exec_xmm(struct emu *e);
int emu_exec_clflush(struct emu *e);
int emu_exec_alu(struct emu *e); /* INSN_ADD..INSN_CRC32, XCHG, XADD */
int emu_exec_shift_double(struct emu *e);
int emu_exec_wide(struct emu *e); /* MUL, IMUL, DIV, IDIV with RDX:RAX */
int emu_exec_cmpxchg(struct emu *e);
int emu_exec_cmpxchg8b(struct emu *e);
int emu_string(struct emu *e);

/* Return the error that the callers return. */
int emu_fault(struct emu *e, unsigned vector); /* error code 0 where the vector has one */
int emu_refuse(struct emu *e, const char *why);

/* Steps over the instruction. RF holds for one instruction (SDM Vol. 3B 17.3.1.1). */
static inline void emu_finish(struct emu *e, unsigned len)
{
	uint64_t rip = e->regs->rip + len;

	e->regs->rip = e->mode == INSN_MODE_64 ? rip : (uint32_t)rip;
	e->regs->rflags &= ~RFLAGS_RF;
}

/* True if a REP string stops after so many elements. With TF set a trap follows each element (SDM Vol. 3B 17.3.1.4). */
static inline bool emu_stops(struct emu *e, unsigned elements)
{
	if (!elements)
		return false;
	return elements == EMU_CHUNK || e->hits || e->regs->rflags & RFLAGS_TF ||
	       (e->ops->pause && e->ops->pause(e));
}

/* Between two elements of a REP string: it goes on at the same RIP, where no breakpoint may strike again. */
static inline int emu_pause(struct emu *e)
{
	e->regs->rflags |= RFLAGS_RF;
	return EMU_PARTLY;
}

/* A general register of 1, 2, 4 or 8 bytes (SDM Vol. 1 3.4.1.1). rex: byte registers 4..7 are SPL..DIL. */
static inline uint64_t emu_reg(const struct emu *e, unsigned n, unsigned size, bool rex)
{
	const uint64_t *r = e->regs->gpr;

	switch (size) {
	case 1:
		return !rex && n >= 4 ? (uint8_t)(r[n - 4] >> 8) : (uint8_t)r[n];
	case 2:
		return (uint16_t)r[n];
	case 4:
		return (uint32_t)r[n];
	default:
		return r[n];
	}
}

/* Writing 4 bytes clears the upper half; writing 1 or 2 leaves the rest. */
static inline void emu_set_reg(struct emu *e, unsigned n, unsigned size, bool rex, uint64_t v)
{
	uint64_t *r = e->regs->gpr;

	switch (size) {
	case 1:
		if (!rex && n >= 4)
			r[n - 4] = (r[n - 4] & ~BITS(15, 8)) | (v & 0xff) << 8;
		else
			r[n] = (r[n] & ~BITS(7, 0)) | (v & 0xff);
		break;
	case 2:
		r[n] = (r[n] & ~BITS(15, 0)) | (v & 0xffff);
		break;
	case 4:
		r[n] = (uint32_t)v;
		break;
	default:
		r[n] = v;
	}
}

/* Registers that hold addresses and counts, by address size. */
static inline uint64_t emu_addr_reg(const struct emu *e, unsigned n, unsigned size)
{
	return emu_reg(e, n, size, true);
}
static inline void emu_set_addr_reg(struct emu *e, unsigned n, unsigned size, uint64_t v)
{
	emu_set_reg(e, n, size, true, v);
}
