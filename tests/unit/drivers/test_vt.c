/* SPDX-License-Identifier: MIT */
/* The terminal: what programs send, and what must then stand on the screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "drivers/console/vt.h"

#define COLS 10
#define ROWS 5

static struct vt t;
static struct vt_cell cells[COLS * ROWS];
static uint8_t dirty[ROWS];
static char replies[128];

static void reply(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	strncat(replies, text, n);
}

static int setup(void **state)
{
	(void)state;
	vt_init(&t, COLS, ROWS, cells, dirty);
	t.reply = reply;
	replies[0] = 0;
	return 0;
}

static void send(const char *text)
{
	vt_write(&t, text, strlen(text));
}

/* The screen as text: rows with '|' between, trailing blanks cut; what is not ASCII is '?'. */
static const char *screen(void)
{
	static char text[ROWS * (COLS + 1) + 1];
	size_t n = 0;

	for (unsigned r = 0; r < ROWS; r++) {
		size_t end;

		for (unsigned c = 0; c < COLS; c++) {
			uint16_t ch = vt_row(&t, r)[c].ch;

			text[n + c] = (char)(ch < 0x7f ? ch : '?');
		}
		for (end = n + COLS; end > n && text[end - 1] == ' '; end--)
			;
		n = end;
		text[n++] = '|';
	}
	while (n && text[n - 1] == '|')
		n--;
	text[n] = 0;
	return text;
}

static void expect(const char *sent, const char *shown, unsigned row, unsigned col)
{
	send(sent);
	assert_string_equal(screen(), shown);
	assert_int_equal(t.cur.row, row);
	assert_int_equal(t.cur.col, col);
}

static void text_and_newlines(void **s)
{
	(void)s;
	expect("ab\r\ncd\nef\bX", "ab|cd|  eX", 2, 4);
}

static void the_last_column_waits_for_the_next_character(void **s)
{
	(void)s;
	expect("0123456789", "0123456789", 0, 9);
	assert_true(t.cur.wrap);
	expect("A", "0123456789|A", 1, 1);
	/* A full line followed by a newline leaves no empty line. */
	expect("\033c0123456789\r\nB", "0123456789|B", 1, 1);
	/* A cursor move ends the waiting. */
	expect("\033c0123456789\033[DX", "01234567X9", 0, 9);
}

static void without_autowrap_the_last_column_is_overwritten(void **s)
{
	(void)s;
	expect("\033[?7l0123456789ABC", "012345678C", 0, 9);
	expect("\033[?7h\rx", "x12345678C", 0, 1);
}

static void a_full_screen_scrolls(void **s)
{
	(void)s;
	expect("1\r\n2\r\n3\r\n4\r\n5\r\n6", "2|3|4|5|6", 4, 1);
}

static void tabs_stop_every_eight_and_at_the_edge(void **s)
{
	(void)s;
	expect("\tA\tB", "        AB", 0, 9);
	expect("\033c\033[4G\033H\rx\ty", "x  y", 0, 4);
	expect("\033[Zz", "x  z", 0, 4);
	expect("\033[3g\r\tq", "x  z     q", 0, 9);
}

static void cursor_moves_are_clamped(void **s)
{
	(void)s;
	expect("\033[99;99Hx", "||||         x", 4, 9);
	expect("\033[99A\033[99Dy", "y||||         x", 0, 1);
	expect("\033[2;3Ha\033[Bb\033[2Cc\033[3Dd\033[Ae", "y|  a  e|   bd c||         x", 1, 6);
}

static void absolute_moves_by_row_and_column(void **s)
{
	(void)s;
	expect("\033[3da\033[5Gb\033[Ec\033[2Fd", "|d|a   b|c", 1, 1);
}

static void erasing(void **s)
{
	const char *full = "\033caaaaaaaaaa\r\nbbbbbbbbbb\r\ncccccccccc\033[2;5H";

	(void)s;
	send(full);
	expect("\033[K", "aaaaaaaaaa|bbbb|cccccccccc", 1, 4);
	send(full);
	expect("\033[1K", "aaaaaaaaaa|     bbbbb|cccccccccc", 1, 4);
	send(full);
	expect("\033[2K", "aaaaaaaaaa||cccccccccc", 1, 4);
	send(full);
	expect("\033[J", "aaaaaaaaaa|bbbb", 1, 4);
	send(full);
	expect("\033[1J", "|     bbbbb|cccccccccc", 1, 4);
	send(full);
	expect("\033[2J", "", 1, 4);
	send(full);
	expect("\033[3X", "aaaaaaaaaa|bbbb   bbb|cccccccccc", 1, 4);
	send(full);
	expect("\033[99X", "aaaaaaaaaa|bbbb|cccccccccc", 1, 4);
}

