/* SPDX-License-Identifier: MIT */
/* The TSC's rate, chosen from what CPUID, the hypervisor and a timer say; and the arithmetic of measuring it. */
#include "drivers/time.h"

#define MHZ		 1000000ull
#define HYPERV_INTERFACE 0x31237648u /* CPUID 40000001H EAX: "Hv#1" */
#define HYPERV_MAY_READ	 BIT(11)     /* 40000003H EAX: this partition may read the frequency MSRs */
#define HYPERV_HAS_MSRS	 BIT(8)	     /* 40000003H EDX: they are there */
#define HYPERVISOR_RATE	 0x40000010u

/* What a source states is another machine's rate if it is further off than this: CPUID of an emulator, for example. */
#define STATED_PPM   10000
/* A crystal that is assumed must fit better: the nearest of them are 4 % apart, and CPUID 16H is rounded by up to 4000 ppm. */
#define CRYSTAL_PPM  500
/* A measured rate is as good as a stated one if it is not further off than two crystals are from each other. */
#define MEASURED_PPM 50

uint64_t tsc_hz_from_run(uint64_t tsc_ticks, uint64_t count, uint64_t counter_hz)
{
	return count ? mul_div_u64(tsc_ticks, counter_hz, count) : 0;
}

uint64_t tsc_uncertain(uint64_t hz, uint64_t ticks_off, uint64_t ticks)
{
	return ticks ? mul_div_u64(hz, ticks_off, ticks) : UINT64_MAX;
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

/* True if a and b are at most `ppm` millionths of b apart. */
static bool is_near(uint64_t a, uint64_t b, uint64_t ppm)
{
	return (a > b ? a - b : b - a) <= mul_div_u64(b, ppm, 1000000);
}

bool tsc_hyperv_tells(const struct tsc_facts *f)
{
	return f->hypervisor_max >= 0x40000003 && f->hypervisor_interface == HYPERV_INTERFACE &&
	       f->hyperv_eax & HYPERV_MAY_READ && f->hyperv_edx & HYPERV_HAS_MSRS;
}

/* What a source states; Hz, or 0 if it states nothing. */
static uint64_t by_hyperv(const struct tsc_facts *f)
{
	return tsc_hyperv_tells(f) ? f->hyperv_hz : 0;
}

static uint64_t by_hypervisor(const struct tsc_facts *f)
{
	return f->hypervisor_max >= HYPERVISOR_RATE ? f->hypervisor_khz * 1000ull : 0;
}

/* TSC = crystal * EBX / EAX (SDM Vol. 2A, CPUID). */
static uint64_t by_crystal(const struct tsc_facts *f, uint64_t crystal)
{
	if (f->max_leaf < 0x15 || !f->leaf15.eax || !f->leaf15.ebx || !crystal)
		return 0;
	return mul_div_u64(crystal, f->leaf15.ebx, f->leaf15.eax);
}

static uint64_t by_cpuid(const struct tsc_facts *f)
{
	return by_crystal(f, f->leaf15.ecx);
}

static const struct {
	const char *name;
	uint64_t (*hz)(const struct tsc_facts *f);
} stated[] = {
	{ "Hyper-V's MSR", by_hyperv },
	{ "the hypervisor's CPUID 40000010h", by_hypervisor },
	{ "CPUID 15h", by_cpuid },
};

/* What CPUs with leaf 15H have that leave its ECX 0 (SDM Vol. 3B 18.7.3). */
static const struct {
	const char *name;
	uint64_t hz;
} crystals[] = {
	{ "CPUID 15h and a crystal of 24 MHz", 24 * MHZ },   /* Core of the 6th to 9th generation */
	{ "CPUID 15h and a crystal of 25 MHz", 25 * MHZ },   /* Xeon of these, Denverton */
	{ "CPUID 15h and a crystal of 19.2 MHz", 19200000 }, /* Goldmont */
};

static struct tsc_rate take(struct tsc_rate r, uint64_t hz, bool exact, const char *source)
{
	r.hz = hz;
	r.exact = exact;
	r.source = source;
	return r;
}

struct tsc_rate tsc_rate_choose(const struct tsc_facts *f)
{
	struct tsc_rate r = { .source = "nothing" };

	for (unsigned i = 0; i < ARRAY_SIZE(stated); i++) {
		uint64_t hz = stated[i].hz(f);

		if (!hz)
			continue;
		if (!f->measured || is_near(hz, f->measured, STATED_PPM))
			return take(r, hz, true, stated[i].name);
		if (!r.refused) {
			r.refused = stated[i].name;
			r.refused_hz = hz;
		}
	}
	for (unsigned i = 0; f->measured && !f->leaf15.ecx && i < ARRAY_SIZE(crystals); i++) {
		uint64_t hz = by_crystal(f, crystals[i].hz);

		if (hz && is_near(hz, f->measured, CRYSTAL_PPM))
			return take(r, hz, true, crystals[i].name);
	}
	if (f->measured)
		return take(r, f->measured, f->uncertain <= mul_div_u64(f->measured, MEASURED_PPM, 1000000),
			f->timer);
	/* The base frequency is the TSC's, rounded to what is printed on the box. */
	if (f->max_leaf >= 0x16 && f->leaf16.eax & 0xffff)
		return take(r, (f->leaf16.eax & 0xffff) * MHZ, false, "CPUID 16h");
	return r;
}
