/* SPDX-License-Identifier: MIT */
/*
 * The painted screen, pixel by pixel. FBCON_PPM=FILE in the environment also writes a picture of what a session looks
 * like, for eyes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/console/fbcon.h"
#include "drivers/console/font.h"

static struct fbcon c;
static struct framebuffer fb;
static uint32_t *pixels;
static void *memory;

/* A screen of its own size on the heap, so that the sanitizer sees a pixel outside of it. */
static void open_screen(uint32_t width, uint32_t height, enum fb_format format)
{
	uint16_t cols, rows;
	uint32_t scale;

	free(pixels);
	free(memory);
	fb = (struct framebuffer){
		.base = hpa(0x80000000), .width = width, .height = height, .format = format
	};
	fb.stride = width + 5;
	fb.size = (uint64_t)fb.stride * height * 4;
	assert_true(fbcon_geometry(width, height, &scale, &cols, &rows));
	pixels = malloc(fb.size);
	memset(pixels, 0x5a, fb.size);
	memory = malloc(fbcon_memory(cols, rows));
	memset(memory, 0xee, fbcon_memory(cols, rows));
	assert_int_equal(fbcon_init(&c, &fb, pixels, memory), 0);
}

static void send(const char *text)
{
	fbcon_write(&c, text, strlen(text));
}

/* What stands in a cell by its pixels: its glyph rows, whose lit pixels all have one colour. */
static void cell_pixels(unsigned col, unsigned row, uint8_t rows[16], uint32_t bg, uint32_t fg)
{
	for (unsigned y = 0; y < 16; y++) {
		rows[y] = 0;
		for (unsigned x = 0; x < 8; x++)
			for (uint32_t i = 0; i < c.scale * c.scale; i++) {
				uint32_t px = c.left + (col * 8 + x) * c.scale + i % c.scale;
				uint32_t py = c.top + (row * 16 + y) * c.scale + i / c.scale;
				uint32_t v = pixels[(size_t)py * fb.stride + px];

				assert_true(v == bg || v == fg);
				if (v == fg)
					rows[y] |= (uint8_t)(0x80 >> x);
			}
	}
}

static void assert_cell(unsigned col, unsigned row, uint16_t ch, uint32_t bg, uint32_t fg)
{
	uint8_t seen[16], want[16];

	cell_pixels(col, row, seen, bg, fg);
	font_glyph(ch, want);
	assert_memory_equal(seen, want, 16);
}

static void sizes_of_screens(void **s)
{
	static const struct {
		uint32_t width, height, scale;
		uint16_t cols, rows;
	} cases[] = {
		{ 640, 480, 1, 80, 30 },
		{ 800, 600, 1, 100, 37 },
		{ 1024, 768, 1, 128, 48 },
		{ 1366, 768, 1, 170, 48 },
		{ 1920, 1080, 1, 240, 67 },
		{ 2560, 1440, 2, 160, 45 },
		{ 3840, 2160, 3, 160, 45 },
		{ 3440, 1440, 2, 215, 45 },
		{ 7680, 4320, 6, 160, 45 },
		{ 1080, 1920, 1, 135, 120 },
	};
	uint32_t scale;
	uint16_t cols, rows;

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(fbcon_geometry(cases[i].width, cases[i].height, &scale, &cols, &rows));
		assert_int_equal(scale, cases[i].scale);
		assert_int_equal(cols, cases[i].cols);
		assert_int_equal(rows, cases[i].rows);
	}
	assert_false(fbcon_geometry(100, 100, &scale, &cols, &rows));
	assert_false(fbcon_geometry(0, 0, &scale, &cols, &rows));
}

static void contradicting_framebuffers_are_refused(void **s)
{
	struct framebuffer bad;

	(void)s;
	open_screen(640, 480, FB_BGRX8888);
	bad = fb;
	bad.stride = 639;
	assert_int_equal(fbcon_init(&c, &bad, pixels, memory), -E_INVAL);
	bad = fb;
	bad.size--;
	assert_int_equal(fbcon_init(&c, &bad, pixels, memory), -E_INVAL);
	bad = fb;
	bad.height = 0xffffffff;
	assert_int_equal(fbcon_init(&c, &bad, pixels, memory), -E_INVAL);
	bad = fb;
	bad.format = FB_NONE;
	assert_int_equal(fbcon_init(&c, &bad, pixels, memory), -E_NOENT);
	/* And then nothing is painted anywhere. */
	send("text");
	assert_int_equal(fbcon_flush(&c), 0);
}