static void erased_cells_take_the_background(void **s)
{
	(void)s;
	send("\033[44m\033[K");
	assert_int_equal(vt_row(&t, 0)[0].color >> 4, 4);
	send("\033[0;7m\033[2K");
	assert_int_equal(vt_row(&t, 0)[0].color, 0x70);
	assert_int_equal(vt_row(&t, 0)[0].attr, 0);
}

static void characters_are_inserted_and_deleted(void **s)
{
	(void)s;
	expect("abcdefghij\033[3G\033[2@", "ab  cdefgh", 0, 2);
	expect("\033[3P", "abdefgh", 0, 2);
	expect("\033[99@", "ab", 0, 2);
	expect("\033[4hX\033[GY\033[4l", "YabX", 0, 1);
}

static void lines_are_inserted_and_deleted_within_the_region(void **s)
{
	(void)s;
	send("1\r\n2\r\n3\r\n4\r\n5\033[2;4r\033[3;1H");
	expect("\033[L", "1|2||3|5", 2, 0);
	expect("\033[M", "1|2|3||5", 2, 0);
	/* Outside of the region nothing happens. */
	expect("\033[5;1H\033[L", "1|2|3||5", 4, 0);
	expect("\033[2;1H\033[99M", "1||||5", 1, 0);
}

static void the_scroll_region_holds_the_rest_still(void **s)
{
	(void)s;
	send("1\r\n2\r\n3\r\n4\r\n5\033[2;4r\033[4;1H");
	expect("\n", "1|3|4||5", 3, 0);
	expect("\033[2;1H\033M", "1||3|4|5", 1, 0);
	expect("\033[S", "1|3|4||5", 1, 0);
	expect("\033[2T", "1|||3|5", 1, 0);
	/* Below the region a line feed stops at the bottom. */
	expect("\033[5;1H\n\nx", "1|||3|x", 4, 1);
	expect("\033[r\033[5;1H\n", "||3|x", 4, 0);
}

static void origin_mode_counts_from_the_region(void **s)
{
	(void)s;
	expect("\033[2;4r\033[?6h\033[1;1Ha\033[99;1Hb\033[6n", "|a||b", 3, 1);
	assert_string_equal(replies, "\033[3;2R");
	expect("\033[?6l\033[1;1Hc", "c|a||b", 0, 1);
}

static void cursor_is_saved_with_its_colours(void **s)
{
	(void)s;
	send("\033[2;2H\033[31m\0337\033[H\033[0mx\0338y");
	assert_string_equal(screen(), "x| y");
	assert_int_equal(vt_row(&t, 1)[1].color & 15, 1);
	expect("\033[s\033[5;5H\033[uz", "x| yz", 1, 3);
}

static void colours_and_attributes(void **s)
{
	static const struct {
		const char *sgr;
		uint8_t color, attr;
	} cases[] = {
		{ "", 0x07, 0 },
		{ "1;33;44", 0x43, VT_BOLD },
		{ "31;1;0", 0x07, 0 },
		{ "4;7", 0x07, VT_UNDERLINE | VT_REVERSE },
		{ "4;7;24;27", 0x07, 0 },
		{ "1;22", 0x07, 0 },
		{ "91;102", 0xa9, 0 },
		{ "31;42;39;49", 0x07, 0 },
		{ "38;5;9", 0x09, 0 },
		{ "38;5;196", 0x09, 0 },	/* the cube's pure red is bright red */
		{ "48;5;21;1", 0xc7, VT_BOLD }, /* pure blue; what follows still counts */
		{ "38;5;232", 0x00, 0 },	/* nearly black grey */
		{ "38;5;255", 0x0f, 0 },
		{ "38;2;0;128;0", 0x02, 0 },
		{ "38:2::255:255:0;4", 0x0b, VT_UNDERLINE },
		{ "38:5:1", 0x01, 0 },
		{ "4:3", 0x07, VT_UNDERLINE },
		{ "4:0", 0x07, 0 },
		{ "38;5", 0x07, 0 }, /* cut short */
		{ "999;1", 0x07, VT_BOLD },
	};
	char text[64];

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "\033c\033[%smx", cases[i].sgr);
		send(text);
		if (vt_row(&t, 0)[0].color != cases[i].color || vt_row(&t, 0)[0].attr != cases[i].attr)
			fail_msg("SGR %s: color %02x attr %02x, not %02x %02x", cases[i].sgr,
				vt_row(&t, 0)[0].color, vt_row(&t, 0)[0].attr, cases[i].color, cases[i].attr);
	}
}

