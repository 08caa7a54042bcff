/* SPDX-License-Identifier: MIT */
/* The 8254: control words, counts, latches; what a counter shows follows from the time (vpit.h). */
#include "guest/dev/vpit.h"

#include "lib/string.h"

#define PORT61_GATE2   BIT(0)
#define PORT61_SPEAKER BIT(1)
#define PORT61_WRITTEN BITS(3, 0)
#define PORT61_REFRESH BIT(4)
#define PORT61_OUT2    BIT(5)
#define REFRESH_TICKS  18 /* 15 us */

static uint64_t pit_ticks_now(const struct vpit *v)
{
	return rate_ticks(&v->rate, device_now(&v->dev));
}

static bool pit_periodic(const struct vpit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Ticks counted since the count was loaded. */
static uint64_t pit_elapsed(const struct vpit_channel *c, uint64_t t)
{
	if (!c->gate && (c->mode == 0 || c->mode == 4))
		return c->paused;
	return (int64_t)(t - c->start) < 0 ? 0 : t - c->start;
}

/* A count written while a periodic counter runs is taken over at the end of the period. */
static void pit_settle(struct vpit_channel *c, uint64_t t)
{
	if (!c->next_count || !c->counting || pit_elapsed(c, t) < c->count)
		return;
	c->start += c->count;
	c->count = c->next_count;
	c->next_count = 0;
}

static bool pit_output(const struct vpit_channel *c, uint64_t t)
{
	uint64_t e = pit_elapsed(c, t);

	if (!c->counting)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
		return e >= c->count;
	case 1:
		return e >= c->count;
	case 2:
		return !c->gate || e % c->count != c->count - 1;
	case 3:
		return !c->gate || e % c->count < (c->count + 1) / 2;
	default:
		return e != c->count;
	}
}

