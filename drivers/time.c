/* SPDX-License-Identifier: MIT */
/*
 * The rate of the TSC. CPUID leaf 15H gives it exactly on newer CPUs, but emulators and some firmware fill the leaf
 * with numbers of a machine they are not; so a platform timer is always asked too:
 *
 *	HPET (10 to 100 MHz)  else  ACPI PM timer (3.58 MHz)  else  PIT channel 2 (1.19 MHz)
 *
 * Several short runs, of which the median counts: a system-management interrupt or a busy host spoils one or two.
 */
#include "drivers/time.h"

#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/x86.h"
#include "mm/hostmap.h"

#define RUNS   5
#define RUN_US 5000

#define PM_TIMER_HZ 3579545
#define PIT_HZ	    1193182

/* A counter that goes up and wraps. */
struct counter {
	const char *name;
	uint64_t (*read)(const struct counter *c);
	uint64_t mask; /* the bits that count */
	uint64_t hz;
	volatile uint32_t *mmio;
	uint16_t port;
};

static uint64_t hz;

uint64_t tsc_hz_from_cpuid(
	uint32_t max_leaf, uint32_t leaf15_eax, uint32_t leaf15_ebx, uint32_t leaf15_ecx, uint32_t leaf16_eax)
{
	/* TSC = crystal * EBX / EAX (SDM Vol. 2A, CPUID). */
	if (max_leaf < 0x15 || !leaf15_eax || !leaf15_ebx)
		return 0;
	if (leaf15_ecx)
		return mul_div_u64(leaf15_ecx, leaf15_ebx, leaf15_eax);
	/* The crystal is left out on the first CPUs with the leaf; their base frequency is the TSC's (18.7.3). */
	return max_leaf >= 0x16 ? (leaf16_eax & 0xffff) * 1000000ull : 0;
}

uint64_t tsc_hz_from_run(uint64_t tsc_ticks, uint64_t count, uint64_t counter_hz)
{
	return count ? mul_div_u64(tsc_ticks, counter_hz, count) : 0;
}

uint64_t median_u64(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint64_t x = v[i];
		unsigned j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
	return n ? v[n / 2] : 0;
}

uint64_t tsc_hz_choose(uint64_t from_cpuid, uint64_t measured, bool *differ)
{
	uint64_t apart = from_cpuid > measured ? from_cpuid - measured : measured - from_cpuid;

	*differ = from_cpuid && measured && apart > measured / 100;
	return from_cpuid && !*differ ? from_cpuid : measured;
}

static uint64_t read_mmio(const struct counter *c)
{
	return *c->mmio;
}

static uint64_t read_port(const struct counter *c)
{
	return in32(c->port);
}

static uint64_t read_pit(const struct counter *c)
{
	uint8_t lo, hi;

	(void)c;
	out8(0x43, 0x80); /* latch channel 2 */
	lo = in8(0x42);
	hi = in8(0x42);
	return -(uint64_t)(lo | hi << 8); /* it counts down */
}

static bool hpet_counter(const struct acpi *acpi, struct counter *c)
{
	volatile uint32_t *r;
	uint64_t period;

	if (!acpi->hpet)
		return false;
	r = hostmap_mmio(hpa(acpi->hpet), 0x400, MT_UC);
	if (!r)
		return false;
	/* IA-PC HPET specification 2.3: 0x004 femtoseconds a tick, 0x010 bit 0 enable, 0x0f0 the counter. */
	period = r[1];
	if (!period || period > 100000000)
		return false;
	r[4] |= 1;
	*c = (struct counter){ .name = "HPET", .read = read_mmio, .mask = 0xffffffff, .mmio = r + 0xf0 / 4 };
	c->hz = 1000000000000000ull / period;
	return true;
}

static bool pm_counter(const struct acpi *acpi, struct counter *c)
{
	*c = (struct counter){ .name = "ACPI PM timer", .hz = PM_TIMER_HZ };
	c->mask = acpi->pm_timer_32bit ? 0xffffffff : 0xffffff;
	if (!acpi->pm_timer.address)
		return false;
	if (acpi->pm_timer.space == ACPI_IO && acpi->pm_timer.address < 0xfffd) {
		c->port = (uint16_t)acpi->pm_timer.address;
		c->read = read_port;
		return true;
	}
	if (acpi->pm_timer.space != ACPI_MEMORY)
		return false;
	c->mmio = hostmap_mmio(hpa(acpi->pm_timer.address), 4, MT_UC);
	c->read = read_mmio;
	return c->mmio;
}

