/* SPDX-License-Identifier: MIT */
/*
 * Painting. Three layers:
 *
 *	vt_row()	what the terminal wants to show	(RAM, changed by vt_write)
 *	shown		what was painted last		(RAM)
 *	pixels		the framebuffer			(write-combining device memory: written, never read)
 *
 * fbcon_paint() compares the first two in a row that is dirty and paints the cells that differ. A scroll copies no
 * pixels, for that would mean to read them; most cells are blank before and after.
 */
#include "drivers/console/fbcon.h"

#include "drivers/console/font.h"
#include "lib/bits.h"
#include "lib/string.h"

#define SCALE_MAX 8u

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
	s = s < 1 ? 1 : min(s, SCALE_MAX);
	*scale = s;
	*cols = (uint16_t)min(width / (FONT_WIDTH * s), (uint32_t)VT_COLS_MAX);
	*rows = (uint16_t)min(height / (FONT_HEIGHT * s), (uint32_t)VT_ROWS_MAX);
	return *cols >= 20 && *rows >= 4;
}

size_t fbcon_memory(uint16_t cols, uint16_t rows)
{
	return 2 * sizeof(struct vt_cell) * cols * rows + 2u * rows;
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
	c->reversed = (uint8_t *)(c->shown + (size_t)cols * rows);
	vt_init(&c->vt, cols, rows, cells, c->reversed + rows);
	clear_screen(c);
	for (unsigned row = 0; row < rows; row++)
		memcpy(c->shown + (size_t)row * cols, vt_row(&c->vt, row), sizeof(struct vt_cell) * cols);
	memset(c->reversed, 0, rows);
	memset(c->vt.dirty, 0, rows);
	return 0;
}

void fbcon_write(struct fbcon *c, const char *text, size_t n)
{
	if (c->pixels)
		vt_write(&c->vt, text, n);
}

size_t fbcon_write_some(struct fbcon *c, const char *text, size_t n, unsigned budget)
{
	return c->pixels ? vt_write_some(&c->vt, text, n, budget) : n;
}

size_t fbcon_write_colored_some(struct fbcon *c, uint8_t color, const char *text, size_t n, unsigned budget)
{
	struct vt_cell pen = c->vt.cur.pen;
	size_t done;

	/* What a REP has left is still in the pen of its sequence. */
	if (vt_busy(&c->vt))
		return fbcon_write_some(c, text, 0, budget);
	c->vt.cur.pen.color = color;
	c->vt.cur.pen.attr = 0;
	done = fbcon_write_some(c, text, n, budget);
	c->vt.cur.pen = pen;
	return done;
}

/* One row of a glyph, 8 pixels wide, at scale 1: the common case, two pixels a store. */
static void paint_row(uint64_t *at, uint8_t bits, const uint64_t pair[4])
{
	at[0] = pair[bits >> 6];
	at[1] = pair[bits >> 4 & 3];
	at[2] = pair[bits >> 2 & 3];
	at[3] = pair[bits & 3];
}

/* The same larger: `scale` lines of the screen, all like the first. */
static void paint_row_scaled(const struct fbcon *c, uint32_t *at, uint8_t bits, uint32_t fg, uint32_t bg)
{
	uint32_t line[FONT_WIDTH * SCALE_MAX], *px = line;

	for (unsigned b = 0; b < FONT_WIDTH; b++)
		for (uint32_t s = 0; s < c->scale; s++)
			*px++ = bits & (0x80 >> b) ? fg : bg;
	for (uint32_t s = 0; s < c->scale; s++, at += c->stride)
		memcpy(at, line, FONT_WIDTH * c->scale * sizeof(*at));
}

