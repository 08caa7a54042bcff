/* SPDX-License-Identifier: MIT */
/* The i8042: commands of port 0x64, the two ways of port 0x60, translation, output port. */
#include "guest/dev/vkbc.h"
#include "guest/dev/vkbd_keys.h"

#include "lib/string.h"

#define STATUS_OUTPUT	BIT(0)
#define STATUS_SYSTEM	BIT(2)
#define STATUS_COMMAND	BIT(3)
#define STATUS_UNLOCKED BIT(4)

/* The command byte, ram[0]. */
#define CCB_IRQ		 BIT(0)
#define CCB_SYSTEM	 BIT(2)
#define CCB_DISABLED	 BIT(4)
#define CCB_AUX_DISABLED BIT(5)
#define CCB_TRANSLATE	 BIT(6)

#define PORT_NO_RESET BIT(0)
#define PORT_A20      BIT(1)
#define PORT_OUTPUT   BIT(4) /* IRQ 1 */

static void kbc_update(struct vkbc *v)
{
	irq_line_set(&v->irq, (v->status & STATUS_OUTPUT) && (v->ram[0] & CCB_IRQ));
}

static void kbc_fill(struct vkbc *v, uint8_t byte)
{
	v->data = byte;
	v->status |= STATUS_OUTPUT;
	kbc_update(v);
}

/* Translation swallows the F0 of set 2 and marks the next code as a release instead. */
static bool kbc_translate(struct vkbc *v, uint8_t *byte)
{
	if (!(v->ram[0] & CCB_TRANSLATE))
		return true;
	if (*byte == 0xf0) {
		v->break_next = true;
		return false;
	}
	*byte = vkbd_set1(*byte);
	if (v->break_next)
		*byte |= 0x80;
	v->break_next = false;
	return true;
}

void vkbc_refill(struct vkbc *v)
{
	uint8_t byte;

	if (v->status & STATUS_OUTPUT)
		return;
	if (v->answering) {
		v->answering = false;
		kbc_fill(v, v->answer);
		return;
	}
	while (!(v->ram[0] & CCB_DISABLED) && vkbd_pop(&v->kbd, &byte)) {
		if (kbc_translate(v, &byte)) {
			kbc_fill(v, byte);
			return;
		}
	}
}

static void kbc_answer(struct vkbc *v, uint8_t byte)
{
	v->answer = byte;
	v->answering = true;
	vkbc_refill(v);
}

static void kbc_write_output_port(struct vkbc *v, uint8_t value)
{
	v->a20 = value & PORT_A20;
	if (!(value & PORT_NO_RESET))
		power_end(v->dev.board->power, VM_END_RESET, 0);
}

static void kbc_command(struct vkbc *v, uint8_t byte)
{
	v->command = 0;
	switch (byte) {
	case 0x20 ... 0x3f:
		kbc_answer(v, v->ram[byte & 0x1f]);
		break;
	case 0x60 ... 0x7f:
	case 0xd1: /* write output port */
	case 0xd2: /* write keyboard output buffer */
	case 0xd3: /* write auxiliary output buffer */
	case 0xd4: /* write to auxiliary device */
		v->command = byte;
		break;
	case 0xa9: /* auxiliary interface test: clock line stuck low, there is nothing */
		kbc_answer(v, 0x01);
		break;
	case 0xaa: /* self test */
		v->ram[0] |= CCB_SYSTEM;
		kbc_answer(v, 0x55);
		break;
	case 0xab: /* keyboard interface test */
		kbc_answer(v, 0x00);
		break;
	case 0xad:
		v->ram[0] |= CCB_DISABLED;
		break;
	case 0xae:
		v->ram[0] &= (uint8_t)~CCB_DISABLED;
		vkbc_refill(v);
		break;
	case 0xc0: /* read input port: not locked, primary display colour */
		kbc_answer(v, 0x80);
		break;
	case 0xd0:
		kbc_answer(v, (uint8_t)(0xc0 | PORT_NO_RESET | (v->a20 ? PORT_A20 : 0) |
					(v->status & STATUS_OUTPUT ? PORT_OUTPUT : 0)));
		break;
	case 0xdd: /* A20 off and on, one byte each */
	case 0xdf:
		v->a20 = byte == 0xdf;
		break;
	case 0xf0 ... 0xff: /* pulse the output port's bits that are 0; bit 0 is the CPU's reset */
		if (!(byte & 1))
			power_end(v->dev.board->power, VM_END_RESET, 0);
		break;
	default: /* A7, A8: the auxiliary port that is not there; others: no operation */
		break;
	}
}

