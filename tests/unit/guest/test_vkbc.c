/* SPDX-License-Identifier: MIT */
/* The keyboard controller and the keyboard behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static bool irq1(void)
{
	return DEV(f, vpic)->chip[0].lines & 2;
}
static bool full(void)
{
	return inb(f, 0x64) & 1;
}
static void command(uint8_t c)
{
	outb(f, 0x64, c);
}
static uint8_t ask(uint8_t c)
{
	command(c);
	assert_true(full());
	return inb(f, 0x60);
}
static void set_ccb(uint8_t v)
{
	command(0x60);
	outb(f, 0x60, v);
}
/* The screen is in use, so that typed bytes go to the keyboard. */
static void type(const char *text)
{
	DEV(f, vvga)->screen.shown = true;
	f->in = text;
	platform_console_input(f->p);
}
static void expect_bytes(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(full());
		assert_int_equal(inb(f, 0x60), bytes[i]);
	}
	assert_false(full());
}
#define EXPECT(...) expect_bytes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void self_tests(void **state)
{
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(ask(0xab), 0x00);
	assert_int_equal(inb(f, 0x64) & 0x1c, 0x1c); /* system flag, last write a command, not locked */
}

static void command_byte_and_ram(void **state)
{
	assert_int_equal(ask(0x20), 0x65);
	set_ccb(0x44);
	assert_int_equal(ask(0x20), 0x64); /* the auxiliary port stays off: there is none */
	command(0x65);
	outb(f, 0x60, 0x99);
	assert_int_equal(ask(0x25), 0x99);
}

static void there_is_no_auxiliary_port(void **state)
{
	command(0xa8);
	assert_int_equal(ask(0x20) & 0x20, 0x20);
	assert_int_equal(ask(0xa9), 0x01);
	command(0xd3);
	outb(f, 0x60, 0x5a);
	assert_int_equal(inb(f, 0x64) & 0x21, 0x01); /* comes back, but not as auxiliary data */
	inb(f, 0x60);
	command(0xd4);
	outb(f, 0x60, 0xff);
	assert_int_equal(inb(f, 0x60), 0xfe);
}

static void keyboard_reset_and_identify(void **state)
{
	outb(f, 0x60, 0xff);
	EXPECT(0xfa, 0xaa);
	outb(f, 0x60, 0xf2);
	EXPECT(0xfa, 0xab, 0x41); /* translated */
	set_ccb(0x05);
	outb(f, 0x60, 0xf2);
	EXPECT(0xfa, 0xab, 0x83);
	outb(f, 0x60, 0xee);
	EXPECT(0xee);
	outb(f, 0x60, 0xed);
	EXPECT(0xfa);
	outb(f, 0x60, 0x07);
	EXPECT(0xfa);
	outb(f, 0x60, 0x11);
	EXPECT(0xfe);
}

static void letters_become_scan_codes_of_set_1(void **state)
{
	type("aB\r");
	EXPECT(0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa, 0x1c, 0x9c);
}

static void or_of_set_2_untranslated(void **state)
{
	set_ccb(0x05);
	type("a");
	EXPECT(0x1c, 0xf0, 0x1c);
	outb(f, 0x60, 0xf0);
	EXPECT(0xfa);
	outb(f, 0x60, 0x00);
	EXPECT(0xfa, 0x02);
	outb(f, 0x60, 0xf0);
	inb(f, 0x60);
	outb(f, 0x60, 0x01);
	EXPECT(0xfa);
	type("a");
	EXPECT(0x1e, 0x9e);
	outb(f, 0x60, 0xf0);
	inb(f, 0x60);
	outb(f, 0x60, 0x03);
	EXPECT(0xfe);
}

static void control_characters_and_arrows(void **state)
{
	type("\x03");
	EXPECT(0x1d, 0x2e, 0xae, 0x9d);
	type("\033[A");
	EXPECT(0xe0, 0x48, 0xe0, 0xc8);
	type("\033[3~");
	EXPECT(0xe0, 0x53, 0xe0, 0xd3);
	type("\033OP");
	EXPECT(0x3b, 0xbb);
	type("\033[24~");
	EXPECT(0x58, 0xd8);
	type("\x7f");
	EXPECT(0x0e, 0x8e);
}

