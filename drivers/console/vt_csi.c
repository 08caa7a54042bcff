/* SPDX-License-Identifier: MIT */
/*
 * Control sequences (ECMA-48 5.4): CSI, parameters, intermediate, final byte. What is not known is ignored, as a
 * terminal does. Every count is bounded by the screen's size.
 */
#include "drivers/console/vt_grid.h"

#include "lib/bits.h"
#include "lib/printf.h"
#include "lib/string.h"

static void answer(struct vt *t, const char *text)
{
	if (t->reply)
		t->reply(t->ctx, text, strlen(text));
}

static void erase_display(struct vt *t)
{
	unsigned what = vt_param(t, 0, 0), first = 0, end = t->rows;

	if (what == 0) {
		vt_clear(t, t->cur.row, t->cur.col, t->cols);
		first = t->cur.row + 1u;
	} else if (what == 1) {
		vt_clear(t, t->cur.row, 0, t->cur.col + 1u);
		end = t->cur.row;
	} else if (what > 3) {
		return;
	}
	for (unsigned r = first; r < end; r++)
		vt_clear(t, r, 0, t->cols);
}

static void erase_line(struct vt *t)
{
	unsigned what = vt_param(t, 0, 0);

	if (what <= 2)
		vt_clear(t, t->cur.row, what == 0 ? t->cur.col : 0, what == 1 ? t->cur.col + 1u : t->cols);
}

static void erase_cells(struct vt *t)
{
	unsigned n = min(vt_param(t, 0, 1), (unsigned)(t->cols - t->cur.col));

	vt_clear(t, t->cur.row, t->cur.col, t->cur.col + n);
}

/* Up and down stop at the region's edge if they start inside it. */
static void up(struct vt *t, unsigned n)
{
	int stop = t->cur.row >= t->top ? t->top : 0, to = t->cur.row - (int)n;

	vt_move(t, t->cur.col, max(to, stop), false);
}

static void down(struct vt *t, unsigned n)
{
	int stop = t->cur.row <= t->bottom ? t->bottom : t->rows - 1, to = t->cur.row + (int)n;

	vt_move(t, t->cur.col, min(to, stop), false);
}

static void tabs(struct vt *t, unsigned n, int step)
{
	unsigned from;

	do {
		from = t->cur.col;
		vt_tab(t, step);
	} while (--n && t->cur.col != from);
}

/* Lines move only if the cursor is in the region. */
static void lines(struct vt *t, unsigned n, bool insert)
{
	if (t->cur.row < t->top || t->cur.row > t->bottom)
		return;
	if (insert)
		vt_scroll_down(t, t->cur.row, t->bottom, n);
	else
		vt_scroll_up(t, t->cur.row, t->bottom, n);
	vt_move(t, 0, t->cur.row, false);
}

static void region(struct vt *t)
{
	unsigned top = vt_param(t, 0, 1), bottom = vt_param(t, 1, t->rows);

	bottom = min(bottom, (unsigned)t->rows);
	if (top >= bottom)
		return;
	t->top = (uint16_t)(top - 1);
	t->bottom = (uint16_t)(bottom - 1);
	vt_move(t, 0, 0, true);
}

static void report(struct vt *t)
{
	char text[32];

	if (vt_param(t, 0, 0) == 5) {
		answer(t, "\033[0n");
	} else if (vt_param(t, 0, 0) == 6) {
		fmt_snprintf(text, sizeof(text), "\033[%u;%uR",
			t->cur.row + 1u - (t->cur.origin ? t->top : 0), t->cur.col + 1u);
		answer(t, text);
	}
}

/* The alternate screen (47, 1047, 1049), mouse and paste modes are left alone: there is one screen. */
static void set_mode(struct vt *t, bool on)
{
	for (unsigned i = 0; i < t->nparams; i++) {
		switch (t->param[i] | (t->private_mark == '?' ? 0x10000u : 0)) {
		case 4: /* IRM */
			t->insert = on;
			break;
		case 20: /* LNM */
			t->newline_mode = on;
			break;
		case 0x10001: /* DECCKM */
			t->app_cursor = on;
			break;
		case 0x10005: /* DECSCNM */
			if (t->reverse_screen != on)
				vt_touch(t, 0, t->rows);
			t->reverse_screen = on;
			break;
		case 0x10006: /* DECOM */
			t->cur.origin = on;
			vt_move(t, 0, 0, true);
			break;
		case 0x10007: /* DECAWM */
			t->autowrap = on;
			break;
		case 0x10019: /* DECTCEM: 25 */
			t->cursor_on = on;
			break;
		}
	}
}