static void questions_are_answered(void **s)
{
	(void)s;
	send("\033[3;4H\033[5n\033[6n\033[c\033[>c\033[18t");
	assert_string_equal(replies, "\033[0n\033[3;4R\033[?62;22c\033[>1;10;0c\033[8;5;10t");
}

static void modes_that_others_ask_about(void **s)
{
	(void)s;
	send("\033[?25l\033[?1h");
	assert_false(t.cursor_on);
	assert_true(t.app_cursor);
	send("\033[?25;1h");
	assert_true(t.cursor_on);
	send("\033[?1;25l");
	assert_false(t.app_cursor || t.cursor_on);
	send("\033[!p");
	assert_true(t.cursor_on);
	/* The alternate screen does not exist: nothing is lost, nothing moves. */
	expect("ab\033[?1049hc\033[?1049ld", "abcd", 0, 4);
}

static void utf8_is_decoded_and_garbage_replaced(void **s)
{
	static const struct {
		const char *sent;
		uint16_t ch[4];
	} cases[] = {
		{ "\xc3\xa9\xe2\x94\x80x", { 0xe9, 0x2500, 'x' } }, { "\xff\xc3x", { 0xfffd, 0xfffd, 'x' } },
		{ "\xc0\x80x", { 0xfffd, 'x' } },	   /* overlong */
		{ "\xed\xa0\x80x", { 0xfffd, 'x' } },	   /* a surrogate */
		{ "\xf4\x90\x80\x80x", { 0xfffd, 'x' } },  /* beyond U+10FFFF */
		{ "\x80x", { 0xfffd, 'x' } },		   /* a tail without a head */
		{ "e\xcc\x81x", { 'e', 'x' } },		   /* a combining mark takes no cell */
		{ "\xe4\xb8\xadx", { 0x4e2d, ' ', 'x' } }, /* a wide one takes two */
		{ "\xf0\x9f\x98\x80x", { 0xfffd, ' ', 'x' } },
		{ "\xe2\x94\033[Cx", { 0xfffd, ' ', 'x' } }, /* cut short by a control */
	};

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		send("\033c");
		send(cases[i].sent);
		for (unsigned c = 0; c < 4; c++)
			if (vt_row(&t, 0)[c].ch != (cases[i].ch[c] ? cases[i].ch[c] : ' '))
				fail_msg("case %u column %u: U+%04X", i, c, vt_row(&t, 0)[c].ch);
	}
}

static void wide_characters_do_not_break_across_lines(void **s)
{
	(void)s;
	expect("012345678\xe4\xb8\xad", "012345678|?", 1, 2);
}

static void dec_line_drawing(void **s)
{
	(void)s;
	send("\033(0lqk\033(Bl\033)0\016x\017x");
	assert_int_equal(vt_row(&t, 0)[0].ch, 0x250c);
	assert_int_equal(vt_row(&t, 0)[1].ch, 0x2500);
	assert_int_equal(vt_row(&t, 0)[2].ch, 0x2510);
	assert_int_equal(vt_row(&t, 0)[3].ch, 'l');
	assert_int_equal(vt_row(&t, 0)[4].ch, 0x2502);
	assert_int_equal(vt_row(&t, 0)[5].ch, 'x');
}

static void strings_for_other_terminals_are_swallowed(void **s)
{
	(void)s;
	expect("a\033]0;title\ab\033]2;x\033\\c\033Pdata\033\\d\033_apc\033\\e", "abcde", 0, 5);
}

static void sequences_are_cancelled_and_controls_act_within_them(void **s)
{
	(void)s;
	expect("ab\033[3\0301\033[\b1Cx", "ab1x", 0, 4);
}

static void too_many_parameters_are_ignored_not_misread(void **s)
{
	(void)s;
	expect("\033[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1mx\033[99999999999999999999Cy", "x        y", 0, 9);
	assert_int_equal(vt_row(&t, 0)[0].attr, 0);
}

static void repeat_is_bounded(void **s)
{
	(void)s;
	expect("a\033[3b", "aaaa", 0, 4);
	expect("\033[9999b", "aaaaaaaaaa|aaaa", 1, 4);
	expect("\033c\033[5b", "", 0, 0);
}

static void alignment_pattern_and_reset(void **s)
{
	(void)s;
	expect("\033#8", "EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE", 0, 0);
	expect("\033c", "", 0, 0);
}

