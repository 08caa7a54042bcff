/* SPDX-License-Identifier: MIT */
/* The 8259A pair: initialisation and operation command words, priorities, acknowledge and poll. */
#include "guest/dev/vpic.h"

#include "lib/string.h"

#define CASCADE 2

#define ICW1_ICW4      BIT(0)
#define ICW1_SINGLE    BIT(1)
#define ICW1_LEVEL     BIT(3)
#define ICW1_SELECT    BIT(4) /* in a write to the even port: ICW1; else bit 3 tells OCW3 from OCW2 */
#define ICW4_AUTO_EOI  BIT(1)
#define ICW4_NESTED    BIT(4) /* special fully nested */
#define OCW3_SELECT    BIT(3)
#define POLL_INTERRUPT BIT(7)

/* Rank of the most urgent bit of `set`: 0 is the highest priority; 8 if there is none. */
static unsigned pic_rank(const struct vpic_chip *c, uint8_t set)
{
	unsigned first = (c->lowest + 1) & 7;
	uint8_t turned = (uint8_t)(set >> first | set << (8 - first));

	return turned ? bit_lowest(turned) : 8;
}

static unsigned pic_rank_to_ir(const struct vpic_chip *c, unsigned r)
{
	return (c->lowest + 1 + r) & 7;
}

/* The input that the chip would present now, or -1. */
static int pic_chip_request(const struct vpic_chip *c, bool master)
{
	uint8_t wanting = c->irr & (uint8_t)~c->imr, serving = c->isr;
	unsigned want;

	if (c->icw)
		return -1;
	/* Special mask mode: what is masked no longer holds the others back. */
	if (c->special_mask)
		serving &= (uint8_t)~c->imr;
	want = pic_rank(c, wanting);
	if (want == 8 || want > pic_rank(c, serving))
		return -1;
	/* Special fully nested: the slave, and nothing else, may interrupt its own service in the master. */
	if (want == pic_rank(c, serving) &&
		!(master && c->nested_special && pic_rank_to_ir(c, want) == CASCADE))
		return -1;
	return (int)pic_rank_to_ir(c, want);
}

static void pic_chip_set(struct vpic_chip *c, unsigned ir, bool level)
{
	uint8_t bit = (uint8_t)BIT(ir);

	if (c->level_all || (c->elcr & bit)) {
		c->irr = level ? c->irr | bit : c->irr & (uint8_t)~bit;
	} else if (level && !(c->lines & bit)) {
		c->irr |= bit;
	} else if (!level) {
		/* An input must stay high until it is acknowledged. */
		c->irr &= (uint8_t)~bit;
	}
	c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
}

static void pic_chip_begin(struct vpic_chip *c, unsigned ir)
{
	uint8_t bit = (uint8_t)BIT(ir);

	if (!(c->level_all || (c->elcr & bit)))
		c->irr &= (uint8_t)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_auto)
		c->lowest = (uint8_t)ir;
}

/* Carries the slave's request to the master and tells the CPUs about INTR. */
static void pic_update(struct vpic *v)
{
	struct vpic_chip *master = &v->chip[0], *slave = &v->chip[1];
	int was = v->out, now = -1, ir, slave_ir = pic_chip_request(slave, false);

	/* INT of the slave is a level that falls and rises again between two of its requests. */
	pic_chip_set(master, CASCADE, false);
	if (slave_ir >= 0)
		pic_chip_set(master, CASCADE, true);
	ir = pic_chip_request(master, true);
	if (ir == CASCADE && slave_ir >= 0)
		now = slave->base + slave_ir;
	else if (ir >= 0)
		now = master->base + ir;
	atomic_store(&v->out, now);
	if (was != now)
		irq_intr(v->dev.board->irqs, was >= 0, now >= 0);
}

void vpic_set(struct vpic *v, unsigned irq, bool level)
{
	if (irq == CASCADE || irq > 15)
		return;
	if (((v->chip[irq >> 3].lines >> (irq & 7)) & 1) == level)
		return;
	pic_chip_set(&v->chip[irq >> 3], irq & 7, level);
	pic_update(v);
}

/* One INTA sequence of one chip. */
static unsigned pic_chip_ack(struct vpic_chip *c, bool master)
{
	int ir = pic_chip_request(c, master);

	if (ir < 0)
		return 7; /* spurious: IR7's vector, and nothing is in service */
	pic_chip_begin(c, (unsigned)ir);
	return (unsigned)ir;
}

uint8_t vpic_ack(struct vpic *v)
{
	unsigned ir = pic_chip_ack(&v->chip[0], true);
	uint8_t vector;

	if (ir == CASCADE)
		vector = (uint8_t)(v->chip[1].base + pic_chip_ack(&v->chip[1], false));
	else
		vector = (uint8_t)(v->chip[0].base + ir);
	pic_update(v);
	return vector;
}

static void pic_eoi(struct vpic_chip *c, unsigned ir, bool rotate)
{
	c->isr &= (uint8_t)~BIT(ir);
	if (rotate)
		c->lowest = (uint8_t)ir;
}

static void pic_ocw2(struct vpic_chip *c, uint8_t value)
{
	unsigned ir = value & 7, r;
	uint8_t serving = c->isr;

	switch (value >> 5) {
	case 0: /* rotate in automatic EOI mode: off, on */
	case 4:
		c->rotate_auto = value >> 5;
		break;
	case 1: /* non-specific EOI, with rotation */
	case 5:
		if (c->special_mask)
			serving &= (uint8_t)~c->imr;
		r = pic_rank(c, serving);
		if (r < 8)
			pic_eoi(c, pic_rank_to_ir(c, r), value & BIT(7));
		break;
	case 3: /* specific EOI, with rotation */
	case 7:
		pic_eoi(c, ir, value & BIT(7));
		break;
	case 6: /* set priority */
		c->lowest = (uint8_t)ir;
		break;
	default: /* 2: no operation */
		break;
	}
}