static void paint(const struct fbcon *c, unsigned col, unsigned row, struct vt_cell cell, bool cursor)
{
	uint8_t rows[FONT_HEIGHT] = { 0 };
	unsigned fg = cell.color & 0x0f, bg = cell.color >> 4, swap;
	bool reverse = (bool)(cell.attr & VT_REVERSE) ^ (bool)c->reversed[row] ^ cursor;
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
	for (unsigned r = 0; r < FONT_HEIGHT; r++, at += (size_t)c->scale * c->stride)
		if (c->scale == 1)
			paint_row((uint64_t *)at, rows[r], pair);
		else
			paint_row_scaled(c, at, rows[r], c->palette[fg], c->palette[bg]);
}

static bool same(struct vt_cell a, struct vt_cell b)
{
	const union {
		struct vt_cell cell;
		uint32_t bits;
	} x = { a }, y = { b };

	return x.bits == y.bits;
}

/* A row is begun. If the screen has been reversed since it was painted, its cells are the same but their looks are not: then
 * no cell is like what is shown. */
static void begin_row(struct fbcon *c, unsigned row)
{
	c->vt.dirty[row] = 0;
	if (c->reversed[row] == c->vt.reverse_screen)
		return;
	c->reversed[row] = c->vt.reverse_screen;
	memset(c->shown + (size_t)row * c->vt.cols, 0xff, sizeof(struct vt_cell) * c->vt.cols);
}

/* The cells of next_row that differ, from next_col on. */
static unsigned paint_changes(struct fbcon *c)
{
	struct vt *t = &c->vt;
	unsigned row = c->next_row, col, painted = 0;
	unsigned most = max(FBCON_PIECE_PIXELS / (FONT_WIDTH * FONT_HEIGHT * c->scale * c->scale), 1u);
	const struct vt_cell *want = vt_row(t, row);
	struct vt_cell *shown = c->shown + (size_t)row * t->cols;

	for (col = c->next_col; col < t->cols && painted < most; col++) {
		if (same(want[col], shown[col]))
			continue;
		shown[col] = want[col];
		paint(c, col, row, want[col], false);
		painted++;
		/* The cursor was painted over with it. */
		if (c->cursor_shown && col == c->cursor_col && row == c->cursor_row)
			c->cursor_shown = false;
	}
	c->next_col = (uint16_t)(col < t->cols ? col : 0);
	if (!c->next_col)
		c->next_row = (uint16_t)(row + 1u < t->rows ? row + 1u : 0);
	return painted;
}

static unsigned paint_cursor(struct fbcon *c)
{
	struct vt *t = &c->vt;
	unsigned painted = 0;

	if (c->cursor_shown == t->cursor_on &&
		(!t->cursor_on || (c->cursor_col == t->cur.col && c->cursor_row == t->cur.row)))
		return 0;
	if (c->cursor_shown) {
		paint(c, c->cursor_col, c->cursor_row,
			c->shown[(size_t)c->cursor_row * t->cols + c->cursor_col], false);
		painted++;
	}
	c->cursor_shown = t->cursor_on;
	c->cursor_col = t->cur.col;
	c->cursor_row = t->cur.row;
	if (c->cursor_shown) {
		paint(c, c->cursor_col, c->cursor_row,
			c->shown[(size_t)c->cursor_row * t->cols + c->cursor_col], true);
		painted++;
	}
	return painted;
}

/* The next row that is dirty, as next_row: on from where the last call stopped, so that every row gets its turn while others
 * go on changing. False: none is. */
static bool find_row(struct fbcon *c)
{
	const struct vt *t = &c->vt;

	for (unsigned i = 0, row = c->next_row; i < t->rows; i++, row = row + 1u < t->rows ? row + 1u : 0)
		if (t->dirty[row]) {
			c->next_row = (uint16_t)row;
			return true;
		}
	return false;
}

bool fbcon_paint(struct fbcon *c, unsigned *painted)
{
	if (!c->pixels)
		return false;
	if (!c->next_col) {
		if (!find_row(c)) {
			*painted += paint_cursor(c);
			return false;
		}
		begin_row(c, c->next_row);
	}
	*painted += paint_changes(c);
	return true;
}

unsigned fbcon_flush(struct fbcon *c)
{
	unsigned painted = 0;

	while (fbcon_paint(c, &painted))
		;
	return painted;
}