/* fbcon trusts this: a row that changed and is not dirty would never be painted. */
static void every_change_marks_its_row_dirty(void **s)
{
	static const char *const changes[] = { "x", "\n\n\n\n\n", "\033[K", "\033[2J", "\033[L", "\033[M",
		"\033[@", "\033[P", "\033[X", "\033[S", "\033[T", "\033M", "\033#8", "\033c", "\033[3b",
		"\033[4h@" };
	struct vt_cell before[ROWS][COLS];

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++)
		for (unsigned row = 1; row <= ROWS; row++) {
			char at[16];

			send("\033c1a\r\n2b\r\n3c\r\n4d\r\n5e\033[2;4r");
			snprintf(at, sizeof(at), "\033[%u;1H", row);
			send(at);
			for (unsigned r = 0; r < ROWS; r++)
				memcpy(before[r], vt_row(&t, r), sizeof(before[r]));
			memset(dirty, 0, sizeof(dirty));
			send(changes[i]);
			for (unsigned r = 0; r < ROWS; r++)
				if (memcmp(before[r], vt_row(&t, r), sizeof(before[r])) != 0)
					assert_true(dirty[r]);
		}
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

/* What takes longest: on the largest screen, each in pieces of 16 with the work counted, and at once. */
static void a_piece_of_output_is_bounded(void **s)
{
	static const char *const costly[] = {
		"\033#8",			      /* every cell changes */
		"\033c",			      /* ... and again */
		"\033[44m\033[2J\033[J\033[1J",	      /* cleared */
		"\033[4h\033[200Cx\033[999b",	      /* REP that moves the row's rest each time */
		"\033[4l\033[256;510Hyy\033[999b\n",  /* REP that scrolls */
		"\033[3g\t\r\033[500I\033[500Z",      /* no tab stop as far as the edge */
		"\033[?5;5;5;5;5;5;5;5;5;5;5;5;5;5h", /* the whole screen reversed, again and again */
		"\033[999L\033[999M\033[999S\033[999T\033[H\033M\033M",
		"\033[5;7Htext\033[99@\033[99P\033[99X\033[K",
		"\xe4\xb8\n\xe4\xb8\xad\033[4h\xe4\xb8\xad\033[9b",
	};
	static struct vt piecemeal, at_once;
	static struct vt_cell grids[2][VT_COLS_MAX * VT_ROWS_MAX];
	static uint8_t marks[2][VT_ROWS_MAX];
	unsigned most = 0;

	(void)s;
	vt_init(&piecemeal, VT_COLS_MAX, VT_ROWS_MAX, grids[0], marks[0]);
	vt_init(&at_once, VT_COLS_MAX, VT_ROWS_MAX, grids[1], marks[1]);
	for (unsigned i = 0; i < 3 * ARRAY_SIZE(costly); i++) {
		const char *text = costly[i * 7 % ARRAY_SIZE(costly)];
		size_t n = strlen(text);

		vt_write(&at_once, text, n);
		while (n || vt_busy(&piecemeal)) {
			size_t done = vt_write_some(&piecemeal, text, n, 16);

			if (piecemeal.work > most)
				most = piecemeal.work;
			text += done;
			n -= done;
		}
		for (unsigned r = 0; r < VT_ROWS_MAX; r++)
			assert_memory_equal(vt_row(&piecemeal, r), vt_row(&at_once, r),
				VT_COLS_MAX * sizeof(struct vt_cell));
		assert_memory_equal(&piecemeal.cur, &at_once.cur, sizeof(at_once.cur));
	}
	assert_in_range(most, VT_ROWS_MAX, 16 + VT_OVERSHOOT(VT_COLS_MAX, VT_ROWS_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_and_newlines),
		TEST(the_last_column_waits_for_the_next_character),
		TEST(without_autowrap_the_last_column_is_overwritten),
		TEST(a_full_screen_scrolls),
		TEST(tabs_stop_every_eight_and_at_the_edge),
		TEST(cursor_moves_are_clamped),
		TEST(absolute_moves_by_row_and_column),
		TEST(erasing),
		TEST(erased_cells_take_the_background),
		TEST(characters_are_inserted_and_deleted),
		TEST(lines_are_inserted_and_deleted_within_the_region),
		TEST(the_scroll_region_holds_the_rest_still),
		TEST(origin_mode_counts_from_the_region),
		TEST(cursor_is_saved_with_its_colours),
		TEST(colours_and_attributes),
		TEST(questions_are_answered),
		TEST(modes_that_others_ask_about),
		TEST(utf8_is_decoded_and_garbage_replaced),
		TEST(wide_characters_do_not_break_across_lines),
		TEST(dec_line_drawing),
		TEST(strings_for_other_terminals_are_swallowed),
		TEST(sequences_are_cancelled_and_controls_act_within_them),
		TEST(too_many_parameters_are_ignored_not_misread),
		TEST(repeat_is_bounded),
		TEST(alignment_pattern_and_reset),
		TEST(every_change_marks_its_row_dirty),
		cmocka_unit_test(a_piece_of_output_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
