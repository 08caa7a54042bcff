/* SPDX-License-Identifier: MIT */
/* What guests are told about the TSC's rate: exactly where Lethe knows it, else so that they measure it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/vm/guest_cpuid.h"

static void an_exact_rate_is_shown(void **state)
{
	struct cpuid c15, c16, frequency;

	guest_cpuid_rate(3407998744, true, &c15, &c16, &frequency);
	assert_int_equal((uint64_t)c15.ecx * c15.ebx / c15.eax, 3407998744);
	assert_int_equal(c15.ebx / c15.eax, PLATFORM_APIC_CLOCK_DIV);
	assert_int_equal(c16.eax, 3408);
	assert_int_equal(frequency.eax, 3407999);
	assert_int_equal(frequency.ebx, 852000);
}

static void a_rate_that_is_not_exact_is_not_shown_as_exact(void **state)
{
	struct cpuid c15, c16, frequency;

	guest_cpuid_rate(49999999, false, &c15, &c16, &frequency);
	assert_int_equal(c15.ecx, 0);
	assert_int_equal(c15.ebx / c15.eax, PLATFORM_APIC_CLOCK_DIV);
	assert_int_equal(c16.eax, 50); /* rounded, not cut: 49 would be 2 % off */
	assert_int_equal(c16.ebx, 50);
	assert_int_equal(frequency.eax | frequency.ebx, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exact_rate_is_shown),
		cmocka_unit_test(a_rate_that_is_not_exact_is_not_shown_as_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