static bool pit_counter(struct counter *c)
{
	*c = (struct counter){ .name = "PIT", .read = read_pit, .mask = 0xffff, .hz = PIT_HZ };
	out8(0x61, (uint8_t)((in8(0x61) & ~2u) | 1)); /* gate of channel 2 on, speaker off */
	out8(0x43, 0xb4);			      /* channel 2, low then high byte, mode 2 */
	out8(0x42, 0);
	out8(0x42, 0); /* 65536 */
	return true;
}

/* The counter and the TSC at one moment: of three looks the one that took least time. */
static void look(const struct counter *c, uint64_t *count, uint64_t *tsc)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t before = rdtsc(), v = c->read(c), after = rdtsc();

		if (after - before >= best)
			continue;
		best = after - before;
		*count = v;
		*tsc = before + best / 2;
	}
}

static uint64_t measure(const struct counter *c)
{
	uint64_t want = mul_div_u64(c->hz, RUN_US, 1000000), runs[RUNS];

	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t c0 = 0, c1 = 0, t0 = 0, t1 = 0, last, still = 0;

		look(c, &c0, &t0);
		last = c0;
		/* No read takes so little that a live counter stands still for a hundred thousand of them. */
		do {
			uint64_t now = c->read(c);

			still = now == last ? still + 1 : 0;
			last = now;
			if (still > 100000)
				return 0;
			cpu_relax();
		} while (((last - c0) & c->mask) < want);
		look(c, &c1, &t1);
		runs[i] = tsc_hz_from_run(t1 - t0, (c1 - c0) & c->mask, c->hz);
	}
	return median_u64(runs, RUNS);
}

static uint64_t hz_by_cpuid(void)
{
	uint32_t most = cpuid(0, 0).eax;
	struct cpuid c15 = { 0 }, c16 = { 0 };

	if (most >= 0x15)
		c15 = cpuid(0x15, 0);
	if (most >= 0x16)
		c16 = cpuid(0x16, 0);
	return tsc_hz_from_cpuid(most, c15.eax, c15.ebx, c15.ecx, c16.eax);
}

static uint64_t hz_by_timer(const struct acpi *acpi, const char **name)
{
	struct counter c;
	uint64_t v;

	for (unsigned i = 0; i < 3; i++) {
		if (!(i == 0 ? hpet_counter(acpi, &c) : i == 1 ? pm_counter(acpi, &c) : pit_counter(&c)))
			continue;
		v = measure(&c);
		*name = c.name;
		if (v)
			return v;
		log_warn("the %s does not count", c.name);
	}
	return 0;
}

int time_init(const struct acpi *acpi)
{
	const char *timer = "no timer";
	uint64_t said = hz_by_cpuid(), measured = hz_by_timer(acpi, &timer);
	bool differ;

	hz = tsc_hz_choose(said, measured, &differ);
	if (!hz) {
		hz = 1000000000;
		log_error("neither CPUID nor HPET, PM timer or PIT tell the TSC's rate: 1 GHz is assumed");
		return -E_NOSUP;
	}
	if (differ)
		log_warn("CPUID leaf 15h says that the TSC runs at %llu Hz, but by the %s it is %llu Hz: "
			 "that is taken",
			(unsigned long long)said, timer, (unsigned long long)measured);
	log_info("TSC: %llu.%03llu MHz by %s%s%s", (unsigned long long)(hz / 1000000),
		(unsigned long long)(hz / 1000 % 1000), hz == said ? "CPUID 15h" : timer,
		hz == said && measured ? ", confirmed by " : "", hz == said && measured ? timer : "");
	return 0;
}

uint64_t tsc_hz(void)
{
	return hz;
}

void udelay(uint64_t us)
{
	uint64_t start = rdtsc(), ticks = mul_div_u64(us, hz ? hz : 4000000000, 1000000);

	while (rdtsc() - start < ticks)
		cpu_relax();
}

uint64_t tsc_to_ns(uint64_t ticks)
{
	return hz ? mul_div_u64(ticks, 1000000000, hz) : 0;
}

uint64_t ns_to_tsc(uint64_t ns)
{
	return mul_div_u64(ns, hz, 1000000000);
}

bool tsc_invariant(void)
{
	return cpuid(0x80000000, 0).eax >= 0x80000007 && cpuid(0x80000007, 0).edx & BIT(8);
}
