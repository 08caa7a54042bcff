/* SPDX-License-Identifier: MIT */
/* The text screen as ANSI text, read back by a small terminal; and the VGA's registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

/* ---- a terminal of 80 x 25 that knows CUP, SGR, ED 2 and cursor visibility ---- */

static struct {
	char text[VVGA_CELLS];
	uint8_t fg[VVGA_CELLS], bg[VVGA_CELLS];
	bool bold[VVGA_CELLS];
	unsigned at, cur_fg, cur_bg;
	bool cur_bold, cursor, wrap;
} tty;

static void tty_sgr(unsigned n)
{
	if (n == 0)
		tty.cur_fg = 7, tty.cur_bg = 0, tty.cur_bold = false;
	else if (n == 1)
		tty.cur_bold = true;
	else if (n >= 30 && n <= 37)
		tty.cur_fg = n - 30;
	else if (n >= 40 && n <= 47)
		tty.cur_bg = n - 40;
	else
		fail_msg("SGR %u", n);
}

static const char *tty_escape(const char *s)
{
	unsigned arg[8] = { 0 }, n = 0;

	assert_int_equal(*s++, '[');
	if (*s == '?') {
		assert_memory_equal(s, "?25", 3);
		tty.cursor = s[3] == 'h';
		assert_true(s[3] == 'h' || s[3] == 'l');
		return s + 4;
	}
	for (;; s++) {
		if (*s >= '0' && *s <= '9')
			arg[n] = arg[n] * 10 + (unsigned)(*s - '0');
		else if (*s == ';')
			assert_true(++n < 8);
		else
			break;
	}
	switch (*s) {
	case 'H':
		assert_in_range(arg[0], 1, 25);
		assert_in_range(arg[1], 1, 80);
		tty.at = (arg[0] - 1) * 80 + arg[1] - 1;
		tty.wrap = false;
		break;
	case 'J':
		memset(tty.text, ' ', sizeof(tty.text));
		memset(tty.fg, 7, sizeof(tty.fg));
		memset(tty.bg, 0, sizeof(tty.bg));
		memset(tty.bold, 0, sizeof(tty.bold));
		break;
	case 'm':
		for (unsigned i = 0; i <= n; i++)
			tty_sgr(arg[i]);
		break;
	default:
		fail_msg("escape %c", *s);
	}
	return s + 1;
}

static void tty_feed(const char *s, size_t n)
{
	const char *end = s + n;

	while (s < end) {
		if (*s == '\033') {
			s = tty_escape(s + 1);
			continue;
		}
		assert_in_range(*s, ' ', '~');
		assert_false(tty.wrap); /* writing on past the last column is left to no terminal */
		tty.text[tty.at] = *s++;
		tty.fg[tty.at] = (uint8_t)tty.cur_fg;
		tty.bg[tty.at] = (uint8_t)tty.cur_bg;
		tty.bold[tty.at] = tty.cur_bold;
		tty.wrap = tty.at % 80 == 79;
		tty.at++;
	}
}

static struct vvga_screen screen;
static uint16_t cells[VVGA_CELLS];
static char out[512];

static int fresh(void **state)
{
	memset(&screen, 0, sizeof(screen));
	memset(&tty, 0, sizeof(tty));
	tty.cursor = true;
	for (unsigned i = 0; i < VVGA_CELLS; i++)
		cells[i] = 0x0720;
	return setup(state);
}
#define S(name) cmocka_unit_test_setup_teardown(name, fresh, teardown)

static void print(unsigned row, unsigned column, uint8_t attribute, const char *text)
{
	for (unsigned i = row * 80 + column; *text; i++)
		cells[i] = (uint16_t)(attribute << 8 | (uint8_t)*text++);
}

static unsigned show(unsigned cursor)
{
	unsigned rounds = 0;
	size_t n;

	while ((n = vvga_screen_update(&screen, cells, cursor, out, sizeof(out))) || screen.more) {
		assert_true(n <= sizeof(out));
		tty_feed(out, n);
		rounds += n > 0;
		assert_true(rounds < 200);
	}
	return rounds;
}

static void check_text(void)
{
	for (unsigned i = 0; i < VVGA_CELLS; i++) {
		uint8_t c = (uint8_t)cells[i];

		if (c >= ' ' && c < 0x7f)
			assert_int_equal(tty.text[i], c);
	}
}

