/* SPDX-License-Identifier: MIT */
/* Calendar time agrees with the C library's over every day of four centuries. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "boot/clock.h"

static void every_day_as_libc(void **state)
{
	for (int64_t t = 0; t < 400ll * 366 * 86400; t += 86400 + 3723) {
		time_t tt = (time_t)t;
		struct tm tm;
		struct calendar c;

		gmtime_r(&tt, &tm);
		c = (struct calendar){ (unsigned)tm.tm_year + 1900, (unsigned)tm.tm_mon + 1,
			(unsigned)tm.tm_mday, (unsigned)tm.tm_hour, (unsigned)tm.tm_min, (unsigned)tm.tm_sec,
			CALENDAR_NO_ZONE };
		assert_int_equal(calendar_to_unix(&c), t);
	}
}

static void time_zones_count_and_invalid_dates_are_0(void **state)
{
	struct calendar berlin = { 2026, 11, 22, 19, 0, 0, -60 };
	struct calendar utc = { 2026, 11, 22, 18, 0, 0, 0 };
	struct calendar bad = { 2026, 13, 1, 0, 0, 0, 0 };

	assert_int_equal(calendar_to_unix(&berlin), calendar_to_unix(&utc));
	assert_int_equal(calendar_to_unix(&bad), 0);
	bad.month = 0;
	assert_int_equal(calendar_to_unix(&bad), 0);
	bad = (struct calendar){ 1969, 12, 31, 23, 59, 59, 0 };
	assert_int_equal(calendar_to_unix(&bad), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_as_libc),
		cmocka_unit_test(time_zones_count_and_invalid_dates_are_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
