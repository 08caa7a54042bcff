/* SPDX-License-Identifier: MIT */
/* Which rate of the TSC is taken, on real machines, under hypervisors, and where the sources contradict each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "drivers/time.h"

#define MHZ	    1000000ull
#define MEASURED(x) .measured = (x), .uncertain = (x) / 10000, .timer = "HPET" /* 100 ppm */
#define RATIO(denominator, numerator, crystal)                                                               \
	.max_leaf = 0x16, .leaf15 = { .eax = (denominator), .ebx = (numerator), .ecx = (crystal) }
#define HYPERV .hypervisor_max = 0x4000000b, .hypervisor_interface = 0x31237648

struct machine {
	const char *name;
	struct tsc_facts facts;
	uint64_t hz;
	bool exact;
	const char *source;
};

static const struct machine machines[] = {
	/* 15H without a crystal; 16H is off by 0.24, 0.36, 0.11 %. */
	{ "Core i7-6700", { RATIO(2, 284, 0), .leaf16.eax = 3400, MEASURED(3408100000) }, 3408 * MHZ, true,
		"24 MHz" },
	{ "Core i9-7900X", { RATIO(2, 276, 0), .leaf16.eax = 3300, MEASURED(3311500000) }, 3312 * MHZ, true,
		"24 MHz" },
	{ "Core i7-8700K", { RATIO(2, 308, 0), .leaf16.eax = 3700, MEASURED(3695990000) }, 3696 * MHZ, true,
		"24 MHz" },
	{ "Core i9-9900K", { RATIO(2, 300, 0), .leaf16.eax = 3600, MEASURED(3600020000) }, 3600 * MHZ, true,
		"24 MHz" },
	{ "Xeon Gold 6130", { RATIO(2, 168, 0), .leaf16.eax = 2100, MEASURED(2099950000) }, 2100 * MHZ, true,
		"25 MHz" },
	{ "Atom C3558", { RATIO(1, 88, 0), .leaf16.eax = 2200, MEASURED(2200010000) }, 2200 * MHZ, true,
		"25 MHz" },
	{ "Celeron N3350", { RATIO(1, 57, 0), .leaf16.eax = 1100, MEASURED(1094390000) }, 1094400000, true,
		"19.2 MHz" },
	{ "Celeron N4100", { RATIO(1, 57, 19200000), MEASURED(1094390000) }, 1094400000, true, "CPUID 15h" },
	{ "Core i7-1065G7", { RATIO(2, 78, 38400000), .leaf16.eax = 1500, MEASURED(1497500000) }, 1497600000,
		true, "CPUID 15h" },
	/* No leaf 15H. */
	{ "Core i7-4770", { .max_leaf = 0xd, MEASURED(3392100000) }, 3392100000, false, "HPET" },
	{ "the same, well measured",
		{ .max_leaf = 0xd, .measured = 3392100000, .uncertain = 60000, .timer = "HPET" }, 3392100000,
		true, "HPET" },
	{ "51 ppm", { .max_leaf = 0xd, .measured = 1000000000, .uncertain = 51000, .timer = "HPET" },
		1000000000, false, "HPET" },
	/* A ratio that fits no crystal: by 499 and 501 ppm. */
	{ "499 ppm", { RATIO(2, 250, 0), .leaf16.eax = 3000, MEASURED(3001498000) }, 3000 * MHZ, true,
		"24 MHz" },
	{ "501 ppm", { RATIO(2, 250, 0), .leaf16.eax = 3000, MEASURED(3001510000) }, 3001510000, false,
		"HPET" },
	/* No timer. */
	{ "16H alone", { RATIO(2, 284, 0), .leaf16.eax = 3400 }, 3400 * MHZ, false, "CPUID 16h" },
	{ "15H alone", { RATIO(2, 78, 38400000), .leaf16.eax = 1500 }, 1497600000, true, "CPUID 15h" },
	{ "nothing", { .max_leaf = 0xd }, 0, false, "nothing" },
	{ "leaves above the highest",
		{ .max_leaf = 0x14, .leaf15 = { 2, 78, 38400000, 0 }, .leaf16.eax = 1500 }, 0, false,
		"nothing" },
	{ "zeros in 15H", { .max_leaf = 0x15, .leaf15 = { 0, 78, 38400000, 0 } }, 0, false, "nothing" },
	/* Hypervisors; the CPU is a Core i7-6700 whose 15H they pass on. */
	{ "Hyper-V",
		{ HYPERV, .hyperv_eax = BIT(11), .hyperv_edx = BIT(8), .hyperv_hz = 3407998742,
			RATIO(2, 284, 0), MEASURED(3409000000) },
		3407998742, true, "Hyper-V" },
	{ "Hyper-V, MSR barred",
		{ HYPERV, .hyperv_edx = BIT(8), .hyperv_hz = 3407998742, MEASURED(3409000000) }, 3409000000,
		false, "HPET" },
	{ "Hyper-V, MSR missing",
		{ HYPERV, .hyperv_eax = BIT(11), .hyperv_hz = 3407998742, MEASURED(3409000000) }, 3409000000,
		false, "HPET" },
	{ "KVM, the same bits",
		{ .hypervisor_max = 0x40000010,
			.hypervisor_khz = 3408001,
			.hyperv_eax = BIT(11),
			.hyperv_edx = BIT(8),
			.hyperv_hz = 5,
			MEASURED(3410000000) },
		3408001000, true, "40000010h" },
	{ "KVM without the leaf",
		{ .hypervisor_max = 0x40000001, .hypervisor_khz = 3408001, MEASURED(3410000000) }, 3410000000,
		false, "HPET" },
	{ "VMware",
		{ .hypervisor_max = 0x40000010,
			.hypervisor_khz = 3408000,
			RATIO(2, 284, 0),
			.leaf16.eax = 3400 },
		3408 * MHZ, true, "40000010h" },
	{ "VMware, leaf 0", { .hypervisor_max = 0x40000010, MEASURED(3410000000) }, 3410000000, false,
		"HPET" },
	/* Hostile: nothing overflows. */
	{ "all ones", { RATIO(1, 0xffffffff, 0xffffffff) }, 0xffffffffull * 0xffffffffull, true,
		"CPUID 15h" },
};

