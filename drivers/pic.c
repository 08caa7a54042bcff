/* SPDX-License-Identifier: MIT */
/*
 * The two 8259s (Intel 8259A data sheet), cascaded at the first one's input 2. The firmware leaves them with inputs
 * open and perhaps one in service; after a remap no stray interrupt of theirs can be taken for an exception.
 */
#include "drivers/pic.h"

#include "lib/x86.h"

enum { PIC1 = 0x20, PIC2 = 0xa0 }; /* command ports; data is one higher */

#define ICW1_INIT_ICW4	  0x11
#define ICW3_CASCADE_MASK 0x04 /* to the first: a second one hangs at input 2 */
#define ICW3_CASCADE_ID	  0x02 /* to the second: that is your number */
#define ICW4_8086	  0x01
#define OCW2_EOI	  0x20 /* of the highest in service */

static void pic_write(uint16_t port, uint8_t v)
{
	out8(port, v);
	/* The chip of 1976 wants a pause; a write to the POST port is the PC's customary microsecond. */
	out8(0x80, 0);
}

void pic_disable(uint8_t vector)
{
	pic_write(PIC1 + 1, 0xff);
	pic_write(PIC2 + 1, 0xff);
	for (unsigned i = 0; i < 8; i++) {
		out8(PIC2, OCW2_EOI);
		out8(PIC1, OCW2_EOI);
	}
	pic_write(PIC1, ICW1_INIT_ICW4);
	pic_write(PIC2, ICW1_INIT_ICW4);
	pic_write(PIC1 + 1, vector);
	pic_write(PIC2 + 1, (uint8_t)(vector + 8));
	pic_write(PIC1 + 1, ICW3_CASCADE_MASK);
	pic_write(PIC2 + 1, ICW3_CASCADE_ID);
	pic_write(PIC1 + 1, ICW4_8086);
	pic_write(PIC2 + 1, ICW4_8086);
	pic_write(PIC1 + 1, 0xff);
	pic_write(PIC2 + 1, 0xff);
}
