/* SPDX-License-Identifier: MIT */
/* What is shown of the output of a VM in the background, byte by byte. Each text is given whole, in single bytes, and in two
 * pieces torn at each place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/vm/background_pure.h"
#include "lib/bits.h"
#include "tests/support/rig/xorshift.h"

static char shown[8192]; /* each line behind "<" and before ">" */
static size_t used, lines;

static void emit(void *ctx, const char *line, size_t n)
{
	assert_ptr_equal(ctx, shown);
	assert_true(n <= BACKGROUND_LINE && used + n + 3 < sizeof(shown));
	lines++;
	shown[used++] = '<';
	memcpy(shown + used, line, n);
	used += n;
	shown[used++] = '>';
	shown[used] = 0;
}

/* Takes something each time, and ends a line at most, for that is how long a piece of it may take. */
static size_t feed(struct background *b, const char *text, size_t n)
{
	size_t before = lines, took = background_feed(b, text, n, emit, shown);

	assert_in_range(took, 1, n);
	/* The end of a character that does not go on may end a full line, and LF the next. */
	assert_in_range(lines - before, 0, 2);
	return took;
}

static void give(const char *text, size_t n, size_t first, size_t piece)
{
	struct background b = { 0 };

	used = 0;
	shown[0] = 0;
	for (size_t at = 0; at < first;)
		at += feed(&b, text + at, first - at);
	for (size_t at = first; at < n;)
		at += feed(&b, text + at, n - at < piece ? n - at : piece);
	background_end(&b, emit, shown);
	assert_int_equal(b.used + b.column + b.cr + b.have + b.want, 0);
}

static void check_bytes(const char *text, size_t n, const char *expected)
{
	for (size_t first = 0; first <= n; first++) {
		give(text, n, first, n + 1);
		assert_string_equal(shown, expected);
	}
	give(text, n, 0, 1);
	assert_string_equal(shown, expected);
}

struct example {
	const char *text, *expected;
};

static void check(const struct example *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_bytes(e[i].text, strlen(e[i].text), e[i].expected);
}

static void lines_and_carriage_returns(void **state)
{
	static const struct example e[] = {
		{ "", "" },
		{ "one\ntwo", "<one><two>" },
		{ "one\r\n\r\ntwo\r\n", "<one><><two>" },
		{ "one\n\rtwo\n\r", "<one><two>" },
		{ "10%\r20%\r\r\n", "<10%^M20%>" },
		{ "ab\rlethe: forged\n", "<ab^Mlethe: forged>" },
		{ "ab\r", "<ab>" },
		{ "\r\n", "<>" },
	};

	check(e, ARRAY_SIZE(e));
}

static void controls_reach_the_terminal(void **state)
{
	static const struct example e[] = {
		{ "\033[2J\033[5;17H\033[6n\033[c\033]0;t\a\005x\r\n",
			"<^[[2J^[[5;17H^[[6n^[[c^[]0;t^G^Ex>" },
		{ "\033[1A\r\033[2Klethe: PANIC\n", "<^[[1A^M^[[2Klethe: PANIC>" },
		{ "a\b\b\blethe: forged\n", "<a^H^H^Hlethe: forged>" },
		{ "\033[31mred\033[0m", "<^[[31mred^[[0m>" },
		{ "\v\f\016\017\030\032\177", "<^K^L^N^O^X^Z^?>" },
	};

	check(e, ARRAY_SIZE(e));
	check_bytes("a\0b", 3, "<a^@b>");
}

static void tabs_move_to_the_wrong_column(void **state)
{
	static const struct example e[] = {
		{ "\tx", "<        x>" },
		{ "1234567\tx\ty", "<1234567 x       y>" },
		{ "12345678\tx", "<12345678        x>" },
		{ "a\n\tb", "<a><        b>" },
		{ "\xc3\xa9\tb", "<\xc3\xa9       b>" },
		{ "\033\tb", "<^[      b>" },
	};

	check(e, ARRAY_SIZE(e));
}

static void utf8_text_is_lost(void **state)
{
	static const struct example e[] = {
		{ "\xc2\xa0\xc3\xa9 \xe2\x94\x80 \xed\x9f\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf",
			"<\xc2\xa0\xc3\xa9 \xe2\x94\x80 \xed\x9f\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf>" },
	};

	check(e, ARRAY_SIZE(e));
}