static void text_is_painted_with_its_glyphs_and_colours(void **s)
{
	static const struct {
		uint32_t width, height;
		enum fb_format format;
	} screens[] = { { 640, 480, FB_BGRX8888 }, { 645, 490, FB_RGBX8888 }, { 2560, 1440, FB_BGRX8888 } };

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(screens); i++) {
		open_screen(screens[i].width, screens[i].height, screens[i].format);
		send("A\033[31mg\033[1m#\033[0;7mx\033[0m\xe2\x94\x80\033[8mh");
		fbcon_flush(&c);
		assert_cell(0, 0, 'A', c.palette[0], c.palette[7]);
		assert_cell(1, 0, 'g', c.palette[0], c.palette[1]);
		assert_cell(2, 0, '#', c.palette[0], c.palette[9]);
		assert_cell(3, 0, 'x', c.palette[7], c.palette[0]);
		assert_cell(4, 0, 0x2500, c.palette[0], c.palette[7]);
		assert_cell(5, 0, ' ', c.palette[0], c.palette[7]);
		assert_cell(6, 0, ' ', c.palette[7], c.palette[0]); /* the cursor: reversed */
	}
	/* Red is in bits 23:16 of one format and in 7:0 of the other. */
	open_screen(640, 480, FB_RGBX8888);
	assert_int_equal(c.palette[1], 0x3c45c4);
	open_screen(640, 480, FB_BGRX8888);
	assert_int_equal(c.palette[1], 0xc4453c);
}

static void only_what_changed_is_painted(void **s)
{
	(void)s;
	open_screen(640, 480, FB_BGRX8888);
	assert_int_equal(fbcon_flush(&c), 1); /* the cursor */
	assert_int_equal(fbcon_flush(&c), 0);
	send("abc");
	assert_int_equal(fbcon_flush(&c), 4); /* three letters and the cursor */
	send("\rabc");
	assert_int_equal(fbcon_flush(&c), 0);
	send("\033[?25l");
	assert_int_equal(fbcon_flush(&c), 1);
	/* A scroll repaints letters, not blanks: line n shows what line n + 1 did. */
	for (unsigned i = 0; i < 60; i++)
		send("x\r\n");
	fbcon_flush(&c);
	send("y\r\n");
	assert_int_equal(fbcon_flush(&c), 1);
}

static void colored_text_leaves_the_pen_alone(void **s)
{
	(void)s;
	open_screen(1280, 800, FB_BGRX8888);
	send("\033[1;4;32mg");
	assert_int_equal(fbcon_write_colored_some(&c, 9, "E", 1, 100), 1);
	send("g");
	assert_int_equal(vt_row(&c.vt, 0)[0].color, 2);
	assert_int_equal(vt_row(&c.vt, 0)[1].color, 9);
	assert_int_equal(vt_row(&c.vt, 0)[1].attr, 0);
	assert_int_equal(vt_row(&c.vt, 0)[2].color, 2);
	assert_int_equal(vt_row(&c.vt, 0)[2].attr, VT_BOLD | VT_UNDERLINE);
}

static void the_cursor_leaves_no_trace(void **s)
{
	uint32_t *before;

	(void)s;
	open_screen(640, 480, FB_BGRX8888);
	send("\033[?25labc\r\nd");
	fbcon_flush(&c);
	before = malloc(fb.size);
	memcpy(before, pixels, fb.size);
	for (unsigned row = 1; row < 4; row++)
		for (unsigned col = 1; col < 5; col++) {
			char text[32];

			snprintf(text, sizeof(text), "\033[?25h\033[%u;%uH", row, col);
			send(text);
			fbcon_flush(&c);
			assert_memory_not_equal(before, pixels, fb.size);
		}
	send("\033[?25l");
	fbcon_flush(&c);
	assert_memory_equal(before, pixels, fb.size);
	free(before);
}