/* DECSTR: modes and pen, not the screen. */
static void soft_reset(struct vt *t)
{
	t->insert = t->app_cursor = t->cur.origin = false;
	t->autowrap = t->cursor_on = true;
	t->top = 0;
	t->bottom = (uint16_t)(t->rows - 1);
	t->cur.pen = (struct vt_cell){ .ch = ' ', .color = 7 };
	t->cur.graphics[0] = t->cur.graphics[1] = false;
	t->cur.gl = 0;
	t->saved = (struct vt_cursor){ .pen = t->cur.pen };
}

/* With a mark or an intermediate few finals mean anything. */
static void marked(struct vt *t, uint8_t final)
{
	if (t->inter == '!' && final == 'p')
		soft_reset(t);
	else if (t->inter)
		return;
	else if (t->private_mark == '?' && (final == 'h' || final == 'l'))
		set_mode(t, final == 'h');
	else if (t->private_mark == '?' && final == 'J')
		erase_display(t);
	else if (t->private_mark == '?' && final == 'K')
		erase_line(t);
	else if (t->private_mark == '?' && final == 'n')
		report(t);
	else if (t->private_mark == '>' && final == 'c')
		answer(t, "\033[>1;10;0c"); /* a VT220 */
}

static void report_size(struct vt *t)
{
	char text[32];

	fmt_snprintf(text, sizeof(text), "\033[8;%u;%ut", (unsigned)t->rows, (unsigned)t->cols);
	answer(t, text);
}

static void clear_tabs(struct vt *t)
{
	if (vt_param(t, 0, 0) == 0)
		t->tabs[t->cur.col / 32] &= (uint32_t)~BIT(t->cur.col % 32);
	else if (vt_param(t, 0, 0) == 3)
		memset(t->tabs, 0, sizeof(t->tabs));
}

void vt_csi(struct vt *t, uint8_t final)
{
	unsigned n = vt_param(t, 0, 1);

	if (t->private_mark || t->inter) {
		marked(t, final);
		return;
	}
	switch (final) {
	case '@':
		vt_insert_cells(t, n);
		t->cur.wrap = false;
		break;
	case 'A':
		up(t, n);
		break;
	case 'B':
	case 'e':
		down(t, n);
		break;
	case 'C':
	case 'a':
		vt_move(t, t->cur.col + (int)n, t->cur.row, false);
		break;
	case 'D':
		vt_move(t, t->cur.col - (int)n, t->cur.row, false);
		break;
	case 'E':
		down(t, n);
		vt_move(t, 0, t->cur.row, false);
		break;
	case 'F':
		up(t, n);
		vt_move(t, 0, t->cur.row, false);
		break;
	case 'G':
	case '`':
		vt_move(t, (int)n - 1, t->cur.row, false);
		break;
	case 'H':
	case 'f':
		vt_move(t, (int)vt_param(t, 1, 1) - 1, (int)n - 1, true);
		break;
	case 'I':
		tabs(t, n, 1);
		break;
	case 'Z':
		tabs(t, n, -1);
		break;
	case 'J':
		erase_display(t);
		break;
	case 'K':
		erase_line(t);
		break;
	case 'X':
		erase_cells(t);
		break;
	case 'L':
		lines(t, n, true);
		break;
	case 'M':
		lines(t, n, false);
		break;
	case 'P':
		vt_delete_cells(t, n);
		t->cur.wrap = false;
		break;
	case 'S':
		vt_scroll_up(t, t->top, t->bottom, n);
		break;
	case 'T':
		vt_scroll_down(t, t->top, t->bottom, n);
		break;
	case 'b': /* REP */
		/* vt_write_some() puts them: each may scroll, or move a row's rest. */
		t->repeat = t->last_ch ? (uint16_t)min(n, (unsigned)t->cols) : 0;
		break;
	case 'c':
		if (!vt_param(t, 0, 0))
			answer(t, "\033[?62;22c"); /* a VT220 with colours */
		break;
	case 'd':
		vt_move(t, t->cur.col, (int)n - 1, true);
		break;
	case 'g':
		clear_tabs(t);
		break;
	case 'h':
	case 'l':
		set_mode(t, final == 'h');
		break;
	case 'm':
		vt_select_graphics(t);
		break;
	case 'n':
		report(t);
		break;
	case 'r':
		region(t);
		break;
	case 's':
		t->saved = t->cur;
		break;
	case 'u':
		t->cur = t->saved;
		break;
	case 't':
		if (n == 18)
			report_size(t);
		break;
	}
}