static void a_lone_escape_is_the_key(void **state)
{
	type("\033");
	assert_false(full());
	fake_vm_advance(f, 50 * MSEC);
	EXPECT(0x01, 0x81);
	type("\033x"); /* no sequence: both keys */
	EXPECT(0x01, 0x81, 0x2d, 0xad);
}

static void every_ascii_character_has_a_key(void **state)
{
	for (unsigned c = 1; c < 0x80; c++) {
		char text[2] = { (char)c, 0 };
		unsigned n = 0;

		type(text);
		fake_vm_advance(f, 50 * MSEC);
		while (full()) {
			inb(f, 0x60);
			n++;
		}
		assert_in_range(n, 2, 8);
	}
}

static void interrupts_follow_the_command_byte(void **state)
{
	type("a");
	assert_true(irq1());
	inb(f, 0x60);
	assert_true(irq1()); /* the release */
	inb(f, 0x60);
	assert_false(irq1());
	set_ccb(0x44);
	type("a");
	assert_true(full());
	assert_false(irq1());
}

static void a_disabled_keyboard_keeps_keys_back(void **state)
{
	command(0xad);
	type("a");
	assert_false(full());
	assert_int_equal(
		inb(f, 0x3fd) & 1, 0); /* nor does the UART have it, to which the guest does not listen */
	command(0xae);
	platform_console_input(f->p);
	EXPECT(0x1e, 0x9e);
	outb(f, 0x60, 0xf5);
	EXPECT(0xfa);
	f->in = "c";
	assert_false(vkbc_listens(DEV(f, vkbc)));
}

static void nothing_typed_is_lost(void **state)
{
	unsigned n = 0;

	type("the quick brown fox jumps over the lazy dog");
	while (full()) {
		inb(f, 0x60);
		n++;
	}
	assert_int_equal(n, 2 * 43);
}

static void the_uart_wins_when_it_listens(void **state)
{
	outb(f, 0x3f9, 1);
	outb(f, 0x3fc, 8);
	type("z");
	assert_false(full());
	assert_int_equal(inb(f, 0x3f8), 'z');
}

static void a20_by_all_ways(void **state)
{
	assert_int_equal(inb(f, 0x92), 2);
	outb(f, 0x92, 0);
	assert_int_equal(ask(0xd0) & 2, 0);
	command(0xd1);
	outb(f, 0x60, 0xdf);
	assert_int_equal(inb(f, 0x92), 2);
	assert_int_equal(f->ended, 0);
}

static void each_way_of_reset_ends_the_vm(void **state)
{
	command(0xfe);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->end, VM_END_RESET);
	command(0xfe);
	assert_int_equal(f->ended, 1); /* once is enough */
	platform_reset(f->p);
	command(0xd1);
	outb(f, 0x60, 0xde);
	assert_int_equal(f->ended, 2);
	platform_reset(f->p);
	outb(f, 0x92, 3);
	assert_int_equal(f->ended, 3);
	platform_reset(f->p);
	command(0xff); /* pulses nothing */
	assert_int_equal(f->ended, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(self_tests),
		T(command_byte_and_ram),
		T(there_is_no_auxiliary_port),
		T(keyboard_reset_and_identify),
		T(letters_become_scan_codes_of_set_1),
		T(or_of_set_2_untranslated),
		T(control_characters_and_arrows),
		T(a_lone_escape_is_the_key),
		T(every_ascii_character_has_a_key),
		T(interrupts_follow_the_command_byte),
		T(a_disabled_keyboard_keeps_keys_back),
		T(nothing_typed_is_lost),
		T(the_uart_wins_when_it_listens),
		T(a20_by_all_ways),
		T(each_way_of_reset_ends_the_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
