/* SPDX-License-Identifier: MIT */
/* Data and I/O breakpoints against DR0 to DR3 and DR7 (SDM Vol. 3B 17.2.4, 17.2.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/emu/breakpoint.h"

/* DR7 of breakpoint n, local or global; len as encoded. */
static uint64_t on(unsigned n, unsigned global, enum break_on kind, unsigned len)
{
	return 1ull << (2 * n + global) | (uint64_t)kind << (16 + 4 * n) | (uint64_t)len << (18 + 4 * n);
}

static void a_write_breakpoint_ignores_reads(void **state)
{
	struct breakpoints b = { .dr = { 0x1000 }, .dr7 = on(0, 1, BREAK_WRITE, 0) };

	assert_int_equal(breakpoints_data(&b, 0x1000, 1, true), 1);
	assert_int_equal(breakpoints_data(&b, 0x1000, 1, false), 0);
	b.dr7 = on(0, 0, BREAK_ACCESS, 0);
	assert_int_equal(breakpoints_data(&b, 0x1000, 1, false), 1);
}

static void one_that_is_off_or_of_another_kind_does_not_hit(void **state)
{
	struct breakpoints b = { .dr = { 0x1000, 0x1000, 0x1000, 0x1000 },
		.dr7 = on(0, 1, BREAK_EXECUTE, 0) | on(1, 1, BREAK_IO, 0) |
		       (on(2, 0, BREAK_ACCESS, 0) & ~0xffull) };

	assert_true(breakpoints_on(b.dr7));
	assert_int_equal(breakpoints_data(&b, 0x1000, 8, true), 0);
	assert_int_equal(breakpoints_io(&b, 0x1000, 1, true), 2);
	assert_int_equal(breakpoints_io(&b, 0x1000, 1, false), 0); /* CR4.DE is off */
	assert_false(breakpoints_on(0xffff0700));
}

static void every_length_and_distance_overlaps_as_bytes_do(void **state)
{
	static const unsigned bytes[4] = { 1, 2, 8, 4 };

	for (unsigned len = 0; len < 4; len++)
		for (uint64_t dr = 0x1000; dr < 0x1008; dr++)
			for (uint64_t at = 0xff0; at < 0x1018; at++)
				for (unsigned size = 1; size <= 16; size *= 2) {
					struct breakpoints b = { .dr = { 0, 0, 0, dr },
						.dr7 = on(3, 1, BREAK_ACCESS, len) };
					uint64_t first = dr / bytes[len] * bytes[len];
					bool meets = false;

					for (uint64_t k = at; k < at + size; k++)
						if (k >= first && k < first + bytes[len])
							meets = true;
					assert_int_equal(
						breakpoints_data(&b, at, size, false), meets ? 8 : 0);
				}
}

static void the_ends_of_the_address_space_do_not_wrap_into_one_another(void **state)
{
	struct breakpoints b = { .dr = { 0 }, .dr7 = on(0, 1, BREAK_ACCESS, 3) };

	assert_int_equal(breakpoints_data(&b, ~0ull, 1, true), 0);
	b.dr[0] = ~0ull;
	assert_int_equal(breakpoints_data(&b, ~0ull, 1, true), 1);
	assert_int_equal(breakpoints_data(&b, 0, 4, true), 0);
}

static void several_hit_at_once(void **state)
{
	struct breakpoints b = { .dr = { 0x10, 0x12, 0x14, 0x10 },
		.dr7 = on(0, 1, BREAK_WRITE, 0) | on(1, 0, BREAK_ACCESS, 1) | on(2, 1, BREAK_WRITE, 3) |
		       on(3, 1, BREAK_IO, 3) };

	assert_int_equal(breakpoints_data(&b, 0x10, 4, true), 3);
	assert_int_equal(breakpoints_data(&b, 0x10, 8, true), 7);
	assert_int_equal(breakpoints_data(&b, 0x10, 8, false), 2);
	assert_int_equal(breakpoints_io(&b, 0x13, 1, true), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_breakpoint_ignores_reads),
		cmocka_unit_test(one_that_is_off_or_of_another_kind_does_not_hit),
		cmocka_unit_test(every_length_and_distance_overlaps_as_bytes_do),
		cmocka_unit_test(the_ends_of_the_address_space_do_not_wrap_into_one_another),
		cmocka_unit_test(several_hit_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
