/* SPDX-License-Identifier: MIT */
/*
 * Flat images: the file as it is at load-address, entered at its first byte.
 *
 *	entry-mode 16	real mode. Below 64 KiB: CS = 0, IP = address, as a BIOS enters a boot sector at 0:7C00.
 *			Above: CS = address >> 4, IP = address & 15. DS = ES = SS = 0, SP = 0x7c00.
 *	entry-mode 32	protected mode, paging off, flat segments
 *	entry-mode 64	64-bit mode, [0, 4 GiB) mapped one to one
 *
 * Interrupts are off. 32-bit and 64-bit images find a GDT with code at selector 0x10 and data at 0x18, and no stack.
 */
#include "guest/load/load.h"
#include "lib/x86.h"

#define REAL_MODE_END 0x100000ul /* CS << 4 + IP reaches that far with A20 off */

static int start_real(struct load *l, uint64_t at, struct vcpu_state *start)
{
	uint16_t cs = at < 0x10000 ? 0 : at >> 4;

	if (at >= REAL_MODE_END)
		return load_fail(l, -E_RANGE,
			"%s: entry-mode = 16 cannot start at 0x%llx: set load-address below 1 MiB (a boot sector's is 0x7c00)",
			l->p->kernel.name, (unsigned long long)at);
	vcpu_state_power_up(start, 0); /* EDX: the BIOS has used it since */
	for (unsigned i = 0; i < SEGS; i++) {
		start->seg[i].selector = i == SEG_CS ? cs : 0;
		start->seg[i].base = (uint64_t)start->seg[i].selector << 4;
	}
	start->regs.rip = at - start->seg[SEG_CS].base;
	start->regs.gpr[RSP] = 0x7c00;
	start->cr0 &= ~(CR0_CD | CR0_NW); /* the BIOS has turned the caches on */
	return 0;
}

int load_flat(struct load *l, struct vcpu_state *start)
{
	const struct load_file *f = &l->p->kernel;
	uint64_t at = l->p->conf->load_address;
	int err;

	if (l->p->conf->cmdline[0])
		return load_fail(l, -E_INVAL,
			"%s: is a flat image, which cannot be given a command line: take cmdline = out",
			f->name);
	err = load_claim(l, f->name, "the image", at, f->size);
	if (!err)
		err = load_write(l, at, f->data, f->size);
	if (err)
		return err;
	switch (l->p->conf->entry_mode) {
	case 16:
		return start_real(l, at, start);
	case 32:
		/* RAM below 4 GiB ends below 4 GiB, but a flat image may lie above. */
		if (at > UINT32_MAX)
			return load_fail(l, -E_RANGE,
				"%s: entry-mode = 32 cannot start at 0x%llx: set load-address below 4 GiB",
				f->name, (unsigned long long)at);
		return load_start_flat32(l, at, start);
	case 64:
		return load_start_long(l, at, at, f->size, start);
	default:
		return load_fail(l, -E_INVAL, "%s: entry-mode = %u: expected 16, 32 or 64", f->name,
			l->p->conf->entry_mode);
	}
}
