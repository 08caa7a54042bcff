/* SPDX-License-Identifier: MIT */
/* The CMOS clock: time of day from the guest's TSC, alarm, periodic and update interrupts, configuration memory. */
#include "guest/dev/vrtc.h"

#include "lib/calendar.h"
#include "lib/string.h"

#define HZ 32768ul

enum {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
	A,
	B,
	C,
	D
};
#define CENTURY 0x32

#define A_UIP	  BIT(7)
#define A_DV	  BITS(6, 4)
#define A_RESET	  BITS(6, 5) /* divider 11x: the chain is held in reset */
#define A_RS	  BITS(3, 0)
#define B_SET	  BIT(7)
#define B_PIE	  BIT(6)
#define B_AIE	  BIT(5)
#define B_UIE	  BIT(4)
#define B_BINARY  BIT(2)
#define B_24H	  BIT(1)
#define C_IRQF	  BIT(7)
#define C_FLAGS	  BITS(6, 4) /* PF, AF, UF: the places of their enable bits in B */
#define C_PF	  BIT(6)
#define C_AF	  BIT(5)
#define C_UF	  BIT(4)
#define D_VALID	  BIT(7)
#define PM	  0x80
#define ALARM_ANY 0xc0 /* both top bits set: matches always */

#define UPDATE_TICKS 8 /* UIP is set 244 us ahead of an update */

static bool rtc_divider_reset(const struct vrtc *v)
{
	return (v->ram[A] & A_RESET) == A_RESET;
}

static uint64_t rtc_ticks_at(const struct vrtc *v, uint64_t tsc)
{
	return v->epoch + (tsc < v->origin ? 0 : rate_ticks(&v->rate, tsc - v->origin));
}

static uint64_t rtc_ticks(const struct vrtc *v)
{
	return rtc_ticks_at(v, device_now(&v->dev));
}

/* ---- calendar ---- */

static uint8_t rtc_encode(const struct vrtc *v, unsigned n)
{
	return (uint8_t)(v->ram[B] & B_BINARY ? n : n / 10 << 4 | n % 10);
}

static unsigned rtc_decode(const struct vrtc *v, uint8_t raw)
{
	return v->ram[B] & B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15);
}

static uint8_t rtc_encode_hour(const struct vrtc *v, unsigned h)
{
	if (v->ram[B] & B_24H)
		return rtc_encode(v, h);
	return (uint8_t)(rtc_encode(v, h % 12 ? h % 12 : 12) | (h >= 12 ? PM : 0));
}

static unsigned rtc_decode_hour(const struct vrtc *v, uint8_t raw)
{
	unsigned h;

	if (v->ram[B] & B_24H)
		return rtc_decode(v, raw);
	h = rtc_decode(v, raw & 0x7f) % 12;
	return raw & PM ? h + 12 : h;
}

static void rtc_to_registers(struct vrtc *v, uint64_t seconds)
{
	unsigned year, month, day;

	calendar_date(seconds / 86400, &year, &month, &day);
	v->ram[SECONDS] = rtc_encode(v, (unsigned)(seconds % 60));
	v->ram[MINUTES] = rtc_encode(v, (unsigned)(seconds / 60 % 60));
	v->ram[HOURS] = rtc_encode_hour(v, (unsigned)(seconds / 3600 % 24));
	v->ram[WEEKDAY] =
		rtc_encode(v, (unsigned)((seconds / 86400 + 4) % 7 + 1)); /* 1970-01-01 was a Thursday */
	v->ram[DAY] = rtc_encode(v, day);
	v->ram[MONTH] = rtc_encode(v, month);
	v->ram[YEAR] = rtc_encode(v, year % 100);
	v->ram[CENTURY] = (uint8_t)(year / 1000 % 10 << 4 | year / 100 % 10);
}

/* Returns some time even if the registers hold values that are no time. */
static uint64_t rtc_from_registers(const struct vrtc *v)
{
	unsigned century = (v->ram[CENTURY] >> 4) * 10u + (v->ram[CENTURY] & 15);
	unsigned year = century * 100 + rtc_decode(v, v->ram[YEAR]) % 100;
	unsigned month = rtc_decode(v, v->ram[MONTH]), day = rtc_decode(v, v->ram[DAY]);
	uint64_t days = calendar_days(max(year, 1970u), min(max(month, 1u), 12u), min(max(day, 1u), 31u));

	return days * 86400 + rtc_decode_hour(v, v->ram[HOURS]) % 24 * 3600 +
	       rtc_decode(v, v->ram[MINUTES]) % 60 * 60 + rtc_decode(v, v->ram[SECONDS]) % 60;
}

/* ---- alarm ---- */

#define ANY UINT32_MAX

/* What an alarm register waits for. */
static unsigned rtc_awaited(const struct vrtc *v, unsigned reg)
{
	uint8_t raw = v->ram[reg];

	if ((raw & ALARM_ANY) == ALARM_ANY)
		return ANY;
	return reg == HOURS_ALARM ? rtc_decode_hour(v, raw) : rtc_decode(v, raw);
}