static uint16_t pit_to_bcd(uint32_t n)
{
	return (uint16_t)(n / 1000 % 10 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

/* The counting element as a read shows it. */
static uint16_t pit_counter(const struct vpit_channel *c, uint64_t t)
{
	uint32_t modulus = c->bcd ? 10000 : 65536, n;
	uint64_t e = pit_elapsed(c, t);

	if (!c->counting)
		n = c->loaded ? c->count : 0;
	else if (c->mode == 2)
		n = c->count - (uint32_t)(e % c->count);
	else if (c->mode == 3) /* by twos, once down in each half */
		n = c->count - (uint32_t)(2 * e % c->count);
	else
		n = (c->count + modulus - (uint32_t)(e % modulus)) % modulus;
	return c->bcd ? pit_to_bcd(n % 10000) : (uint16_t)n;
}

/* Arms the timer for the next rising edge of channel 0's output. */
static void pit_arm(struct vpit *v, uint64_t now, bool again)
{
	struct vpit_channel *c = &v->channel[0];
	uint64_t t = rate_ticks(&v->rate, now), e = pit_elapsed(c, t), edge, due;

	if (!c->counting) {
		timer_stop(&v->timer);
		return;
	}
	if (pit_periodic(c))
		edge = (e / c->count + 1) * c->count;
	else
		edge = c->count + (c->mode >= 4); /* modes 4 and 5 strobe low for a tick, then rise */
	if (e >= edge) {
		timer_stop(&v->timer);
		return;
	}
	due = rate_tsc(&v->rate, c->start + edge);
	timer_arm(&v->timer, again ? timer_periodic_due(v->dev.board->clock, now, due) : due);
}

static void pit_fire(struct vtimer *timer, uint64_t now)
{
	struct vpit *v = container_of(timer, struct vpit, timer);

	pit_settle(&v->channel[0], rate_ticks(&v->rate, now));
	irq_line_pulse(&v->irq);
	pit_arm(v, now, true);
}

/* The counter starts or starts again at t with c->count. */
static void pit_start(struct vpit *v, struct vpit_channel *c, uint64_t t)
{
	c->start = t;
	c->paused = 0;
	c->counting = true;
	if (c == &v->channel[0]) {
		if (c->mode == 0)
			irq_line_set(&v->irq, false);
		/* Computed from the time of the start: an edge that has passed since then is due at once, not lost. */
		pit_arm(v, rate_tsc(&v->rate, t), false);
	}
}

static void pit_load(struct vpit *v, struct vpit_channel *c, uint16_t raw, uint64_t t)
{
	uint32_t n = raw;

	if (c->bcd)
		n = (raw >> 12) * 1000u + (raw >> 8 & 15) * 100u + (raw >> 4 & 15) * 10u + (raw & 15);
	if (n == 0)
		n = c->bcd ? 10000 : 65536;
	if (n == 1 && pit_periodic(c))
		n = 2; /* 1 is illegal in modes 2 and 3 (datasheet, "Minimum and Maximum Initial Counts") */
	pit_settle(c, t);
	if (pit_periodic(c) && c->counting) {
		c->next_count = n;
		return;
	}
	c->count = n;
	c->loaded = true;
	if (c->mode != 1 && c->mode != 5)
		pit_start(v, c, t);
}

static void pit_write_count(struct vpit *v, struct vpit_channel *c, uint8_t byte)
{
	uint64_t t = pit_ticks_now(v);

	switch (c->access) {
	case 1:
		pit_load(v, c, byte, t);
		break;
	case 2:
		pit_load(v, c, (uint16_t)(byte << 8), t);
		break;
	case 3:
		if (c->write_high) {
			c->write_high = false;
			pit_load(v, c, (uint16_t)(byte << 8 | c->write_low), t);
			break;
		}
		c->write_low = byte;
		c->write_high = true;
		if (c->mode == 0) { /* the first byte stops the count */
			c->counting = false;
			if (c == &v->channel[0])
				timer_stop(&v->timer);
		}
		break;
	}
}

static uint8_t pit_read_count(struct vpit *v, struct vpit_channel *c)
{
	uint64_t t = pit_ticks_now(v);
	bool high = c->access == 2;
	uint16_t value;

	pit_settle(c, t);
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	value = c->latched ? c->latch : pit_counter(c, t);
	if (c->access == 3) {
		high = c->read_high;
		c->read_high = !c->read_high;
	}
	/* A latched count is let go when it has been read as far as the access mode goes. */
	if (c->access != 3 || high)
		c->latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

static void pit_latch_count(struct vpit_channel *c, uint64_t t)
{
	if (c->latched)
		return;
	c->latch = pit_counter(c, t);
	c->latched = true;
}

static void pit_latch_status(struct vpit_channel *c, uint64_t t)
{
	bool null_count = !c->loaded || c->next_count;

	if (c->status_latched)
		return;
	c->status =
		(uint8_t)(pit_output(c, t) << 7 | null_count << 6 | c->access << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

static void pit_read_back(struct vpit *v, uint8_t command, uint64_t t)
{
	for (unsigned n = 0; n < 3; n++) {
		struct vpit_channel *c = &v->channel[n];

		if (!(command & 2u << n))
			continue;
		pit_settle(c, t);
		if (!(command & BIT(5)))
			pit_latch_count(c, t);
		if (!(command & BIT(4)))
			pit_latch_status(c, t);
	}
}

static void pit_control(struct vpit *v, uint8_t word)
{
	unsigned n = word >> 6;
	uint64_t t = pit_ticks_now(v);
	struct vpit_channel *c;
	bool gate;

	if (n == 3) {
		pit_read_back(v, word, t);
		return;
	}
	c = &v->channel[n];
	pit_settle(c, t);
	if (!(word & BITS(5, 4))) {
		pit_latch_count(c, t);
		return;
	}
	gate = c->gate;
	*c = (struct vpit_channel){ .gate = gate,
		.access = (word >> 4) & 3,
		.mode = (word >> 1) & 7,
		.bcd = word & 1,
		.count = 65536 };
	if (c->mode > 5)
		c->mode -= 4; /* bit 2 does not matter in modes 2 and 3 */
	if (n == 0) {
		timer_stop(&v->timer);
		if (c->mode == 0)
			irq_line_set(&v->irq, false);
	}
}

static void pit_set_gate(struct vpit *v, struct vpit_channel *c, bool gate)
{
	uint64_t t = pit_ticks_now(v);

	if (gate == c->gate)
		return;
	pit_settle(c, t);
	if (!gate) {
		c->paused = pit_elapsed(c, t);
		c->gate = false;
		return;
	}
	c->gate = true;
	if (c->mode == 0 || c->mode == 4)
		c->start = t - c->paused;
	else if (c->loaded)
		pit_start(v, c, t); /* modes 1 and 5: trigger; 2 and 3: begin a new period */
}

static uint64_t pit_read(void *dev, uint64_t off, unsigned size)
{
	struct vpit *v = dev;

	return off == 3 ? 0xff : pit_read_count(v, &v->channel[off]); /* the control word cannot be read */
}

static void pit_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vpit *v = dev;

	if (off == 3)
		pit_control(v, (uint8_t)value);
	else
		pit_write_count(v, &v->channel[off], (uint8_t)value);
}

static uint64_t port61_read(void *dev, uint64_t off, unsigned size)
{
	struct vpit *v = dev;
	uint64_t t = pit_ticks_now(v), value = v->port61;

	pit_settle(&v->channel[2], t);
	if (t / REFRESH_TICKS & 1)
		value |= PORT61_REFRESH;
	if (pit_output(&v->channel[2], t))
		value |= PORT61_OUT2;
	return value;
}

static void port61_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vpit *v = dev;

	v->port61 = value & PORT61_WRITTEN;
	pit_set_gate(v, &v->channel[2], value & PORT61_GATE2);
}

static void vpit_reset(struct device *d)
{
	struct vpit *v = (struct vpit *)d;

	for (unsigned n = 0; n < 3; n++)
		v->channel[n] =
			(struct vpit_channel){ .mode = 3, .access = 3, .gate = n != 2, .count = 65536 };
	v->port61 = 0;
	timer_stop(&v->timer);
	irq_line_set(&v->irq, false);
}

static int vpit_attach(struct device *d)
{
	struct vpit *v = (struct vpit *)d;

	rate_init(&v->rate, PIT_HZ, d->board->clock->tsc_hz);
	device_timer(d, &v->timer, pit_fire);
	device_ports(d, &v->counters, 0x40, 4, BUS_1, pit_read, pit_write);
	device_ports(d, &v->port61_range, 0x61, 1, BUS_1, port61_read, port61_write);
	return 0;
}

const struct device_kind vpit_kind = {
	.name = "8254 timer",
	.size = sizeof(struct vpit),
	.attach = vpit_attach,
	.reset = vpit_reset,
};