static void nothing_is_painted_outside_of_the_screen(void **s)
{
	(void)s;
	open_screen(645, 490, FB_BGRX8888);
	send("\033#8\033[?5h");
	fbcon_flush(&c);
	for (uint32_t y = 0; y < fb.height; y++)
		for (uint32_t x = 0; x < fb.stride; x++) {
			uint32_t v = pixels[(size_t)y * fb.stride + x];

			/* Beyond the visible line: as it was. The margins: background. */
			if (x >= fb.width)
				assert_int_equal(v, 0x5a5a5a5a);
			else if (x < c.left || x >= c.left + 80 * 8 || y < c.top || y >= c.top + 30 * 16)
				assert_int_equal(v, c.palette[0]);
		}
	assert_cell(79, 29, 'E', c.palette[7], c.palette[0]); /* the whole screen is reversed */
}

static void every_printable_character_has_a_glyph_of_its_own(void **s)
{
	uint8_t a[16], b[16];

	(void)s;
	for (uint16_t x = 0x21; x < 0x7f; x++) {
		assert_true(font_glyph(x, a));
		for (uint16_t y = 0x20; y < x; y++) {
			font_glyph(y, b);
			assert_memory_not_equal(a, b, 16);
		}
	}
	for (uint16_t x = 0x2500; x < 0x25a0; x++)
		assert_true(font_glyph(x, a));
	assert_false(font_glyph(0x4e2d, a));
	font_glyph(0xfffd, b);
	assert_memory_equal(a, b, 16);
}

/* Each arm of a box character reaches the edge, where the neighbour's arm of the same weight meets it. */
static void box_lines_meet(void **s)
{
	static const struct {
		uint16_t ch;
		uint8_t left, right, up, down; /* weights as they show at the edge */
	} cases[] = {
		{ 0x2500, 1, 1, 0, 0 },
		{ 0x2502, 0, 0, 1, 1 },
		{ 0x250c, 0, 1, 0, 1 },
		{ 0x2518, 1, 0, 1, 0 },
		{ 0x253c, 1, 1, 1, 1 },
		{ 0x2501, 2, 2, 0, 0 },
		{ 0x254b, 2, 2, 2, 2 },
		{ 0x2550, 3, 3, 0, 0 },
		{ 0x2551, 0, 0, 3, 3 },
		{ 0x2554, 0, 3, 0, 3 },
		{ 0x255d, 3, 0, 3, 0 },
		{ 0x256c, 3, 3, 3, 3 },
		{ 0x255e, 0, 3, 1, 1 },
		{ 0x2565, 1, 1, 0, 3 },
		{ 0x256d, 0, 1, 0, 1 },
		{ 0x251d, 0, 2, 1, 1 },
	};
	static const uint8_t column[] = { 0, 0x18, 0x3c, 0x24 };
	static const uint16_t line[] = { 0, 1 << 7, 3 << 7, 1 << 6 | 1 << 8 };
	uint8_t g[16];

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint16_t left = 0, right = 0;

		font_glyph(cases[i].ch, g);
		for (unsigned y = 0; y < 16; y++) {
			left |= (uint16_t)((g[y] >> 7 & 1) << y);
			right |= (uint16_t)((g[y] & 1) << y);
		}
		if (left != line[cases[i].left] || right != line[cases[i].right] ||
			g[0] != column[cases[i].up] || g[15] != column[cases[i].down])
			fail_msg("U+%04X: %x %x %x %x", cases[i].ch, left, right, g[0], g[15]);
	}
}

static void write_picture(const char *name)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	fprintf(f, "P6\n%u %u\n255\n", fb.width, fb.height);
	for (uint32_t y = 0; y < fb.height; y++)
		for (uint32_t x = 0; x < fb.width; x++) {
			uint32_t v = pixels[(size_t)y * fb.stride + x];

			fputc(v >> 16 & 0xff, f);
			fputc(v >> 8 & 0xff, f);
			fputc(v & 0xff, f);
		}
	fclose(f);
}