static void each_machine_has_its_rate(void **s)
{
	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(machines); i++) {
		const struct machine *m = &machines[i];
		struct tsc_rate r = tsc_rate_choose(&m->facts);

		if (r.hz != m->hz || r.exact != m->exact || !strstr(r.source, m->source) || r.refused)
			fail_msg("%s: %llu Hz, %s, by %s", m->name, (unsigned long long)r.hz,
				r.exact ? "exact" : "not exact", r.source);
	}
}

/* An emulator of 50 MHz that shows the CPUID of what it emulates. */
static void a_stated_rate_of_another_machine_is_refused(void **s)
{
	struct tsc_facts f = { RATIO(2, 78, 38400000), .measured = 50 * MHZ, .uncertain = 1000,
		.timer = "HPET" };
	struct tsc_rate r = tsc_rate_choose(&f);

	(void)s;
	assert_int_equal(r.hz, 50 * MHZ);
	assert_true(r.exact);
	assert_string_equal(r.source, "HPET");
	assert_string_equal(r.refused, "CPUID 15h");
	assert_int_equal(r.refused_hz, 1497600000);
	/* 1 % is the limit. */
	f.measured = 1512000000;
	assert_int_equal(tsc_rate_choose(&f).hz, 1497600000);
	f.measured = 1513000000;
	assert_int_equal(tsc_rate_choose(&f).hz, 1513000000);
	/* A refused hypervisor leaf does not hide a CPUID 15H that fits. */
	f.measured = 1497600000;
	f.hypervisor_max = 0x40000010;
	f.hypervisor_khz = 3000000;
	r = tsc_rate_choose(&f);
	assert_string_equal(r.source, "CPUID 15h");
	assert_int_equal(r.refused_hz, 3000 * MHZ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_machine_has_its_rate),
		cmocka_unit_test(a_stated_rate_of_another_machine_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