/* How many steps it is from `now` to `awaited`, counted round. */
static unsigned rtc_ahead(unsigned awaited, uint64_t now, unsigned round)
{
	return awaited == ANY ? 0 : (unsigned)((awaited + round - now % round) % round);
}

/* Returns the first second after `after` that matches the alarm, or UINT64_MAX if none does. Each step goes to where one of the
 * three matches; from the beginning of the right hour on none leaves it. So there are five: second, minute, hour, minute, second. */
static uint64_t rtc_next_alarm(const struct vrtc *v, uint64_t after)
{
	unsigned hour = rtc_awaited(v, HOURS_ALARM), minute = rtc_awaited(v, MINUTES_ALARM),
		 second = rtc_awaited(v, SECONDS_ALARM), n;
	uint64_t t = after + 1;

	if ((hour >= 24 && hour != ANY) || (minute >= 60 && minute != ANY) || (second >= 60 && second != ANY))
		return UINT64_MAX;
	for (;;) {
		if ((n = rtc_ahead(hour, t / 3600, 24)))
			t = (t / 3600 + n) * 3600;
		else if ((n = rtc_ahead(minute, t / 60, 60)))
			t = (t / 60 + n) * 60;
		else if ((n = rtc_ahead(second, t, 60)))
			t += n;
		else
			return t;
	}
}

/* ---- flags and interrupts ---- */

/* Ticks between two periodic interrupts; 0: none. */
static uint64_t rtc_period(const struct vrtc *v)
{
	unsigned rs = v->ram[A] & A_RS;

	if (!rs)
		return 0;
	return 1ull << (rs <= 2 ? rs + 6 : rs - 1);
}

static void rtc_look_anew(struct vrtc *v)
{
	uint64_t t = rtc_ticks(v), every = rtc_period(v);

	v->seen_second = t / HZ;
	v->seen_periodic = every ? t / every : 0;
}

/* Sets the flags of what happened since the last look. */
static void rtc_settle(struct vrtc *v, uint64_t t)
{
	uint64_t every = rtc_period(v), second = t / HZ;

	if (rtc_divider_reset(v))
		return;
	if (every && t / every != v->seen_periodic) {
		v->seen_periodic = t / every;
		v->ram[C] |= C_PF;
	}
	if (!v->halted && second != v->seen_second) {
		v->ram[C] |= C_UF;
		if (rtc_next_alarm(v, v->seen_second) <= second)
			v->ram[C] |= C_AF;
		v->seen_second = second;
	}
}

static void rtc_update(struct vrtc *v)
{
	uint64_t t = rtc_ticks(v), every = rtc_period(v), due = UINT64_MAX, alarm;
	uint8_t enabled = v->ram[B] & C_FLAGS;

	rtc_settle(v, t);
	if (v->ram[C] & enabled)
		v->ram[C] |= C_IRQF;
	else
		v->ram[C] &= (uint8_t)~C_IRQF;
	irq_line_set(&v->irq, v->ram[C] & C_IRQF);

	/* Until register C is read no further interrupt can come, so there is nothing to wait for. */
	if (!(v->ram[C] & C_IRQF) && !rtc_divider_reset(v)) {
		if ((enabled & B_PIE) && every)
			due = (t / every + 1) * every;
		if ((enabled & B_UIE) && !v->halted)
			due = min(due, (t / HZ + 1) * HZ);
		alarm = (enabled & B_AIE) && !v->halted ? rtc_next_alarm(v, t / HZ) : UINT64_MAX;
		if (alarm < UINT64_MAX / HZ)
			due = min(due, alarm * HZ);
	}
	if (due == UINT64_MAX)
		timer_stop(&v->timer);
	else
		timer_arm(&v->timer, tsc_after(v->origin, rate_tsc(&v->rate, due - v->epoch)));
}

static void rtc_fire(struct vtimer *timer, uint64_t now)
{
	rtc_update(container_of(timer, struct vrtc, timer));
}

/* ---- registers ---- */

static bool rtc_is_time(unsigned reg)
{
	return reg == SECONDS || reg == MINUTES || (reg >= HOURS && reg <= YEAR && reg != HOURS_ALARM) ||
	       reg == CENTURY;
}

/* The time is now `seconds`, and goes on from here. */
static void rtc_set_time(struct vrtc *v, uint64_t seconds, uint64_t fraction)
{
	v->origin = device_now(&v->dev);
	v->epoch = seconds * HZ + fraction;
	rtc_look_anew(v);
}

/* SET and the divider's reset stop the clock; the registers then hold what is written. */
static void rtc_check_halt(struct vrtc *v)
{
	bool halt = (v->ram[B] & B_SET) || rtc_divider_reset(v);

	if (halt && !v->halted)
		rtc_to_registers(v, rtc_ticks(v) / HZ);
	else if (!halt && v->halted)
		rtc_set_time(v, rtc_from_registers(v), 0);
	v->halted = halt;
}

