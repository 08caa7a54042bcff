/* SPDX-License-Identifier: MIT */
/*
 * The BIOS data area: no BIOS runs in a guest, but kernels look at what one would have left at 0x400 (IBM PC/AT
 * Technical Reference; names as there).
 */
#include "guest/load/load.h"

struct bda_field {
	uint16_t at, value;
};

static const struct bda_field fields[] = {
	{ 0x400, 0x3f8 },	      /* I/O address of COM1 */
	{ 0x40e, LAYOUT_EBDA >> 4 },  /* segment of the extended BIOS data area */
	{ 0x410, 0x0222 },	      /* equipment: one serial port (11:9), 80x25 colour (5:4 = 2), x87 (1) */
	{ 0x413, LAYOUT_EBDA / KiB }, /* KiB of memory below it */
	{ 0x449, 80 << 8 | 3 },	      /* video mode 3, columns */
	{ 0x44c, 80 * 25 * 2 + 96 },  /* bytes of a screen, rounded up */
	{ 0x463, 0x3d4 },	      /* I/O address of the CRT controller */
	{ 0x484, 16 << 8 | (25 - 1) }, /* rows less one, height of a character */
};

int load_bda(struct load *l)
{
	int err = 0;

	for (unsigned i = 0; !err && i < ARRAY_SIZE(fields); i++)
		err = load_write(l, fields[i].at, &fields[i].value, 2);
	return err;
}
