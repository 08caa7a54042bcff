/* SPDX-License-Identifier: MIT */
/* Scancodes as a keyboard sends them, and the bytes that a terminal would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "drivers/console/kbd.h"

static struct kbd_decoder d;

static int setup(void **state)
{
	(void)state;
	kbd_decoder_init(&d);
	return 0;
}

/* Scancodes in, text out (NUL shows as '0'). */
static const char *keys(const char *codes, size_t n)
{
	static char text[256];
	size_t have = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t out[KBD_BYTES_MAX];
		unsigned got = kbd_decode(&d, (uint8_t)codes[i], out);

		for (unsigned j = 0; j < got; j++)
			text[have++] = (char)(out[j] ? out[j] : '0');
	}
	text[have] = 0;
	return text;
}
#define KEYS(codes)	   keys(codes, sizeof(codes) - 1)
#define SENDS(codes, text) assert_string_equal(KEYS(codes), text)

static void letters_digits_and_signs(void **s)
{
	(void)s;
	SENDS("\x1e\x9e\x30\xb0\x02\x82\x39\xb9\x1c\x9c\x0e\x8e\x01\x81\x0f\x8f", "ab1 \r\177\033\t");
	SENDS("\x2b\x2b\x29\x28\x0c\x0d", "\\\\`'-=");
}

/* Every key that prints, both ways, against the layout written down as a keyboard shows it. */
static void the_whole_us_layout(void **s)
{
	static const char codes[] = "\x29\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
				    "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x2b"
				    "\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28"
				    "\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x34\x35";

	(void)s;
	SENDS(codes, "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./");
	KEYS("\x36");
	SENDS(codes, "~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:\"ZXCVBNM<>?");
	KEYS("\xb6");
}

static void shift_either_side_and_both(void **s)
{
	(void)s;
	SENDS("\x2a\x1e\xaa\x1e", "Aa");
	SENDS("\x2a\x36\x1e\xaa\x1e\xb6\x1e", "AAa");
}

static void caps_lock_is_for_letters_only(void **s)
{
	(void)s;
	SENDS("\x3a\xba\x1e\x02\x2a\x1e\xaa\x3a\xba\x1e", "A1aa");
	/* Held down it repeats, and toggles once. */
	SENDS("\x3a\x3a\x3a\xba\x1e", "A");
	assert_int_equal(kbd_leds(&d), 2 | 4);
}

static void control_characters(void **s)
{
	(void)s;
	SENDS("\x1d\x2e\x20\x1b\x39\x9d", "\x03\x04\x1d"
					  "0");
	SENDS("\xe0\x1d\x10\xe0\x9d\x10", "\x11q");
	SENDS("\x1d\x2a\x07\x0c\xaa\x35\x09\x9d", "\x1e\x1f\x1f\x7f"); /* ^^ ^_ ^/ ^8 */
	SENDS("\x1d\x0e\x9d", "\b");
}

static void alt_is_escape_before(void **s)
{
	(void)s;
	SENDS("\x38\x30\xb8", "\033b");
	SENDS("\xe0\x38\x2a\x30\xaa\xe0\xb8", "\033B");
}

static void the_keys_between(void **s)
{
	(void)s;
	SENDS("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4d\xe0\x4b", "\033[A\033[B\033[C\033[D");
	SENDS("\xe0\x47\xe0\x4f\xe0\x49\xe0\x51\xe0\x52\xe0\x53",
		"\033[1~\033[4~\033[5~\033[6~\033[2~\033[3~");
	/* With num lock on the keyboard wraps them in shifts that are none. */
	SENDS("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e", "\033[Aa");
	SENDS("\x2a\xe0\xaa\xe0\x4b\xe0\xcb\xe0\x2a\xaa", "\033[1;2D");
}

static void arrows_with_modifiers_and_in_application_mode(void **s)
{
	(void)s;
	SENDS("\x1d\xe0\x4d\x9d", "\033[1;5C");
	SENDS("\x38\x1d\xe0\x53\x9d\xb8", "\033[3;7~");
	d.app_cursor = true;
	SENDS("\xe0\x48", "\033OA");
	SENDS("\x1d\xe0\x48\x9d", "\033[1;5A");
}

static void function_keys(void **s)
{
	(void)s;
	SENDS("\x3b\x3c\x3d\x3e", "\033OP\033OQ\033OR\033OS");
	SENDS("\x3f\x40\x41\x42\x43\x44\x57\x58",
		"\033[15~\033[17~\033[18~\033[19~\033[20~\033[21~\033[23~\033[24~");
	SENDS("\x2a\x58\xaa", "\033[24;2~");
}

static void keypad_with_and_without_num_lock(void **s)
{
	(void)s;
	SENDS("\x47\x48\x4c\x53\xe0\x1c\x37\xe0\x35\x4a\x4e", "785.\r*/-+");
	KEYS("\x45\xc5");
	assert_int_equal(kbd_leds(&d), 0);
	SENDS("\x47\x48\x4c\x53\x4a\x4e", "\033[1~\033[A\033[3~-+");
	/* Shift turns it round. */
	SENDS("\x2a\x4d\xaa", "6");
}

static void shift_tab_and_the_102nd_key(void **s)
{
	(void)s;
	SENDS("\x2a\x0f\x56\xaa\x56", "\033[Z><");
}

static void pause_and_break_and_print_send_nothing(void **s)
{
	(void)s;
	SENDS("\xe1\x1d\x45\xe1\x9d\xc5\x1e", "a"); /* no ctrl stays held, num lock stays on */
	SENDS("\xe0\x46\xe0\xc6\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa\x54\xd4\x1e", "a");
	assert_int_equal(kbd_leds(&d), 2);
}

static void keys_without_meaning_send_nothing(void **s)
{
	(void)s;
	for (unsigned code = 0x59; code < 0x80; code++) {
		char c = (char)code;

		assert_string_equal(keys(&c, 1), "");
	}
	SENDS("\xe0\x5b\xe0\xdb\xe0\x5d\xe0\x1e", "");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(letters_digits_and_signs),
		TEST(the_whole_us_layout),
		TEST(shift_either_side_and_both),
		TEST(caps_lock_is_for_letters_only),
		TEST(control_characters),
		TEST(alt_is_escape_before),
		TEST(the_keys_between),
		TEST(arrows_with_modifiers_and_in_application_mode),
		TEST(function_keys),
		TEST(keypad_with_and_without_num_lock),
		TEST(shift_tab_and_the_102nd_key),
		TEST(pause_and_break_and_print_send_nothing),
		TEST(keys_without_meaning_send_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