static uint8_t rtc_read_register(struct vrtc *v, unsigned reg)
{
	uint64_t t = rtc_ticks(v);
	uint8_t value;

	if (rtc_is_time(reg) && !v->halted)
		rtc_to_registers(v, t / HZ);
	if (reg == A)
		return (uint8_t)(v->ram[A] | (!v->halted && t % HZ >= HZ - UPDATE_TICKS ? A_UIP : 0));
	if (reg == C) {
		rtc_update(v);
		value = v->ram[C];
		v->ram[C] = 0;
		rtc_update(v);
		return value;
	}
	return v->ram[reg];
}

static void rtc_write_register(struct vrtc *v, unsigned reg, uint8_t value)
{
	uint64_t t = rtc_ticks(v);

	rtc_settle(v, t);
	if (rtc_is_time(reg)) {
		if (!v->halted)
			rtc_to_registers(v, t / HZ);
		v->ram[reg] = value;
		if (!v->halted)
			rtc_set_time(v, rtc_from_registers(v), t % HZ);
	} else if (reg == A || reg == B) {
		v->ram[reg] = reg == A ? value & (uint8_t)~A_UIP : value;
		if (v->ram[B] & B_SET)
			v->ram[B] &= (uint8_t)~B_UIE; /* datasheet: SET clears UIE */
		rtc_check_halt(v);
		rtc_look_anew(v);
	} else if (reg != C && reg != D) {
		v->ram[reg] = value;
	}
	rtc_update(v);
}

static uint64_t rtc_read(void *dev, uint64_t off, unsigned size)
{
	struct vrtc *v = dev;

	return off ? rtc_read_register(v, v->index & 0x7f) : v->index;
}

static void rtc_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vrtc *v = dev;

	if (off)
		rtc_write_register(v, v->index & 0x7f, (uint8_t)value);
	else
		v->index = (uint8_t)value; /* bit 7 masks NMI from chipset errors, of which there are none */
}

static void rtc_put16(struct vrtc *v, unsigned at, uint64_t n)
{
	v->ram[at] = (uint8_t)n;
	v->ram[at + 1] = (uint8_t)(n >> 8);
}

/* What firmware notes about the machine: memory sizes, equipment, checksum (IBM AT layout). */
static void rtc_firmware_bytes(struct vrtc *v)
{
	const struct guest_layout *l = &v->dev.board->settings->layout;
	uint64_t kib = l->low_end / KiB,
		 above16 = l->low_end > 16 * MiB ? (l->low_end - 16 * MiB) / (64 * KiB) : 0;
	uint64_t high = l->high_end > LAYOUT_HIGH ? (l->high_end - LAYOUT_HIGH) / (64 * KiB) : 0;
	unsigned sum = 0;

	v->ram[0x14] = 0x07; /* display, keyboard and coprocessor present; no floppy */
	rtc_put16(v, 0x15, 640);
	rtc_put16(v, 0x17, kib > 1024 ? min(kib - 1024, 0xfffful) : 0);
	rtc_put16(v, 0x30, kib > 1024 ? min(kib - 1024, 0xfffful) : 0);
	rtc_put16(v, 0x34, min(above16, 0xfffful));
	rtc_put16(v, 0x5b, high);
	v->ram[0x5d] = (uint8_t)(high >> 16);
	for (unsigned i = 0x10; i <= 0x2d; i++)
		sum += v->ram[i];
	v->ram[0x2e] = (uint8_t)(sum >> 8);
	v->ram[0x2f] = (uint8_t)sum;
}

static void vrtc_reset(struct device *d)
{
	struct vrtc *v = (struct vrtc *)d;
	uint64_t t = rtc_ticks(v), seconds = v->halted ? rtc_from_registers(v) : t / HZ;

	/* The battery keeps the time; the rest is as firmware leaves it. */
	memset(v->ram, 0, sizeof(v->ram));
	v->ram[A] = 0x26;
	v->ram[B] = B_24H;
	v->ram[D] = D_VALID;
	v->index = 0;
	v->halted = false;
	rtc_firmware_bytes(v);
	rtc_set_time(v, seconds, t % HZ);
	rtc_update(v);
}

static int vrtc_init(struct device *d)
{
	struct vrtc *v = (struct vrtc *)d;

	rate_init(&v->rate, HZ, d->board->clock->tsc_hz);
	v->origin = device_now(d);
	v->epoch = min(d->board->settings->start_time, 253402300799ul /* the end of 9999 */) * HZ;
	return 0;
}

static int vrtc_attach(struct device *d)
{
	struct vrtc *v = (struct vrtc *)d;

	device_timer(d, &v->timer, rtc_fire);
	device_ports(d, &v->ports, 0x70, 2, BUS_1, rtc_read, rtc_write);
	return 0;
}

const struct device_kind vrtc_kind = {
	.name = "CMOS clock",
	.size = sizeof(struct vrtc),
	.init = vrtc_init,
	.attach = vrtc_attach,
	.reset = vrtc_reset,
};
