/* SPDX-License-Identifier: MIT */
/*
 * String instructions: [seg:rSI] and [ES:rDI], one element at a time, because a device must see each access
 * in its size and order. With REP, one call executes a bounded number of elements. The registers are updated
 * after each element, as the architecture requires for an interrupt or fault in the middle (SDM Vol. 2B, REP).
 */
#include "guest/emu/alu.h"
#include "guest/emu/emu.h"

struct string_sides {
	struct emu_mem source, dest; /* of the element before */
};

static void advance(struct emu *e, unsigned reg)
{
	unsigned a = e->insn.addr_size;
	uint64_t step = e->insn.mem_size;

	if (e->regs->rflags & RFLAGS_DF)
		step = -step;
	emu_set_addr_reg(e, reg, a, emu_addr_reg(e, reg, a) + step);
}

static int open_source(struct emu *e, struct string_sides *s)
{
	return emu_open_next(e, &s->source, e->insn.seg, emu_addr_reg(e, RSI, e->insn.addr_size),
		e->insn.mem_size, EMU_READ);
}

static int open_dest(struct emu *e, struct string_sides *s, unsigned access)
{
	return emu_open_next(
		e, &s->dest, SEG_ES, emu_addr_reg(e, RDI, e->insn.addr_size), e->insn.mem_size, access);
}

static int movs(struct emu *e, struct string_sides *s)
{
	uint64_t v;
	int rc = open_source(e, s);

	if (!rc)
		rc = open_dest(e, s, EMU_WRITE);
	if (!rc)
		rc = emu_read_value(e, &s->source, &v);
	if (!rc)
		rc = emu_write_value(e, &s->dest, v);
	if (rc)
		return rc;
	advance(e, RSI);
	advance(e, RDI);
	return 0;
}

static int cmps(struct emu *e, struct string_sides *s)
{
	uint64_t a, b;
	int rc = open_source(e, s);

	if (!rc)
		rc = open_dest(e, s, EMU_READ);
	if (!rc)
		rc = emu_read_value(e, &s->source, &a);
	if (!rc)
		rc = emu_read_value(e, &s->dest, &b);
	if (rc)
		return rc;
	alu(INSN_CMP, e->insn.mem_size, a, b, &e->regs->rflags);
	advance(e, RSI);
	advance(e, RDI);
	return 0;
}

static int scas(struct emu *e, struct string_sides *s)
{
	uint64_t v;
	int rc = open_dest(e, s, EMU_READ);

	if (!rc)
		rc = emu_read_value(e, &s->dest, &v);
	if (rc)
		return rc;
	alu(INSN_CMP, e->insn.mem_size, emu_reg(e, RAX, e->insn.mem_size, true), v, &e->regs->rflags);
	advance(e, RDI);
	return 0;
}

static int stos(struct emu *e, struct string_sides *s)
{
	int rc = open_dest(e, s, EMU_WRITE);

	if (!rc)
		rc = emu_write_value(e, &s->dest, emu_reg(e, RAX, e->insn.mem_size, true));
	if (rc)
		return rc;
	advance(e, RDI);
	return 0;
}

static int lods(struct emu *e, struct string_sides *s)
{
	uint64_t v;
	int rc = open_source(e, s);

	if (!rc)
		rc = emu_read_value(e, &s->source, &v);
	if (rc)
		return rc;
	emu_set_reg(e, RAX, e->insn.mem_size, true, v);
	advance(e, RSI);
	return 0;
}

static int element(struct emu *e, struct string_sides *s)
{
	switch (e->insn.op) {
	case INSN_MOVS:
		return movs(e, s);
	case INSN_CMPS:
		return cmps(e, s);
	case INSN_SCAS:
		return scas(e, s);
	case INSN_STOS:
		return stos(e, s);
	case INSN_LODS:
		return lods(e, s);
	default:
		return emu_refuse(e, "port input or output by way of a memory fault");
	}
}

/* CMPS and SCAS end early: REPE at the first difference, REPNE at the first match. */
static bool found(const struct emu *e)
{
	bool equal = e->regs->rflags & RFLAGS_ZF;

	if (e->insn.op != INSN_CMPS && e->insn.op != INSN_SCAS)
		return false;
	return e->insn.flags & INSN_REPNE ? equal : !equal;
}

int emu_string(struct emu *e)
{
	const struct insn *i = &e->insn;
	unsigned elements = 0;
	struct string_sides s;
	uint64_t left;
	int rc;

	s.source.size = s.dest.size = 0;
	if (!(i->flags & (INSN_REP | INSN_REPNE)))
		return element(e, &s);
	for (left = emu_addr_reg(e, RCX, i->addr_size); left; elements++) {
		if (emu_stops(e, elements))
			return emu_pause(e);
		rc = element(e, &s);
		if (rc)
			return rc;
		emu_set_addr_reg(e, RCX, i->addr_size, --left);
		if (found(e))
			break;
	}
	return 0;
}