static void a_session_paints_the_same_in_pieces_as_at_once(void **s)
{
	static const char session[] =
		"lethe: 2 CPUs, 2048 MiB of RAM, 1995 MiB of it free\r\n"
		"lethe: VMX: EPT 4K 2M 1G, A/D, VPID, unrestricted guest, preemption timer, PML\r\n"
		"lethe: \033[33mwarning:\033[0m the CPU's TSC is not invariant\r\n"
		"lethe: vm demo: vmlinuz 8.1 MiB, initrd 1.2 MiB, 512 MiB, 1 vCPU, EPT\r\n\r\n"
		"[    0.000000] Linux version 6.1.0-18-cloud-amd64 (gcc-12 (Debian 12.2.0-14) 12.2.0)\r\n"
		"[    0.041337] Booting paravirtualized kernel on bare hardware <hv@lethe>\r\n\r\n"
		"\033[1;32mroot@lethe\033[0m:\033[1;34m/etc\033[0m# ls -l --color\r\n"
		"drwxr-xr-x  2 root root  60 \033[1;34minit.d\033[0m   -rwxr-xr-x 1 root \033[1;32mrcS\033[0m   lrwxrwxrwx \033[1;36mmtab\033[0m -> \033[7m/proc/mounts\033[0m\r\n"
		"The quick brown fox jumps over the lazy dog. 0123456789 (){}[]<> @#$%&*+-=/\\|~^`'\"!?,.;:_\r\n"
		"SPHINX OF BLACK QUARTZ, JUDGE MY VOW!   Il1| O0o  rn m  vv w  5S 2Z 8B 6G  #define X(a) (~(a) ^ 0x7f)\r\n"
		"\xc3\x84\xc3\x96\xc3\x9c\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \xc3\xa9\xc3\xa8\xc3\xaa\xc3\xab \xc3\xb1 \xc3\xa7 \xc3\x85\xc3\xa5 \xc3\xb8 \xc3\xad \xc2\xb5\xc2\xa7\xc2\xb0\xc2\xb1\xc2\xb7\xc3\x97\xc3\xb7 \xe2\x82\xac \xe2\x86\x90\xe2\x86\x91\xe2\x86\x92\xe2\x86\x93 \xe2\x80\xa2\xe2\x80\xa6 \xe2\x89\xa4\xe2\x89\xa5\xe2\x89\xa0 \xe2\x9c\x93\xe2\x9c\x97 \xe2\x97\x8f\xe2\x97\x8b\xe2\x96\xa0\xe2\x96\xb2\xe2\x96\xbc \xe4\xb8\xad\r\n"
		"\xe2\x94\x8c\xe2\x94\x80\xe2\x94\x80\xe2\x94\xac\xe2\x94\x80\xe2\x94\x80\xe2\x94\x90 \xe2\x95\x94\xe2\x95\x90\xe2\x95\x90\xe2\x95\xa6\xe2\x95\x90\xe2\x95\x90\xe2\x95\x97 \xe2\x94\x8f\xe2\x94\x81\xe2\x94\xb3\xe2\x94\x81\xe2\x94\x93 \xe2\x95\x93\xe2\x94\x80\xe2\x95\xa5\xe2\x94\x80\xe2\x95\x96 \xe2\x95\xad\xe2\x94\x80\xe2\x95\xae\xe2\x95\xb1\xe2\x95\xb2 \xe2\x96\x81\xe2\x96\x83\xe2\x96\x85\xe2\x96\x87\xe2\x96\x88 \xe2\x96\x91\xe2\x96\x92\xe2\x96\x93\r\n"
		"\xe2\x94\x82  \xe2\x94\x82  \xe2\x94\x82 \xe2\x95\x91  \xe2\x95\x91  \xe2\x95\x91 \xe2\x94\x83 \xe2\x94\x83 \xe2\x94\x83 \xe2\x95\x91 \xe2\x95\x91 \xe2\x95\x91 \xe2\x94\x82 \xe2\x94\x82 \xe2\x96\x96\xe2\x96\x97\xe2\x96\x98\xe2\x96\x9d\xe2\x96\x9a\r\n"
		"\xe2\x94\x9c\xe2\x94\x80\xe2\x94\x80\xe2\x94\xbc\xe2\x94\x80\xe2\x94\x80\xe2\x94\xa4 \xe2\x95\xa0\xe2\x95\x90\xe2\x95\x90\xe2\x95\xac\xe2\x95\x90\xe2\x95\x90\xe2\x95\xa3 \xe2\x94\xa3\xe2\x94\x81\xe2\x95\x8b\xe2\x94\x81\xe2\x94\xab \xe2\x95\x9f\xe2\x94\x80\xe2\x95\xab\xe2\x94\x80\xe2\x95\xa2 \xe2\x95\xb0\xe2\x94\x80\xe2\x95\xaf\xe2\x95\x98\xe2\x95\x90\xe2\x95\xaa\xe2\x95\x90\xe2\x95"
		"\x9b\r\n"
		"\xe2\x94\x94\xe2\x94\x80\xe2\x94\x80\xe2\x94\xb4\xe2\x94\x80\xe2\x94\x80\xe2\x94\x98 \xe2\x95\x9a\xe2\x95\x90\xe2\x95\x90\xe2\x95\xa9\xe2\x95\x90\xe2\x95\x90\xe2\x95\x9d \xe2\x94\x97\xe2\x94\x81\xe2\x94\xbb\xe2\x94\x81\xe2\x94\x9b \xe2\x95\x99\xe2\x94\x80\xe2\x95\xa8\xe2\x94\x80\xe2\x95\x9c\r\n"
		"\033[30;47m 0 \033[37;41m 1 \033[42m 2 \033[43m 3 \033[44m 4 \033[45m 5 \033[46m 6 \033[30;47m 7 \033[0m \033[31mred \033[32mgreen \033[33mbrown \033[34mblue \033[35mmagenta \033[36mcyan \033[1;31mred \033[32mgreen \033[33myellow \033[34mblue \033[35mmagenta \033[36mcyan \033[37mwhite\033[0m \033[90mgrey\033[0m \033[4munderlined\033[0m\r\n"
		"root@lethe:~# ";
	const char *name = getenv("FBCON_PPM");
	uint32_t *at_once;

	(void)s;
	open_screen(1024, 768, FB_BGRX8888);
	send(session);
	fbcon_flush(&c);
	if (name)
		write_picture(name);
	at_once = malloc(fb.size);
	memcpy(at_once, pixels, fb.size);
	open_screen(1024, 768, FB_BGRX8888);
	for (size_t i = 0; i + 1 < sizeof(session); i++) {
		fbcon_write(&c, session + i, 1);
		fbcon_flush(&c);
	}
	assert_memory_equal(at_once, pixels, fb.size);
	free(at_once);
}