static void a_blank_screen_is_not_shown(void **state)
{
	assert_int_equal(show(0), 0);
	print(3, 3, 0x1f, "   ");
	assert_int_equal(show(5), 0);
	assert_false(screen.shown);
}

/* So that it costs next to nothing: no cell of it is looked at by itself. */
static void a_blank_screen_needs_one_look(void **state)
{
	vvga_screen_clear(&screen);
	vvga_screen_update(&screen, cells, 0, out, sizeof(out));
	assert_false(screen.more);
	assert_memory_equal(DEV(f, vvga)->screen.cell, cells, sizeof(cells));
}

static void text_appears_at_its_place(void **state)
{
	print(2, 10, 0x07, "hello, world");
	print(24, 75, 0x07, "right");
	show(2 * 80 + 22);
	check_text();
	assert_int_equal(tty.at, 2 * 80 + 22);
	assert_int_equal(show(2 * 80 + 22), 0); /* nothing new, nothing sent */
}

static void only_changes_are_sent(void **state)
{
	size_t n;

	print(0, 0, 0x07, "0123456789");
	show(0);
	print(0, 5, 0x07, "x");
	n = vvga_screen_update(&screen, cells, 0, out, sizeof(out));
	assert_in_range(n, 1, 40);
	tty_feed(out, n);
	check_text();
}

static void words_with_blanks_between_stay_together(void **state)
{
	size_t n;

	print(0, 0, 0x07, "a");
	show(1);
	print(4, 0, 0x07, "one two three");
	n = vvga_screen_update(&screen, cells, 1, out, sizeof(out));
	out[n] = 0;
	assert_non_null(strstr(out, "one two three"));
}

static void colours(void **state)
{
	print(0, 0, 0x1e, "yellow on blue");
	print(1, 0, 0x04, "red");
	show(VVGA_CELLS);
	assert_int_equal(tty.fg[0], 3);
	assert_true(tty.bold[0]);
	assert_int_equal(tty.bg[0], 4);
	assert_int_equal(tty.fg[80], 1);
	assert_int_equal(tty.bg[80], 0);
	assert_false(tty.bold[80]);
	assert_int_equal(tty.cur_fg, 7); /* left as other output expects it */
	assert_false(tty.cursor);
	show(0);
	assert_true(tty.cursor);
}

static void code_page_437(void **state)
{
	static const uint8_t box[] = { 0xc9, 0xcd, 0xbb, 0xba, 0xdb, 0xff, 0x00, 0x10, 0x01, 0x7f, 0x84,
		0xe1 };

	for (unsigned i = 0; i < sizeof(box); i++)
		cells[i] = 0x0700 | box[i];
	show(0);
	assert_memory_equal(tty.text, "+=+|#  >**aB", 12);
}

static void random_changes_end_up_right(void **state)
{
	uint32_t seed = 12345;

	for (unsigned round = 0; round < 200; round++) {
		unsigned n = round % 7 ? 20 : VVGA_CELLS;
		size_t got;

		for (unsigned i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			cells[(seed >> 8) % VVGA_CELLS] = (uint16_t)(0x2100 + (seed >> 20 & 0x7f));
		}
		/* Cut updates, with changes in between. */
		got = vvga_screen_update(&screen, cells, seed % 2100, out, sizeof(out));
		assert_true(got <= sizeof(out));
		tty_feed(out, got);
		if (round % 10 == 9) {
			show(7);
			check_text();
			assert_int_equal(tty.at, 7);
		}
	}
}

/* A refresh is one stretch in root mode: whatever the guest has written, it looks at few cells one by one and shows fewer. */
static void a_refresh_is_a_bounded_piece(void **state)
{
	static struct vvga_screen before;
	unsigned rounds = 0, taken;

	print(0, 0, 7, "x");
	show(0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < VVGA_CELLS; i++)
			/* Blanks that look the same, but are not; then letters in ever other colours. */
			cells[i] = round ? (uint16_t)((i % 7 + 1) << 8 | ('a' + i % 26))
					 : (uint16_t)((1 + i % 7) << 8 | ' ');
		do {
			before = screen;
			tty_feed(out, vvga_screen_update(&screen, cells, 0, out, sizeof(out)));
			taken = 0;
			for (unsigned i = 0; i < VVGA_CELLS; i++)
				taken += screen.cell[i] != before.cell[i];
			assert_in_range(taken, 0, 48);
			rounds++;
		} while (screen.more);
		assert_memory_equal(screen.cell, cells, sizeof(cells));
	}
	check_text();
	assert_in_range(rounds, 2000 / 48 + 2000 / 24, 200);
}