static void hostile_utf8_reaches_the_terminal(void **state)
{
	static const struct example e[] = {
		{ "\x9b"
		  "6n",
			"<\\x9b6n>" }, /* CSI in one byte */
		{ "\xc2\x9b"
		  "6n",
			"<\\xc2\\x9b6n>" }, /* ... and as U+009B */
		{ "\xc2\x80\xc2\x9f", "<\\xc2\\x80\\xc2\\x9f>" },
		{ "\xc0\x9b\xc1\xbf", "<\\xc0\\x9b\\xc1\\xbf>" }, /* overlong */
		{ "\xe0\x82\x9b"
		  "6n",
			"<\\xe0\\x82\\x9b6n>" },
		{ "\xf0\x80\x82\x9b"
		  "6n",
			"<\\xf0\\x80\\x82\\x9b6n>" },
		{ "\xf0\x80\x80\x9b", "<\\xf0\\x80\\x80\\x9b>" },
		{ "\xed\xa0\x80", "<\\xed\\xa0\\x80>" }, /* surrogate */
		{ "\xf4\x90\x80\x80\xf5\xff", "<\\xf4\\x90\\x80\\x80\\xf5\\xff>" },
		{ "\xe2\x94z", "<\\xe2\\x94z>" }, /* cut short */
		{ "\xe2\x94\n", "<\\xe2\\x94>" },
		{ "\xe2\x94\r\n", "<\\xe2\\x94>" },
		{ "a\r\x9b\n", "<a^M\\x9b>" },
		{ "\xe2\033[c", "<\\xe2^[[c>" },
		{ "\xc3\xc3\xa9", "<\\xc3\xc3\xa9>" },
		{ "\xf0\x9f\x98", "<\\xf0\\x9f\\x98>" },
		{ "\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6", "<\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xe2\\x81\\xa6>" },
	};

	check(e, ARRAY_SIZE(e));
}

static void long_line_loses_bytes(void **state)
{
	char text[2 * BACKGROUND_LINE + 10], expected[sizeof(text) + 16];
	size_t n = BACKGROUND_LINE;

	memset(text, 'x', sizeof(text));
	memset(expected, 'x', sizeof(expected));
	text[n] = '\n'; /* a line that fits exactly is one line */
	expected[0] = '<';
	memcpy(expected + 1 + n, ">", 2);
	check_bytes(text, n + 1, expected);

	text[n] = 'y'; /* one byte more */
	memcpy(expected + 1 + n, "><y>", 5);
	check_bytes(text, n + 1, expected);

	/* Nothing is torn at the end: neither a character nor what stands for a byte. */
	memcpy(text + n - 1, "\xc3\xa9\n", 3);
	memcpy(expected + n, "><\xc3\xa9>", 6);
	check_bytes(text, n + 2, expected);
	memcpy(text + n - 1, "\033c\n", 3);
	memcpy(expected + n, "><^[c>", 7);
	check_bytes(text, n + 2, expected);
	memcpy(text + n - 3, "\x9bz\n", 3);
	memcpy(expected + n - 2, "><\\x9bz>", 9);
	check_bytes(text, n, expected);
}

/* The bytes that a terminal acts on are below 20h, 7Fh, and C1 controls in either form. */
static void any_byte_reaches_the_terminal(void **state)
{
	uint64_t seed = 88172645463325252ull;

	for (unsigned round = 0; round < 2000; round++) {
		char text[256];

		for (size_t i = 0; i < sizeof(text); i++) {
			xorshift(&seed);
			text[i] = (char)(seed & 1 ? 0x80 | (seed >> 8 & 0x3f) : seed >> 8);
		}
		give(text, sizeof(text), 0, 1 + round % 7);
		for (size_t i = 0; i < used; i++) {
			uint8_t c = (uint8_t)shown[i];

			assert_true(c >= 0x20 && c != 0x7f);
			/* Within a character a byte above 7Fh comes before each of its later bytes. */
			if (c >= 0x80 && c < 0xc0)
				assert_true((uint8_t)shown[i - 1] >= 0x80 &&
					    !((uint8_t)shown[i - 1] == 0xc2 && c < 0xa0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_carriage_returns),
		cmocka_unit_test(controls_reach_the_terminal),
		cmocka_unit_test(tabs_move_to_the_wrong_column),
		cmocka_unit_test(utf8_text_is_lost),
		cmocka_unit_test(hostile_utf8_reaches_the_terminal),
		cmocka_unit_test(long_line_loses_bytes),
		cmocka_unit_test(any_byte_reaches_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
