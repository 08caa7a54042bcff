/* SPDX-License-Identifier: MIT */
/*
 * INS and OUTS: the port belongs to the platform, the memory to the guest. The VM exit comes before the CPU has
 * checked the memory operand, so all of its checks are made here.
 */
#include "guest/emu/emu.h"

static int element(struct emu *e, const struct emu_string_io *io, struct emu_mem *m)
{
	unsigned reg = io->in ? RDI : RSI, a = io->addr_size;
	uint64_t at = emu_addr_reg(e, reg, a), step = io->size, v = 0;
	uint32_t value = 0;
	int rc = emu_open_next(e, m, io->in ? SEG_ES : io->seg, at, io->size, io->in ? EMU_WRITE : EMU_READ);

	if (!rc && !io->in)
		rc = emu_read_value(e, m, &v);
	if (rc)
		return rc;
	value = (uint32_t)v;
	rc = io->pio(io->ctx, io->port, io->in, io->size, &value);
	if (!rc && io->in)
		rc = emu_write_value(e, m, value);
	if (rc)
		return rc;
	e->hits |= io->hits;
	if (e->regs->rflags & RFLAGS_DF)
		step = -step;
	emu_set_addr_reg(e, reg, a, at + step);
	return 0;
}

int emulate_string_io(struct emu *e, const struct emu_string_io *io)
{
	unsigned elements = 0;
	struct emu_mem m = { .size = 0 };
	uint64_t left = 1;
	int rc;

	if ((io->size != 1 && io->size != 2 && io->size != 4) || io->seg >= SEGS ||
		(io->addr_size != 2 && io->addr_size != 4 && io->addr_size != 8))
		return -E_INVAL;
	e->known = 0; /* the exit was for the port */
	e->segs_known = 0;
	e->branched = false;
	e->hits = 0;
	e->why = NULL;
	e->insn = (struct insn){ .op = INSN_NONE };
	if (io->rep)
		left = emu_addr_reg(e, RCX, io->addr_size);
	for (; left; elements++) {
		if (emu_stops(e, elements))
			return emu_pause(e);
		rc = element(e, io, &m);
		if (rc)
			return rc;
		left--;
		if (io->rep)
			emu_set_addr_reg(e, RCX, io->addr_size, left);
	}
	emu_finish(e, io->len);
	return 0;
}