static void the_cursor_goes_back_though_the_last_piece_shows_nothing(void **state)
{
	print(0, 0, 7, "x");
	show(5);
	assert_int_equal(tty.at, 5);
	print(0, 0, 7, "y");
	for (unsigned i = 1; i < VVGA_CELLS; i++)
		cells[i] = 0x0120; /* looks as before, but is another value: the update is cut */
	show(5);
	assert_int_equal(tty.at, 5);
}

/* ---- registers ---- */

static void crtc_index_and_data(void **state)
{
	outb(f, 0x3d4, 0x0e);
	outb(f, 0x3d5, 0x12);
	platform_pio_write(f->p, 0, 0x3d4, 2, 0x340f); /* index and data at once */
	assert_int_equal(DEV(f, vvga)->crtc[0x0e], 0x12);
	assert_int_equal(DEV(f, vvga)->crtc[0x0f], 0x34);
	assert_int_equal(inb(f, 0x3d5), 0x34);
	assert_int_equal(inb(f, 0x3b5), 0xff); /* the monochrome addresses are dead in colour */
	outb(f, 0x3c2, 0x66);
	assert_int_equal(inb(f, 0x3b5), 0x34);
	assert_int_equal(inb(f, 0x3d5), 0xff);
	assert_int_equal(inb(f, 0x3cc), 0x66);
}

static void crtc_protection(void **state)
{
	platform_pio_write(
		f->p, 0, 0x3d4, 2, 0x1100); /* register 0 <- 0x11: protected by bit 7 of register 0x11 */
	outb(f, 0x3d4, 0);
	assert_int_equal(inb(f, 0x3d5), 0x5f);
	platform_pio_write(f->p, 0, 0x3d4, 2, 0x0e11);
	platform_pio_write(f->p, 0, 0x3d4, 2, 0x1100);
	outb(f, 0x3d4, 0);
	assert_int_equal(inb(f, 0x3d5), 0x11);
}

static void attribute_flip_flop(void **state)
{
	inb(f, 0x3da);
	outb(f, 0x3c0, 0x01);
	outb(f, 0x3c0, 0x2a);
	inb(f, 0x3da);
	outb(f, 0x3c0, 0x01);
	assert_int_equal(inb(f, 0x3c1), 0x2a);
	inb(f, 0x3da);
	outb(f, 0x3c0, 0x21); /* bit 5: the palette is in use and locked */
	outb(f, 0x3c0, 0x00);
	assert_int_equal(inb(f, 0x3c1), 0x2a);
}

static void palette(void **state)
{
	outb(f, 0x3c8, 10);
	for (unsigned i = 0; i < 6; i++)
		outb(f, 0x3c9, (uint8_t)(i + 1));
	outb(f, 0x3c7, 10);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(inb(f, 0x3c9), i + 1);
	outb(f, 0x3c8, 255);
	for (unsigned i = 0; i < 6; i++)
		outb(f, 0x3c9, 0x3f); /* wraps to entry 0 */
	assert_int_equal(DEV(f, vvga)->dac[0], 0x3f);
}

static void retrace_comes_and_goes(void **state)
{
	unsigned changes = 0;
	uint8_t was = inb(f, 0x3da) & 8;

	for (unsigned i = 0; i < 50000; i++) {
		fake_vm_advance(f, 20 * USEC);
		changes += (inb(f, 0x3da) & 8) != was;
		was = inb(f, 0x3da) & 8;
	}
	assert_in_range(changes, 2 * 65, 2 * 75); /* 70 frames a second, on and off */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(a_blank_screen_is_not_shown),
		S(a_blank_screen_needs_one_look),
		S(text_appears_at_its_place),
		S(only_changes_are_sent),
		S(words_with_blanks_between_stay_together),
		S(colours),
		S(code_page_437),
		S(random_changes_end_up_right),
		S(a_refresh_is_a_bounded_piece),
		S(the_cursor_goes_back_though_the_last_piece_shows_nothing),
		S(crtc_index_and_data),
		S(crtc_protection),
		S(attribute_flip_flop),
		S(palette),
		S(retrace_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
