/* SPDX-License-Identifier: MIT */
/* Formatting agrees with the C library's for everything that both know. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/printf.h"

#define SAME(...)                                                                                            \
	do {                                                                                                 \
		char ours[128], theirs[128];                                                                 \
		int a = fmt_snprintf(ours, sizeof(ours), __VA_ARGS__);                                       \
		int b = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                       \
		assert_string_equal(ours, theirs);                                                           \
		assert_int_equal(a, b);                                                                      \
	} while (0)

static void integers_as_libc(void **state)
{
	const long long values[] = { 0, 1, -1, 9, 10, -10, 255, 4096, INT_MAX, INT_MIN, LLONG_MAX,
		LLONG_MIN };

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		long long v = values[i];

		SAME("%d|%i|%u", (int)v, (int)v, (unsigned)v);
		SAME("%lld|%llu|%llx|%llX|%llo", v, (unsigned long long)v, (unsigned long long)v,
			(unsigned long long)v, (unsigned long long)v);
		SAME("%5d|%-5d|%05d|%+d|% d", (int)v, (int)v, (int)v, (int)v, (int)v);
		SAME("%.3d|%8.3d|%-8.3d|%.0d", (int)v, (int)v, (int)v, (int)v);
		SAME("%#x|%#10x|%#010x|%08x", (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v);
		SAME("%hhd|%hd|%hhu|%hu", (signed char)v, (short)v, (unsigned char)v, (unsigned short)v);
		SAME("%zu|%jd|%td", (size_t)v, (intmax_t)v, (ptrdiff_t)v);
		SAME("%*d|%-*d|%.*d", 7, (int)v, 7, (int)v, 3, (int)v);
	}
}

static void strings_as_libc(void **state)
{
	SAME("%s|%10s|%-10s|%.2s|%10.2s", "abc", "abc", "abc", "abc", "abc");
	SAME("%c%c%%", 'x', 'y');
	SAME("%-3c|%3c|", 'x', 'y');
	SAME("plain");
}

static void cuts_and_counts(void **state)
{
	char buf[8];

	memset(buf, 'Z', sizeof(buf));
	assert_int_equal(fmt_snprintf(buf, 4, "123456"), 6);
	assert_string_equal(buf, "123");
	assert_int_equal(buf[4], 'Z');
	assert_int_equal(fmt_snprintf(NULL, 0, "%d", 12345), 5);
}

static void unfinished_formats_do_no_harm(void **state)
{
	char buf[32];
	const char *volatile cut = "50%"; /* volatile: the compiler would refuse these */
	const char *volatile unknown = "%q";

	int (*volatile format)(char *, size_t, const char *, ...) =
		fmt_snprintf; /* so that the compiler does not check */

	format(buf, sizeof(buf), cut);
	assert_string_equal(buf, "50");
	format(buf, sizeof(buf), unknown);
	assert_string_equal(buf, "%q");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_as_libc),
		cmocka_unit_test(strings_as_libc),
		cmocka_unit_test(cuts_and_counts),
		cmocka_unit_test(unfinished_formats_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