static void pic_ocw3(struct vpic_chip *c, uint8_t value)
{
	if (value & BIT(6))
		c->special_mask = value & BIT(5);
	if (value & BIT(2))
		c->poll = true;
	else if (value & BIT(1))
		c->read_isr = value & BIT(0);
}

static void pic_icw1(struct vpic_chip *c, uint8_t value)
{
	uint8_t lines = c->lines, elcr = c->elcr, base = c->base;

	*c = (struct vpic_chip){ .lines = lines, .elcr = elcr, .base = base, .lowest = 7, .icw = 2 };
	/* The edge sense is reset: an input that is high already must fall and rise again. Level inputs count. */
	c->level_all = value & ICW1_LEVEL;
	c->irr = c->level_all ? lines : lines & elcr;
	c->icw4_wanted = value & ICW1_ICW4;
	c->cascade = !(value & ICW1_SINGLE);
}

static void pic_icw(struct vpic_chip *c, uint8_t value)
{
	switch (c->icw) {
	case 2:
		c->base = value & 0xf8;
		c->icw = c->cascade ? 3 : c->icw4_wanted ? 4 : 0;
		break;
	case 3: /* which pin, which identity: the wiring of a PC is fixed */
		c->icw = c->icw4_wanted ? 4 : 0;
		break;
	default:
		c->auto_eoi = value & ICW4_AUTO_EOI;
		c->nested_special = value & ICW4_NESTED;
		c->icw = 0;
		break;
	}
}

static uint64_t vpic_read(struct vpic *v, unsigned n, unsigned off)
{
	struct vpic_chip *c = &v->chip[n];

	if (c->poll) {
		int ir = pic_chip_request(c, n == 0);

		/* The read is the acknowledge; in the master IR2 means: poll the slave too. */
		c->poll = false;
		if (ir < 0)
			return 0;
		pic_chip_begin(c, (unsigned)ir);
		pic_update(v);
		return POLL_INTERRUPT | (unsigned)ir;
	}
	if (off)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static void vpic_write(struct vpic *v, unsigned n, unsigned off, uint8_t value)
{
	struct vpic_chip *c = &v->chip[n];

	if (!off && (value & ICW1_SELECT))
		pic_icw1(c, value);
	else if (!off && (value & OCW3_SELECT))
		pic_ocw3(c, value);
	else if (!off)
		pic_ocw2(c, value);
	else if (c->icw)
		pic_icw(c, value);
	else
		c->imr = value;
	pic_update(v);
}

static uint64_t pic_master_read(void *dev, uint64_t off, unsigned size)
{
	return vpic_read(dev, 0, (unsigned)off);
}
static void pic_master_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	vpic_write(dev, 0, (unsigned)off, (uint8_t)value);
}
static uint64_t pic_slave_read(void *dev, uint64_t off, unsigned size)
{
	return vpic_read(dev, 1, (unsigned)off);
}
static void pic_slave_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	vpic_write(dev, 1, (unsigned)off, (uint8_t)value);
}

/* Edge/level control: IRQ 0, 1, 2, 8 and 13 are always edges. */
static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

static uint64_t pic_elcr_read(void *dev, uint64_t off, unsigned size)
{
	struct vpic *v = dev;

	return v->chip[off].elcr;
}

static void pic_elcr_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vpic *v = dev;
	struct vpic_chip *c = &v->chip[off];

	c->elcr = (uint8_t)value & elcr_writable[off];
	c->irr = (c->irr & (uint8_t)~c->elcr) | (c->lines & c->elcr);
	pic_update(v);
}

static void vpic_reset(struct device *d)
{
	struct vpic *v = (struct vpic *)d;

	/* As firmware leaves them: initialised, all masked; IRQ 9 (SCI), 10 and 11 (PCI) level-triggered. */
	for (unsigned n = 0; n < 2; n++) {
		uint8_t lines = v->chip[n].lines;

		v->chip[n] = (struct vpic_chip){ .lines = n ? lines : lines & (uint8_t)~BIT(CASCADE),
			.imr = 0xff,
			.base = n ? 0x70 : 0x08,
			.lowest = 7,
			.cascade = true,
			.elcr = n ? 0x0e : 0 };
		v->chip[n].irr = v->chip[n].lines & v->chip[n].elcr;
	}
	pic_update(v);
}

static int vpic_init(struct device *d)
{
	struct vpic *v = (struct vpic *)d;

	v->out = -1;
	return 0;
}

static int vpic_attach(struct device *d)
{
	struct vpic *v = (struct vpic *)d;

	device_ports(d, &v->ports[0], 0x20, 2, BUS_1, pic_master_read, pic_master_write);
	device_ports(d, &v->ports[1], 0xa0, 2, BUS_1, pic_slave_read, pic_slave_write);
	device_ports(d, &v->ports[2], 0x4d0, 2, BUS_1, pic_elcr_read, pic_elcr_write);
	return 0;
}

const struct device_kind vpic_kind = {
	.name = "8259A pair",
	.size = sizeof(struct vpic),
	.lock = LOCK_INTERRUPTS,
	.init = vpic_init,
	.attach = vpic_attach,
	.reset = vpic_reset,
};
