/* SPDX-License-Identifier: MIT */
/* The grid of cells: putting characters, clearing, scrolling. Every change marks its row dirty. */
#include "drivers/console/vt_grid.h"

#include "drivers/console/font.h"
#include "lib/bits.h"
#include "lib/string.h"

void vt_touch(struct vt *t, unsigned first, unsigned n)
{
	memset(t->dirty + first, 1, n);
	t->work += n;
}

void vt_fill(struct vt *t, unsigned row, struct vt_cell cell)
{
	t->fill[t->line[row]] = cell;
	t->whole[t->line[row]] = true;
	vt_touch(t, row, 1);
}

static void write_cells(struct vt *t, struct vt_cell *at, unsigned n, struct vt_cell cell)
{
	t->work += n;
	while (n--)
		*at++ = cell;
}

struct vt_cell *vt_row(struct vt *t, unsigned row)
{
	unsigned line = t->line[row];
	struct vt_cell *cells = t->cells + (size_t)line * t->cols;

	if (t->whole[line]) {
		t->whole[line] = false;
		write_cells(t, cells, t->cols, t->fill[line]);
	}
	return cells;
}

static struct vt_cell blank(const struct vt *t)
{
	uint8_t color = t->cur.pen.color;

	/* Cleared cells take the background, as Linux's console does ("bce" in terminfo). A cleared cell is never reversed
	 * itself: its colours are swapped instead. */
	if (t->cur.pen.attr & VT_REVERSE)
		color = (uint8_t)(color >> 4 | color << 4);
	return (struct vt_cell){ .ch = ' ', .color = color };
}

static void clear_rows(struct vt *t, unsigned first, unsigned end)
{
	for (unsigned r = first; r < end; r++)
		vt_fill(t, r, blank(t));
}

void vt_clear(struct vt *t, unsigned row, unsigned from, unsigned to)
{
	if (from == 0 && to == t->cols) {
		vt_fill(t, row, blank(t));
		return;
	}
	write_cells(t, vt_row(t, row) + from, to - from, blank(t));
	vt_touch(t, row, 1);
}

/* Row r of the region becomes what row r + by was, around its end. by: at most rows. */
static void rotate(struct vt *t, unsigned top, unsigned rows, unsigned by)
{
	uint16_t before[VT_ROWS_MAX];

	memcpy(before, t->line + top, rows * sizeof(before[0]));
	memcpy(t->line + top, before + by, (rows - by) * sizeof(before[0]));
	memcpy(t->line + top + rows - by, before, by * sizeof(before[0]));
	t->work += rows;
	vt_touch(t, top, rows);
}

void vt_scroll_up(struct vt *t, unsigned top, unsigned bottom, unsigned n)
{
	unsigned rows = bottom - top + 1;

	n = min(n, rows);
	rotate(t, top, rows, n);
	clear_rows(t, bottom + 1 - n, bottom + 1);
}

void vt_scroll_down(struct vt *t, unsigned top, unsigned bottom, unsigned n)
{
	unsigned rows = bottom - top + 1;

	n = min(n, rows);
	rotate(t, top, rows, rows - n);
	clear_rows(t, top, top + n);
}

void vt_insert_cells(struct vt *t, unsigned n)
{
	struct vt_cell *at = vt_row(t, t->cur.row) + t->cur.col;
	unsigned right = t->cols - t->cur.col;

	n = min(n, right);
	memmove(at + n, at, (right - n) * sizeof(*at));
	t->work += right - n;
	vt_clear(t, t->cur.row, t->cur.col, t->cur.col + n);
}

void vt_delete_cells(struct vt *t, unsigned n)
{
	struct vt_cell *at = vt_row(t, t->cur.row) + t->cur.col;
	unsigned right = t->cols - t->cur.col;

	n = min(n, right);
	memmove(at, at + n, (right - n) * sizeof(*at));
	t->work += right - n;
	vt_clear(t, t->cur.row, t->cols - n, t->cols);
}

void vt_line_feed(struct vt *t)
{
	t->cur.wrap = false;
	if (t->cur.row == t->bottom)
		vt_scroll_up(t, t->top, t->bottom, 1);
	else if (t->cur.row < t->rows - 1)
		t->cur.row++;
}

void vt_reverse_feed(struct vt *t)
{
	t->cur.wrap = false;
	if (t->cur.row == t->top)
		vt_scroll_down(t, t->top, t->bottom, 1);
	else if (t->cur.row > 0)
		t->cur.row--;
}

void vt_move(struct vt *t, int col, int row, bool relative)
{
	int top = 0, bottom = t->rows - 1;

	if (relative && t->cur.origin) {
		top = t->top;
		bottom = t->bottom;
		row += top;
	}
	t->cur.row = (uint16_t)(row < top ? top : row > bottom ? bottom : row);
	t->cur.col = (uint16_t)(col < 0 ? 0 : col >= t->cols ? t->cols - 1 : col);
	t->cur.wrap = false;
}

void vt_tab(struct vt *t, int step)
{
	int col = t->cur.col, last = t->cols - 1;

	do {
		col += step;
		t->work++;
	} while (col > 0 && col < last && !(t->tabs[col / 32] & BIT(col % 32)));
	vt_move(t, col, t->cur.row, false);
}

static void put_cell(struct vt *t, uint16_t ch)
{
	struct vt_cursor *c = &t->cur;

	if (c->wrap && t->autowrap) {
		c->col = 0;
		vt_line_feed(t);
	}
	c->wrap = false;
	if (t->insert)
		vt_insert_cells(t, 1);
	vt_row(t, c->row)[c->col] = (struct vt_cell){ .ch = ch, .color = c->pen.color, .attr = c->pen.attr };
	t->dirty[c->row] = 1;
	/* After the last column the cursor stays on it until the next character comes (DEC STD 070). */
	if (c->col + 1 < t->cols)
		c->col++;
	else
		c->wrap = true;
}

void vt_put(struct vt *t, uint32_t ch)
{
	unsigned cells = font_cells(ch);

	if (!cells)
		return;
	if (ch > 0xffff)
		ch = 0xfffd;
	/* A wide character does not break across lines. */
	if (cells == 2 && t->cur.col + 1 == t->cols && !t->cur.wrap && t->autowrap && t->cols > 1)
		put_cell(t, ' ');
	put_cell(t, (uint16_t)ch);
	if (cells == 2)
		put_cell(t, ' ');
	t->last_ch = (uint16_t)ch;
}
