/* SPDX-License-Identifier: MIT */
/*
 * Painting. Three layers:
 *
 *	vt_row()	what the terminal wants to show	(RAM, changed by vt_write)
 *	shown		what was painted last		(RAM)
 *	pixels		the framebuffer			(write-combining device memory: written, never read)
 *
 * fbcon_flush() compares the first two in the rows that are dirty and paints the cells that differ. A scroll copies no
 * pixels, for that would mean to read them; most cells are blank before and after.
 */
#include "drivers/fbcon.h"

#include "drivers/font.h"
#include "lib/bits.h"
#include "lib/string.h"

/* 0xRRGGBB, in ANSI order. Blue is lightened: on black a pure one is hard to read. */
static const uint32_t colors[16] = {
	0x101418,
	0xc4453c,
	0x4fa84f,
	0xc09a3a,
	0x4a7fd0,
	0xa562b8,
	0x3fa3a8,
	0xc8ccd0,
	0x686e76,
	0xf26d62,
	0x7fd67f,
	0xf2d06b,
	0x7fb0ff,
	0xd48fe6,
	0x70d6dc,
	0xffffff,
};

bool fbcon_geometry(uint32_t width, uint32_t height, uint32_t *scale, uint16_t *cols, uint16_t *rows)
{
	uint32_t s = min(width / 1280, height / 720);

	/* Letters of about the same size on every screen: 160 columns or so on a big one. */
	s = s < 1 ? 1 : s > 8 ? 8 : s;
	*scale = s;
	*cols = (uint16_t)min(width / (FONT_WIDTH * s), (uint32_t)VT_COLS_MAX);
	*rows = (uint16_t)min(height / (FONT_HEIGHT * s), (uint32_t)VT_ROWS_MAX);
	return *cols >= 20 && *rows >= 4;
}

size_t fbcon_memory(uint16_t cols, uint16_t rows)
{
	return 2 * sizeof(struct vt_cell) * cols * rows + rows;
}

static uint32_t pixel(enum fb_format format, uint32_t rgb)
{
	/* Little-endian: BGRX in memory is 0xXXRRGGBB. */
	return format == FB_BGRX8888 ? rgb : (rgb & 0xff) << 16 | (rgb & 0xff00) | rgb >> 16;
}

static void clear_screen(const struct fbcon *c)
{
	for (uint32_t y = 0; y < c->height; y++) {
		uint32_t *line = (uint32_t *)c->pixels + (size_t)y * c->stride;

		for (uint32_t x = 0; x < c->width; x++)
			line[x] = c->palette[0];
	}
}

int fbcon_init(struct fbcon *c, const struct framebuffer *fb, void *pixels, void *memory)
{
	uint16_t cols, rows;
	struct vt_cell *cells = memory;
	uint32_t scale;

	*c = (struct fbcon){ 0 };
	if (fb->format == FB_NONE || !fb->base.v || !pixels)
		return -E_NOENT;
	if (fb->stride < fb->width || fb->width > 32768 || fb->height > 32768 || fb->stride > 65536 ||
		(uint64_t)fb->stride * fb->height * 4 > fb->size ||
		!fbcon_geometry(fb->width, fb->height, &scale, &cols, &rows))
		return -E_INVAL;
	c->pixels = pixels;
	c->width = fb->width;
	c->height = fb->height;
	c->stride = fb->stride;
	c->scale = scale;
	c->left = (fb->width - cols * FONT_WIDTH * scale) / 2;
	c->top = (fb->height - rows * FONT_HEIGHT * scale) / 2;
	for (unsigned i = 0; i < 16; i++)
		c->palette[i] = pixel(fb->format, colors[i]);
	c->shown = cells + (size_t)cols * rows;
	vt_init(&c->vt, cols, rows, cells, (uint8_t *)(c->shown + (size_t)cols * rows));
	clear_screen(c);
	memcpy(c->shown, c->vt.cells, sizeof(struct vt_cell) * cols * rows);
	memset(c->vt.dirty, 0, rows);
	return 0;
}

void fbcon_write(struct fbcon *c, const char *text, size_t n)
{
	if (c->pixels)
		vt_write(&c->vt, text, n);
}

