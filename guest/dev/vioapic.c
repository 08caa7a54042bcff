/* SPDX-License-Identifier: MIT */
/* The I/O APIC: redirection table, edge and level delivery, remote IRR. */
#include "guest/dev/vioapic.h"

#include "lib/string.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI	   0x40

#define INDEX_ID	  0x00
#define INDEX_VERSION	  0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRY	  0x10

#define VERSION (VIOAPIC_VERSION | (VIOAPIC_PINS - 1u) << 16)

/* Bits of a redirection entry. */
#define ENTRY_VECTOR   BITS(7, 0)
#define ENTRY_LOGICAL  BIT(11)
#define ENTRY_PENDING  BIT(12) /* delivery status: never seen set, messages leave at once */
#define ENTRY_REMOTE   BIT(14) /* remote IRR */
#define ENTRY_LEVEL    BIT(15)
#define ENTRY_MASKED   BIT(16)
#define ENTRY_WRITABLE (BITS(63, 56) | BITS(16, 15) | BIT(13) | BITS(11, 0))

static void vioapic_deliver(struct vioapic *v, unsigned pin)
{
	uint64_t e = v->entry[pin];
	struct apic_msg m = {
		.dest = (uint32_t)(e >> 56),
		.logical = e & ENTRY_LOGICAL,
		.delivery = (enum apic_delivery)bits_get(e, 10, 8),
		.vector = (uint8_t)(e & ENTRY_VECTOR),
		.level = e & ENTRY_LEVEL,
	};

	/* Remote IRR is set only if a local APIC took the interrupt: otherwise no EOI would ever clear it. */
	if (apic_send(v->dev.board->irqs, &m) && m.level &&
		(m.delivery == DELIVER_FIXED || m.delivery == DELIVER_LOWEST))
		v->entry[pin] |= ENTRY_REMOTE;
}

/* A level-triggered pin whose line is high sends again as soon as it is neither masked nor waiting for an EOI. */
static void vioapic_service_level(struct vioapic *v, unsigned pin)
{
	uint64_t e = v->entry[pin];

	if ((e & ENTRY_LEVEL) && !(e & (ENTRY_MASKED | ENTRY_REMOTE)) && (v->lines & BIT(pin)))
		vioapic_deliver(v, pin);
}

void vioapic_set(struct vioapic *v, unsigned pin, bool level)
{
	bool was = v->lines & BIT(pin);

	if (pin >= VIOAPIC_PINS || was == level)
		return;
	v->lines ^= (uint32_t)BIT(pin);
	if (!level)
		return;
	if (v->entry[pin] & ENTRY_LEVEL)
		vioapic_service_level(v, pin);
	else if (!(v->entry[pin] & ENTRY_MASKED)) /* an edge on a masked pin is lost */
		vioapic_deliver(v, pin);
}

void vioapic_eoi(struct vioapic *v, uint8_t vector)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		uint64_t *e = &v->entry[pin];

		if ((*e & ENTRY_VECTOR) != vector || !(*e & ENTRY_REMOTE))
			continue;
		*e &= ~ENTRY_REMOTE;
		vioapic_service_level(v, pin);
	}
}

static void vioapic_write_entry(struct vioapic *v, unsigned pin, bool high, uint32_t value)
{
	uint64_t *e = &v->entry[pin];
	uint64_t mask = (high ? BITS(63, 32) : BITS(31, 0)) & ENTRY_WRITABLE;

	*e = (*e & ~mask) | ((high ? (uint64_t)value << 32 : value) & mask);
	/* Kernels clear a stuck remote IRR by making the pin an edge for a moment. */
	if (!(*e & ENTRY_LEVEL))
		*e &= ~ENTRY_REMOTE;
	vioapic_service_level(v, pin);
}

static uint32_t vioapic_read_indexed(const struct vioapic *v)
{
	unsigned n = v->select - INDEX_ENTRY;

	switch (v->select) {
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return (uint32_t)v->id << 24;
	case INDEX_VERSION:
		return VERSION;
	default:
		if (v->select < INDEX_ENTRY || n >= 2 * VIOAPIC_PINS)
			return 0;
		return (uint32_t)(v->entry[n / 2] >> (n & 1 ? 32 : 0));
	}
}

static uint64_t vioapic_read(void *dev, uint64_t off, unsigned size)
{
	struct vioapic *v = dev;
	uint32_t word = 0;

	switch (off & ~3ull) {
	case REG_SELECT:
		word = v->select;
		break;
	case REG_WINDOW:
		word = vioapic_read_indexed(v);
		break;
	}
	return word >> 8 * (off & 3);
}

static void vioapic_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vioapic *v = dev;

	switch (off) {
	case REG_SELECT:
		v->select = (uint8_t)value;
		break;
	case REG_WINDOW:
		if (v->select == INDEX_ID)
			v->id = (uint8_t)bits_get(value, 27, 24);
		else if (v->select >= INDEX_ENTRY && v->select < INDEX_ENTRY + 2 * VIOAPIC_PINS)
			vioapic_write_entry(v, (v->select - INDEX_ENTRY) / 2, v->select & 1, (uint32_t)value);
		break;
	case REG_EOI:
		vioapic_eoi(v, (uint8_t)value);
		break;
	}
}

static void vioapic_reset(struct device *d)
{
	struct vioapic *v = (struct vioapic *)d;

	v->id = 0;
	v->select = 0;
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		v->entry[pin] = ENTRY_MASKED;
}

static int vioapic_attach(struct device *d)
{
	struct vioapic *v = (struct vioapic *)d;

	device_mmio(d, &v->registers, gpa(LAYOUT_IOAPIC), PAGE_SIZE, vioapic_read, vioapic_write);
	return 0;
}

const struct device_kind vioapic_kind = {
	.name = "I/O APIC",
	.size = sizeof(struct vioapic),
	.lock = LOCK_INTERRUPTS,
	.attach = vioapic_attach,
	.reset = vioapic_reset,
};