static void kbc_write_ram(struct vkbc *v, unsigned at, uint8_t value)
{
	v->ram[at] = at ? value : value | CCB_AUX_DISABLED;
	kbc_update(v);
	vkbc_refill(v);
}

static void kbc_data_written(struct vkbc *v, uint8_t byte)
{
	uint8_t waiting = v->command;

	v->command = 0;
	switch (waiting) {
	case 0x60 ... 0x7f:
		kbc_write_ram(v, waiting & 0x1f, byte);
		break;
	case 0xd1:
		kbc_write_output_port(v, byte);
		break;
	case 0xd2: /* comes back as if a device had sent it; without an auxiliary port D3 does the same */
	case 0xd3:
		kbc_answer(v, byte);
		break;
	case 0xd4: /* no mouse: the answer of a device that does not know the command */
		kbc_answer(v, 0xfe);
		break;
	default:
		/* To the keyboard; this enables its interface (datasheet: writes to 60h release the clock). */
		v->ram[0] &= (uint8_t)~CCB_DISABLED;
		vkbd_command(&v->kbd, byte);
		vkbc_refill(v);
		break;
	}
}

static uint64_t kbc_data_read(void *dev, uint64_t off, unsigned size)
{
	struct vkbc *v = dev;
	uint8_t byte = v->data; /* an empty buffer shows its last byte */

	if (!(v->status & STATUS_OUTPUT))
		return byte;
	v->status &= (uint8_t)~STATUS_OUTPUT;
	kbc_update(v);
	vkbc_refill(v);
	if (vkbd_room(&v->kbd))
		vconsole_pump(v->dev.board->console);
	return byte;
}

static void kbc_data_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vkbc *v = dev;

	v->status &= (uint8_t)~STATUS_COMMAND;
	kbc_data_written(v, (uint8_t)value);
}

static uint64_t kbc_status_read(void *dev, uint64_t off, unsigned size)
{
	struct vkbc *v = dev;

	return v->status | STATUS_UNLOCKED | (v->ram[0] & CCB_SYSTEM ? STATUS_SYSTEM : 0);
}

static void kbc_status_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vkbc *v = dev;

	v->status |= STATUS_COMMAND;
	kbc_command(v, (uint8_t)value);
}

/* System control port A. */
static uint64_t port92_read(void *dev, uint64_t off, unsigned size)
{
	struct vkbc *v = dev;

	return v->a20 ? PORT_A20 : 0;
}

static void port92_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vkbc *v = dev;

	v->a20 = value & PORT_A20;
	if (value & BIT(0))
		power_end(v->dev.board->power, VM_END_RESET, 0);
}

bool vkbc_listens(const void *kbc)
{
	const struct vkbc *v = kbc;

	return !(v->ram[0] & CCB_DISABLED) && v->kbd.scanning;
}

bool vkbc_room(const void *kbc)
{
	const struct vkbc *v = kbc;

	return vkbd_room(&v->kbd);
}

void vkbc_type(struct vkbc *v, uint8_t byte)
{
	vkbd_type(&v->kbd, byte);
	vkbc_refill(v);
}

static void vkbc_reset(struct device *d)
{
	struct vkbc *v = (struct vkbc *)d;

	/* As firmware leaves it: tested, translating, interrupt on. */
	memset(v->ram, 0, sizeof(v->ram));
	v->ram[0] = CCB_IRQ | CCB_SYSTEM | CCB_AUX_DISABLED | CCB_TRANSLATE;
	v->status = 0;
	v->data = v->command = 0;
	v->answering = v->break_next = false;
	v->a20 = true;
	vkbd_reset(&v->kbd);
	kbc_update(v);
}

static int vkbc_attach(struct device *d)
{
	struct vkbc *v = (struct vkbc *)d;

	vkbd_attach(&v->kbd, d);
	device_ports(d, &v->data_port, 0x60, 1, BUS_1, kbc_data_read, kbc_data_write);
	device_ports(d, &v->status_port, 0x64, 1, BUS_1, kbc_status_read, kbc_status_write);
	device_ports(d, &v->port92, 0x92, 1, BUS_1, port92_read, port92_write);
	return 0;
}

const struct device_kind vkbc_kind = {
	.name = "keyboard controller",
	.size = sizeof(struct vkbc),
	.lock = LOCK_CONSOLE,
	.attach = vkbc_attach,
	.reset = vkbc_reset,
};
