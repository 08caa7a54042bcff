/* SPDX-License-Identifier: MIT */
/* What waits for the screen: its order, whose it is, and what happens when the ring is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/console/draw.h"

#define WIDTH  640
#define HEIGHT 480

static struct console_draw d;
static uint32_t pixels[WIDTH * HEIGHT];
static uint8_t asked[64];
static unsigned questions;

static void answer(void *ctx, const char *text, size_t n)
{
	assert_true(questions < ARRAY_SIZE(asked));
	asked[questions++] = d.asker;
}

static int open_screen(void **state)
{
	static uint8_t memory[1 << 16];
	const struct framebuffer fb = { .base = hpa(4096),
		.size = sizeof(pixels),
		.width = WIDTH,
		.height = HEIGHT,
		.stride = WIDTH,
		.format = FB_BGRX8888 };

	memset(&d, 0, sizeof(d));
	d.asker = DRAW_NO_VM;
	assert_true(fbcon_memory(80, 30) <= sizeof(memory));
	assert_int_equal(fbcon_init(&d.screen, &fb, pixels, memory), 0);
	d.screen.vt.reply = answer;
	questions = 0;
	return 0;
}

static void say(uint8_t tag, const char *text)
{
	draw_put(&d, tag, text, strlen(text));
}

static void expect(unsigned row, const char *text, uint8_t color)
{
	for (unsigned i = 0; text[i]; i++) {
		assert_int_equal(vt_row(&d.screen.vt, row)[i].ch, text[i]);
		assert_int_equal(vt_row(&d.screen.vt, row)[i].color, color);
	}
}

static void nothing_reaches_the_terminal_before_its_turn(void **state)
{
	say(0, "text");
	expect(0, "    ", 7);
	assert_true(draw_waits(&d));
	draw_feed(&d);
	expect(0, "text", 7);
	assert_false(draw_waits(&d));
}

static void log_lines_have_their_colour_between_a_guests_output(void **state)
{
	say(1, "\033[32mgreen ");
	say(DRAW_COLOR(9), "red");
	say(1, " green\r\n");
	say(1, "\033[31mx\033[20b"); /* still to be repeated when the log line comes */
	say(DRAW_COLOR(7), "grey");
	draw_flush(&d);
	expect(0, "green ", 2);
	expect(0 + 1, "xxxxxxxxxxxxxxxxxxxxx", 1);
	assert_int_equal(vt_row(&d.screen.vt, 0)[6].color, 9);
	assert_int_equal(vt_row(&d.screen.vt, 0)[9].color, 2);
	assert_int_equal(vt_row(&d.screen.vt, 1)[21].color, 7);
	assert_int_equal(vt_row(&d.screen.vt, 1)[21].ch, 'g');
}

static void answers_go_to_the_vm_that_asked(void **state)
{
	say(3, "\033[6n");
	say(DRAW_NO_VM, "\033[6n");
	say(5, "\033[6n\033[6");
	say(5, "n");
	assert_int_equal(questions, 0);
	draw_flush(&d);
	assert_int_equal(questions, 4);
	assert_memory_equal(asked, ((uint8_t[]){ 3, DRAW_NO_VM, 5, 5 }), 4);
	assert_int_equal(d.asker, DRAW_NO_VM);
}

static void a_full_ring_loses_nothing(void **state)
{
	char text[80];

	/* Numbers, each in a line of its own, more than twice what the ring holds; fed only as far as it must be. */
	d.head = d.tail = UINT32_MAX - 1000;
	for (unsigned i = 0; i < 6000; i++) {
		snprintf(text, sizeof(text), "%u\r\n", i);
		say(i % 2 ? 0 : DRAW_COLOR(7), text);
		assert_true(d.head - d.tail <= DRAW_BYTES);
		assert_int_equal(draw_room(&d), d.head - d.tail <= DRAW_GUEST_BYTES);
	}
	assert_false(draw_room(&d));
	assert_true(d.head - d.tail > DRAW_BYTES - 100);
	for (unsigned i = 0; draw_waits(&d); i++) {
		uint32_t before = d.tail;

		assert_true(i < 2 * DRAW_BYTES);
		draw_feed(&d);
		assert_true(d.tail - before <= DRAW_PIECE);
		assert_true(d.screen.vt.work <= DRAW_PIECE + VT_OVERSHOOT(80, 30));
	}
	assert_true(draw_room(&d));
	for (unsigned row = 0; row < 29; row++) {
		snprintf(text, sizeof(text), "%u ", 6000 - 29 + row);
		expect(row, text, 7);
	}
}

static void a_piece_of_feeding_is_bounded(void **state)
{
	say(0, "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
	say(0, "\033[2J\033#8\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nend");
	for (unsigned i = 0; draw_waits(&d); i++) {
		assert_true(i < 200);
		draw_feed(&d);
		assert_true(d.screen.vt.work <= DRAW_PIECE + VT_OVERSHOOT(80, 30) / 4);
	}
	expect(d.screen.vt.cur.row, "end", 7);
}

static void without_a_screen_nothing_waits(void **state)
{
	memset(&d, 0, sizeof(d));
	say(0, "text");
	assert_false(draw_waits(&d));
	assert_true(draw_room(&d));
	draw_flush(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_reaches_the_terminal_before_its_turn, open_screen),
		cmocka_unit_test_setup(log_lines_have_their_colour_between_a_guests_output, open_screen),
		cmocka_unit_test_setup(answers_go_to_the_vm_that_asked, open_screen),
		cmocka_unit_test_setup(a_full_ring_loses_nothing, open_screen),
		cmocka_unit_test_setup(a_piece_of_feeding_is_bounded, open_screen),
		cmocka_unit_test_setup(without_a_screen_nothing_waits, open_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
