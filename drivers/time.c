/* SPDX-License-Identifier: MIT */
/*
 * The rate of the TSC. CPUID leaf 15H gives it exactly on newer CPUs, but emulators and some firmware fill the leaf
 * with numbers of a machine they are not, and leaf 16H is rounded; so a platform timer is always asked too:
 *
 *	HPET (10 to 100 MHz)  else  ACPI PM timer (3.58 MHz)  else  PIT channel 2 (1.19 MHz)
 *
 * Several short runs, of which the median counts: a system-management interrupt or a busy host spoils one or two. If
 * nothing then gives the rate exactly, longer runs follow. time_pure.c chooses.
 */
#include "drivers/time.h"

#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/x86.h"
#include "mm/host/hostmap.h"

#define RUNS	    5
#define RUN_US	    5000
#define LONG_RUN_US 40000 /* below the 55 ms of the PIT's 16 bits */

#define MSR_HYPERV_TSC_HZ 0x40000022u

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
static bool exact;

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

/* The counter and the TSC at one moment: of three looks the one that took least time, in TSC ticks. */
static uint64_t look(const struct counter *c, uint64_t *count, uint64_t *tsc)
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
	return best;
}

/* Runs of `us` microseconds: f->measured and f->uncertain. False: the counter stands still. */
static bool measure(const struct counter *c, uint64_t us, struct tsc_facts *f)
{
	uint64_t want = mul_div_u64(c->hz, us, 1000000), runs[RUNS], off[RUNS];

	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t c0 = 0, c1 = 0, t0 = 0, t1 = 0, last, still = 0, looks;

		looks = look(c, &c0, &t0);
		last = c0;
		/* No read takes so little that a live counter stands still for a hundred thousand of them. */
		do {
			uint64_t now = c->read(c);

			still = now == last ? still + 1 : 0;
			last = now;
			if (still > 100000)
				return false;
			cpu_relax();
		} while (((last - c0) & c->mask) < want);
		looks += look(c, &c1, &t1);
		runs[i] = tsc_hz_from_run(t1 - t0, (c1 - c0) & c->mask, c->hz);
		/* Half of each look, and one tick of the counter. */
		off[i] = tsc_uncertain(runs[i], looks / 2 + runs[i] / c->hz, t1 - t0);
	}
	f->measured = median_u64(runs, RUNS);
	/* Sorted now. All but the first and the last must agree as well. */
	f->uncertain = max(median_u64(off, RUNS), runs[RUNS - 2] - runs[1]);
	f->timer = c->name;
	return f->measured;
}

static void facts_read(struct tsc_facts *f)
{
	f->max_leaf = cpuid(0, 0).eax;
	f->leaf15 = cpuid_or_zero(0x15, 0);
	f->leaf16 = cpuid_or_zero(0x16, 0);
	if (!(cpuid(1, 0).ecx & BIT(31)))
		return;
	f->hypervisor_max = cpuid(0x40000000, 0).eax;
	if (f->hypervisor_max >= 0x40000003) {
		f->hypervisor_interface = cpuid(0x40000001, 0).eax;
		f->hyperv_eax = cpuid(0x40000003, 0).eax;
		f->hyperv_edx = cpuid(0x40000003, 0).edx;
	}
	if (f->hypervisor_max >= 0x40000010)
		f->hypervisor_khz = cpuid(0x40000010, 0).eax;
	if (tsc_hyperv_tells(f))
		f->hyperv_hz = rdmsr(MSR_HYPERV_TSC_HZ);
}

/* The first timer that counts measures; false: none does. */
static bool find_timer(const struct acpi *acpi, struct counter *c, struct tsc_facts *f)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(i == 0 ? hpet_counter(acpi, c) : i == 1 ? pm_counter(acpi, c) : pit_counter(c)))
			continue;
		if (measure(c, RUN_US, f))
			return true;
		log_warn("the %s does not count", c->name);
	}
	return false;
}

static void rate_log(const struct tsc_facts *f, const struct tsc_rate *r)
{
	char how[80] = "";

	if (r->refused)
		log_warn("%s says that the TSC runs at %llu Hz, but by the %s it is %llu Hz: that is taken",
			r->refused, (unsigned long long)r->refused_hz, f->timer,
			(unsigned long long)f->measured);
	if (f->measured && r->source == f->timer)
		fmt_snprintf(how, sizeof(how), ", within %llu ppm",
			(unsigned long long)mul_div_u64(f->uncertain, 1000000, f->measured));
	else if (f->measured)
		fmt_snprintf(how, sizeof(how), ", confirmed by %s", f->timer);
	log_info("TSC: %llu.%03llu MHz by %s%s%s", (unsigned long long)(r->hz / 1000000),
		(unsigned long long)(r->hz / 1000 % 1000), r->source, how,
		r->exact ? "" : ": guests are told that it is not exact");
}

int time_init(const struct acpi *acpi)
{
	struct tsc_facts f = { 0 };
	struct tsc_rate rate;
	struct counter timer;
	bool counts;

	facts_read(&f);
	counts = find_timer(acpi, &timer, &f);
	rate = tsc_rate_choose(&f);
	if (!rate.exact && counts && measure(&timer, LONG_RUN_US, &f))
		rate = tsc_rate_choose(&f);
	hz = rate.hz;
	exact = rate.exact;
	if (!hz) {
		hz = 1000000000;
		log_error("neither CPUID nor HPET, PM timer or PIT tell the TSC's rate: 1 GHz is assumed");
		return -E_NOSUP;
	}
	rate_log(&f, &rate);
	return 0;
}

uint64_t tsc_hz(void)
{
	return hz;
}

bool tsc_hz_exact(void)
{
	return exact;
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
