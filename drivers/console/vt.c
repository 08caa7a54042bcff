/* SPDX-License-Identifier: MIT */
/*
 * The terminal's parser: bytes to characters and control functions.
 *
 *	         ESC                [                 0x40-0x7e
 *	GROUND -------> ESCAPE -------> CSI (parameters) -------> vt_csi, GROUND
 *	  |                |  ] P X ^ _
 *	  |                +-----------> STRING (ignored) -- BEL or ESC \ --> GROUND
 *	  |                |  ( ) * + # % space
 *	  |                +-----------> ESCAPE_INTER -- final --> GROUND
 *	  +-- UTF-8 (vt_put)
 *
 * C0 controls act in the middle of sequences too; CAN and SUB end one; ESC begins a new one.
 */
#include "drivers/console/vt.h"

#include "drivers/console/vt_grid.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "lib/utf8.h"

enum vt_state { GROUND, ESCAPE, ESCAPE_INTER, CSI, CSI_IGNORE, STRING };

enum { BEL = 7, BS, HT, LF, VT, FF, CR, SO, SI, CAN = 0x18, SUB = 0x1a, ESC };

#define PARAM_MAX 9999 /* larger than any screen, smaller than any overflow */

/* As RIS: everything back to the start, screen cleared. */
static void vt_reset(struct vt *t)
{
	t->cur = t->saved = (struct vt_cursor){ .pen = { .ch = ' ', .color = 7 } };
	t->top = 0;
	t->bottom = (uint16_t)(t->rows - 1);
	t->autowrap = t->cursor_on = true;
	t->insert = t->newline_mode = t->app_cursor = t->reverse_screen = false;
	t->state = GROUND;
	t->utf8_left = 0;
	t->last_ch = t->repeat = 0;
	memset(t->tabs, 0, sizeof(t->tabs));
	for (unsigned c = 8; c < t->cols; c += 8)
		t->tabs[c / 32] |= (uint32_t)BIT(c % 32);
	for (unsigned r = 0; r < t->rows; r++)
		vt_clear(t, r, 0, t->cols);
}

void vt_init(struct vt *t, uint16_t cols, uint16_t rows, struct vt_cell *cells, uint8_t *dirty)
{
	*t = (struct vt){ .cells = cells, .dirty = dirty, .cols = cols, .rows = rows };
	for (unsigned r = 0; r < rows; r++)
		t->line[r] = (uint16_t)r;
	vt_reset(t);
}

/* DEC special graphics: 0x60 to 0x7e as lines. */
static const uint16_t line_drawing[] = {
	0x25c6,
	0x2592,
	0x2409,
	0x240c,
	0x240d,
	0x240a,
	0x00b0,
	0x00b1,
	0x2424,
	0x240b,
	0x2518,
	0x2510,
	0x250c,
	0x2514,
	0x253c,
	0x23ba,
	0x23bb,
	0x2500,
	0x23bc,
	0x23bd,
	0x251c,
	0x2524,
	0x2534,
	0x252c,
	0x2502,
	0x2264,
	0x2265,
	0x03c0,
	0x2260,
	0x00a3,
	0x00b7,
};

static void print(struct vt *t, uint32_t ch)
{
	if (ch >= 0x60 && ch <= 0x7e && t->cur.graphics[t->cur.gl])
		ch = line_drawing[ch - 0x60];
	vt_put(t, ch);
}

static void control(struct vt *t, uint8_t c)
{
	switch (c) {
	case BS:
		vt_move(t, t->cur.col - 1, t->cur.row, false);
		break;
	case HT:
		vt_tab(t, 1);
		break;
	case LF:
	case VT:
	case FF:
		vt_line_feed(t);
		if (t->newline_mode)
			t->cur.col = 0;
		break;
	case CR:
		vt_move(t, 0, t->cur.row, false);
		break;
	case SO:
	case SI:
		t->cur.gl = c == SO;
		break;
	}
}

static void escape(struct vt *t, uint8_t c)
{
	t->state = GROUND;
	switch (c) {
	case '[':
		t->state = CSI;
		t->private_mark = t->inter = 0;
		t->nparams = 0;
		t->sub_params = 0;
		memset(t->param, 0, sizeof(t->param));
		break;
	case ']': /* OSC: titles and palettes */
	case 'P': /* DCS */
	case 'X':
	case '^':
	case '_':
		t->state = STRING;
		break;
	case '7':
		t->saved = t->cur;
		break;
	case '8':
		t->cur = t->saved;
		break;
	case 'D':
		vt_line_feed(t);
		break;
	case 'E':
		vt_move(t, 0, t->cur.row, false);
		vt_line_feed(t);
		break;
	case 'H':
		t->tabs[t->cur.col / 32] |= (uint32_t)BIT(t->cur.col % 32);
		break;
	case 'M':
		vt_reverse_feed(t);
		break;
	case 'Z':
		t->nparams = 0;
		t->private_mark = t->inter = 0;
		vt_csi(t, 'c');
		break;
	case 'c':
		vt_reset(t);
		break;
	default:
		if (c >= 0x20 && c <= 0x2f) {
			t->inter = c;
			t->state = ESCAPE_INTER;
		}
	}
}

