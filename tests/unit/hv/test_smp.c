/* SPDX-License-Identifier: MIT */
/* Machines whose MADT lists CPUs that are not there: they are named and left out, and those behind them start. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/host/smp_pure.h"
#include "lib/bits.h"

#define IDS 128

static struct {
	enum smp_result comes[1024]; /* by APIC ID */
	uint32_t id_of[CPUS_MAX];
	unsigned out[1024]; /* 1 + why */
	unsigned tries;
} m;

static enum smp_result start(void *ctx, unsigned number, uint32_t apic_id)
{
	(void)ctx;
	m.tries++;
	assert_true(number && number < CPUS_MAX);
	if (m.comes[apic_id] == SMP_RUNS) {
		assert_int_equal(m.id_of[number], 0);
		m.id_of[number] = apic_id;
	}
	return m.comes[apic_id];
}

static void left_out(void *ctx, uint32_t apic_id, enum smp_left_out why)
{
	(void)ctx;
	assert_int_equal(m.out[apic_id], 0);
	m.out[apic_id] = 1 + why;
}

static const struct smp_ops ops = { .start = start, .left_out = left_out };

static int setup(void **state)
{
	(void)state;
	m = (typeof(m)){ 0 };
	return 0;
}

static void cpus_behind_a_silent_one_start(void **state)
{
	static const struct acpi_cpu list[] = { { .apic_id = 8 }, { .apic_id = 4 }, { .apic_id = 2 },
		{ .apic_id = 6 } };

	(void)state;
	m.comes[4] = SMP_SILENT;
	assert_int_equal(smp_start_list(list, 4, 8, false, &ops), 3);
	assert_true(m.id_of[1] == 2 && m.id_of[2] == 6);
	assert_int_equal(m.out[4], 1 + SMP_OUT_SILENT);
	assert_int_equal(m.out[2] + m.out[6] + m.out[8], 0);
}

static void an_id_out_of_reach_is_left_out(void **state)
{
	static const struct acpi_cpu list[] = { { .apic_id = 0 }, { .apic_id = 255 }, { .apic_id = 700 },
		{ .apic_id = 254 } };

	(void)state;
	assert_int_equal(smp_start_list(list, 4, 0, false, &ops), 2);
	assert_int_equal(m.id_of[1], 254);
	assert_int_equal(m.tries, 1);
	assert_int_equal(m.out[255], 1 + SMP_OUT_UNREACHABLE);
	assert_int_equal(m.out[700], 1 + SMP_OUT_UNREACHABLE);
}

static void in_x2apic_mode_all_are_in_reach(void **state)
{
	static const struct acpi_cpu list[] = { { .apic_id = 0 }, { .apic_id = 255 }, { .apic_id = 700 } };

	(void)state;
	assert_int_equal(smp_start_list(list, 3, 0, true, &ops), 3);
	assert_true(m.id_of[1] == 255 && m.id_of[2] == 700);
}

/* It may be in the trampoline: the page cannot be written for another. */
static void none_is_started_after_one_that_is_stuck(void **state)
{
	static const struct acpi_cpu list[] = { { .apic_id = 1 }, { .apic_id = 2 }, { .apic_id = 3 },
		{ .apic_id = 4 } };

	(void)state;
	m.comes[2] = SMP_STUCK;
	assert_int_equal(smp_start_list(list, 4, 9, false, &ops), 2);
	assert_int_equal(m.tries, 2);
	assert_int_equal(m.out[2], 1 + SMP_OUT_SILENT);
	assert_int_equal(m.out[3], 1 + SMP_OUT_BEHIND_STUCK);
	assert_int_equal(m.out[4], 1 + SMP_OUT_BEHIND_STUCK);
}

static void without_memory_the_rest_is_named(void **state)
{
	static const struct acpi_cpu list[] = { { .apic_id = 1 }, { .apic_id = 2 } };

	(void)state;
	m.comes[1] = SMP_NO_MEMORY;
	assert_int_equal(smp_start_list(list, 2, 9, false, &ops), 1);
	assert_int_equal(m.out[1], 1 + SMP_OUT_NO_MEMORY);
	assert_int_equal(m.out[2], 1 + SMP_OUT_NO_MEMORY);
}

/* Ghosts at the beginning of a long list take no places from CPUs that are there. */
static void cpus_that_are_not_there_take_no_places(void **state)
{
	struct acpi_cpu list[IDS];

	(void)state;
	for (unsigned i = 0; i < IDS; i++) {
		list[i] = (struct acpi_cpu){ .apic_id = 1 + i };
		m.comes[1 + i] = i < IDS / 2 ? SMP_SILENT : SMP_RUNS;
	}
	assert_int_equal(smp_start_list(list, IDS, 0, false, &ops), CPUS_MAX);
	for (unsigned n = 1; n < CPUS_MAX; n++)
		assert_int_equal(m.id_of[n], IDS / 2 + n);
	assert_int_equal(m.out[IDS], 1 + SMP_OUT_TOO_MANY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(cpus_behind_a_silent_one_start),
		T(an_id_out_of_reach_is_left_out),
		T(in_x2apic_mode_all_are_in_reach),
		T(none_is_started_after_one_that_is_stuck),
		T(without_memory_the_rest_is_named),
		T(cpus_that_are_not_there_take_no_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