/* However much has changed, one call paints few cells; and what changes meanwhile is painted, too. */
static void a_piece_of_painting_is_bounded(void **s)
{
	static const struct {
		uint32_t width, height;
		unsigned most;
	} screens[] = { { 1920, 1080, 2 }, { 2560, 1440, 1 }, { 7680, 4320, 1 } };

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(screens); i++) {
		unsigned pieces = 0, painted, all = 0;
		bool more;

		open_screen(screens[i].width, screens[i].height, FB_BGRX8888);
		send("\033#8\033[?25l");
		do {
			painted = 0;
			more = fbcon_paint(&c, &painted);
			assert_in_range(painted, 0, screens[i].most);
			all += painted;
			/* In the middle of a row: reversed, and at once as it was; and a letter behind and before. */
			if (++pieces == 50)
				send("\033[?5h");
			if (pieces == 52)
				send("\033[?5l\033[1;1Ha\033[1;90Hz");
		} while (more);
		assert_true(all >= c.vt.cols * c.vt.rows);
		for (unsigned row = 0; row < c.vt.rows; row++)
			for (unsigned col = 0; col < c.vt.cols; col++)
				assert_cell(col, row,
					row	    ? 'E'
					: col == 0  ? 'a'
					: col == 89 ? 'z'
						    : 'E',
					c.palette[0], c.palette[7]);
	}
}

static int teardown(void **state)
{
	(void)state;
	free(pixels);
	free(memory);
	pixels = memory = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_of_screens),
		cmocka_unit_test(contradicting_framebuffers_are_refused),
		cmocka_unit_test(text_is_painted_with_its_glyphs_and_colours),
		cmocka_unit_test(only_what_changed_is_painted),
		cmocka_unit_test(colored_text_leaves_the_pen_alone),
		cmocka_unit_test(the_cursor_leaves_no_trace),
		cmocka_unit_test(nothing_is_painted_outside_of_the_screen),
		cmocka_unit_test(every_printable_character_has_a_glyph_of_its_own),
		cmocka_unit_test(box_lines_meet),
		cmocka_unit_test(a_session_paints_the_same_in_pieces_as_at_once),
		cmocka_unit_test(a_piece_of_painting_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
