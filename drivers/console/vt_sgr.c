/* SPDX-License-Identifier: MIT */
/* SGR, select graphic rendition (ECMA-48 8.3.117): the pen's colours and attributes. 256 and 24-bit colours become the
 * nearest of 16. */
#include "drivers/console/vt_grid.h"

#include "lib/bits.h"

/* The nearest of the 16 colours: the strongest channels' bits, bright if one is strong. */
static uint8_t nearest(unsigned r, unsigned g, unsigned b)
{
	unsigned most = max(r, max(g, b)), least = min(r, min(g, b));
	unsigned cut = most / 2 + 1;
	uint8_t bits;

	if (most < 48)
		return 0;
	if (most - least < 32) /* grey */
		return most < 96 ? 8 : most < 208 ? 7 : 15;
	bits = (uint8_t)((r >= cut) | (g >= cut) << 1 | (b >= cut) << 2);
	return most > 192 ? bits | 8 : bits;
}

/* xterm's palette of 256: 16 colours, a cube of 6 x 6 x 6, 24 greys. */
static uint8_t from_256(unsigned n)
{
	static const uint8_t level[] = { 0, 95, 135, 175, 215, 255 };

	if (n < 16)
		return (uint8_t)n;
	if (n > 255)
		return 7;
	if (n >= 232)
		return nearest(8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232));
	n -= 16;
	return nearest(level[n / 36], level[n / 6 % 6], level[n % 6]);
}

/* 38 and 48: ;5;n or ;2;r;g;b, with ':' also with an empty colour space (38:2::r:g:b). Returns parameters used. */
static unsigned extended_color(const struct vt *t, unsigned i, uint8_t *out)
{
	bool colon = t->sub_params & BIT(i + 1);
	unsigned end = i + 1, n;

	/* With colons the group says itself where it ends. */
	while (colon && end < t->nparams && t->sub_params & BIT(end))
		end++;
	n = colon ? end - i : t->nparams - i;
	if (n >= 3 && t->param[i + 1] == 5) {
		*out = from_256(t->param[i + 2]);
		return colon ? n : 3;
	}
	if (n >= 5 && t->param[i + 1] == 2) {
		unsigned rgb = colon && n >= 6 ? i + 3 : i + 2;

		*out = nearest(
			min(t->param[rgb], 255u), min(t->param[rgb + 1], 255u), min(t->param[rgb + 2], 255u));
		return colon ? n : 5;
	}
	return colon ? n : t->nparams - i;
}

void vt_select_graphics(struct vt *t)
{
	struct vt_cell *pen = &t->cur.pen;
	uint8_t color;

	for (unsigned i = 0; i < max(t->nparams, 1u);) {
		unsigned p = vt_param(t, i, 0), used = 1;
		uint8_t fg = pen->color & 0x0f, bg = pen->color >> 4;

		if (p == 0) {
			fg = 7;
			bg = 0;
			pen->attr = 0;
		} else if (p == 1) {
			pen->attr |= VT_BOLD;
		} else if (p == 2 || p == 21 || p == 22) {
			pen->attr &= (uint8_t)~VT_BOLD;
		} else if (p == 4) {
			pen->attr |= VT_UNDERLINE;
			if (i + 1 < t->nparams && t->sub_params & BIT(i + 1)) { /* 4:0 none, 4:3 curly ... */
				if (!t->param[i + 1])
					pen->attr &= (uint8_t)~VT_UNDERLINE;
				used = 2;
			}
		} else if (p == 24) {
			pen->attr &= (uint8_t)~VT_UNDERLINE;
		} else if (p == 7) {
			pen->attr |= VT_REVERSE;
		} else if (p == 27) {
			pen->attr &= (uint8_t)~VT_REVERSE;
		} else if (p == 8) {
			pen->attr |= VT_CONCEAL;
		} else if (p == 28) {
			pen->attr &= (uint8_t)~VT_CONCEAL;
		} else if (p >= 30 && p <= 37) {
			fg = (uint8_t)(p - 30);
		} else if (p >= 40 && p <= 47) {
			bg = (uint8_t)(p - 40);
		} else if (p == 38) {
			color = fg;
			used = extended_color(t, i, &color);
			fg = color;
		} else if (p == 48) {
			color = bg;
			used = extended_color(t, i, &color);
			bg = color;
		} else if (p == 39) {
			fg = 7;
		} else if (p == 49) {
			bg = 0;
		} else if (p >= 90 && p <= 97) {
			fg = (uint8_t)(p - 90 + 8);
		} else if (p >= 100 && p <= 107) {
			bg = (uint8_t)(p - 100 + 8);
		}
		pen->color = (uint8_t)(fg | bg << 4);
		i += used;
	}
}