/* One row of a glyph, 8 pixels wide, at scale 1: the common case, two pixels a store. */
static void paint_row(uint64_t *at, uint8_t bits, const uint64_t pair[4])
{
	at[0] = pair[bits >> 6];
	at[1] = pair[bits >> 4 & 3];
	at[2] = pair[bits >> 2 & 3];
	at[3] = pair[bits & 3];
}

static void paint_row_scaled(uint32_t *at, uint8_t bits, uint32_t scale, uint32_t fg, uint32_t bg)
{
	for (unsigned b = 0; b < FONT_WIDTH; b++)
		for (uint32_t s = 0; s < scale; s++)
			*at++ = bits & (0x80 >> b) ? fg : bg;
}

static void paint(const struct fbcon *c, unsigned col, unsigned row, struct vt_cell cell, bool cursor)
{
	uint8_t rows[FONT_HEIGHT] = { 0 };
	unsigned fg = cell.color & 0x0f, bg = cell.color >> 4, swap;
	bool reverse = (bool)(cell.attr & VT_REVERSE) ^ c->vt.reverse_screen ^ cursor;
	uint32_t *at = (uint32_t *)c->pixels + (c->top + (size_t)row * FONT_HEIGHT * c->scale) * c->stride +
		       c->left + col * FONT_WIDTH * c->scale;
	uint64_t pair[4];

	/* Bold is bright, as on every PC console. */
	if (cell.attr & VT_BOLD && fg < 8)
		fg += 8;
	if (cell.ch > ' ' && !(cell.attr & VT_CONCEAL))
		font_glyph(cell.ch, rows);
	if (cell.attr & VT_UNDERLINE)
		rows[13] = 0xff;
	if (reverse) {
		swap = fg;
		fg = bg;
		bg = swap;
	}
	/* In memory the left pixel of a pair is the low half. */
	for (unsigned i = 0; i < 4; i++)
		pair[i] = c->palette[i & 2 ? fg : bg] | (uint64_t)c->palette[i & 1 ? fg : bg] << 32;
	for (unsigned r = 0; r < FONT_HEIGHT; r++)
		for (uint32_t s = 0; s < c->scale; s++, at += c->stride)
			if (c->scale == 1)
				paint_row((uint64_t *)at, rows[r], pair);
			else
				paint_row_scaled(at, rows[r], c->scale, c->palette[fg], c->palette[bg]);
}

static bool same(struct vt_cell a, struct vt_cell b)
{
	return a.ch == b.ch && a.color == b.color && a.attr == b.attr;
}

unsigned fbcon_flush(struct fbcon *c)
{
	struct vt *t = &c->vt;
	unsigned painted = 0;
	bool moved =
		c->cursor_shown != t->cursor_on || c->cursor_col != t->cur.col || c->cursor_row != t->cur.row;
	bool all = c->reversed != t->reverse_screen; /* the cells are the same, their looks are not */

	if (!c->pixels)
		return 0;
	c->reversed = t->reverse_screen;
	for (unsigned r = 0; r < t->rows; r++) {
		const struct vt_cell *want = vt_row(t, r);
		struct vt_cell *shown = c->shown + (size_t)r * t->cols;

		if (!t->dirty[r] && !all)
			continue;
		t->dirty[r] = 0;
		for (unsigned col = 0; col < t->cols; col++) {
			if (!all && same(want[col], shown[col]))
				continue;
			shown[col] = want[col];
			paint(c, col, r, want[col], false);
			painted++;
			/* It may have been the cursor that was painted over. */
			moved |= t->cursor_on && col == t->cur.col && r == t->cur.row;
		}
	}
	if (!moved)
		return painted;
	if (c->cursor_shown)
		paint(c, c->cursor_col, c->cursor_row,
			c->shown[(size_t)c->cursor_row * t->cols + c->cursor_col], false);
	c->cursor_shown = t->cursor_on;
	c->cursor_col = t->cur.col;
	c->cursor_row = t->cur.row;
	if (c->cursor_shown)
		paint(c, c->cursor_col, c->cursor_row,
			c->shown[(size_t)c->cursor_row * t->cols + c->cursor_col], true);
	return painted + 1;
}