static void escape_inter(struct vt *t, uint8_t c)
{
	if (c >= 0x20 && c <= 0x2f) {
		t->inter = c;
		return;
	}
	t->state = GROUND;
	if (t->inter == '(' || t->inter == ')') {
		t->cur.graphics[t->inter == ')'] = c == '0';
	} else if (t->inter == '#' && c == '8') { /* DECALN: the screen full of E */
		for (unsigned r = 0; r < t->rows; r++)
			vt_fill(t, r, (struct vt_cell){ .ch = 'E', .color = 7 });
		vt_move(t, 0, 0, false);
	}
}

static void csi(struct vt *t, uint8_t c)
{
	if (c >= '0' && c <= '9') {
		unsigned v;

		if (!t->nparams)
			t->nparams = 1;
		v = t->param[t->nparams - 1] * 10u + (c - '0');
		t->param[t->nparams - 1] = (uint16_t)min(v, (unsigned)PARAM_MAX);
	} else if (c == ';' || c == ':') {
		if (!t->nparams)
			t->nparams = 1;
		if (t->nparams == VT_PARAMS_MAX) {
			t->state = CSI_IGNORE; /* none of them would be right */
			return;
		}
		if (c == ':')
			t->sub_params |= (uint32_t)BIT(t->nparams);
		t->nparams++;
	} else if (c >= '<' && c <= '?') {
		t->private_mark = c;
	} else if (c >= 0x20 && c <= 0x2f) {
		t->inter = c;
	} else if (c >= 0x40 && c <= 0x7e) {
		t->state = GROUND;
		vt_csi(t, c);
	}
}

/* UTF-8 (RFC 3629): wrong bytes become U+FFFD; overlong forms and surrogates are wrong. */
static void text(struct vt *t, uint8_t c)
{
	if (t->utf8_left) {
		if ((c & 0xc0) == 0x80) {
			t->utf8 = t->utf8 << 6 | (c & 0x3f);
			if (--t->utf8_left)
				return;
			if (!utf8_may_be(t->utf8, t->utf8_len))
				t->utf8 = 0xfffd;
			if (t->utf8 >= 0xa0) /* C1 controls in UTF-8 are dropped */
				print(t, t->utf8);
			return;
		}
		t->utf8_left = 0;
		print(t, 0xfffd);
	}
	if (c < 0x80) {
		print(t, c);
		return;
	}
	t->utf8_len = (uint8_t)utf8_length(c);
	if (!t->utf8_len) {
		print(t, 0xfffd);
		return;
	}
	t->utf8 = c & (0x7f >> t->utf8_len);
	t->utf8_left = (uint8_t)(t->utf8_len - 1);
}

static void byte(struct vt *t, uint8_t c)
{
	if (c < 0x20 || c == 0x7f) {
		/* A character cut short by a control. */
		if (t->utf8_left) {
			t->utf8_left = 0;
			print(t, 0xfffd);
		}
		if (c == ESC)
			t->state = ESCAPE;
		else if (c == CAN || c == SUB || (c == BEL && t->state == STRING))
			t->state = GROUND;
		else if (t->state != STRING && c != 0x7f)
			control(t, c);
		return;
	}
	switch ((enum vt_state)t->state) {
	case GROUND:
		text(t, c);
		break;
	case ESCAPE:
		escape(t, c);
		break;
	case ESCAPE_INTER:
		escape_inter(t, c);
		break;
	case CSI:
		csi(t, c);
		break;
	case CSI_IGNORE:
		if (c >= 0x40 && c <= 0x7e)
			t->state = GROUND;
		break;
	case STRING:
		break;
	}
}

size_t vt_write_some(struct vt *t, const char *text_in, size_t n, unsigned budget)
{
	size_t done = 0;

	t->work = 0;
	while (t->work < budget && (t->repeat || done < n)) {
		t->work++;
		if (t->repeat) {
			t->repeat--;
			vt_put(t, t->last_ch);
		} else {
			byte(t, (uint8_t)text_in[done++]);
		}
	}
	return done;
}

void vt_write(struct vt *t, const char *text_in, size_t n)
{
	do {
		size_t done = vt_write_some(t, text_in, n, UINT32_MAX);

		text_in += done;
		n -= done;
	} while (n || vt_busy(t));
}
