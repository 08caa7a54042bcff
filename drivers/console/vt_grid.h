/* SPDX-License-Identifier: MIT */
/* The grid of drivers/console/vt.h: what moves and clears cells. Used by the terminal's own files only. */
#pragma once

#include "drivers/console/vt.h"

/* Marks rows [first, first + n) dirty. */
void vt_touch(struct vt *t, unsigned first, unsigned n);
/* Every cell of a row becomes this one. */
void vt_fill(struct vt *t, unsigned row, struct vt_cell cell);
/* Clears columns [from, to) of a row with the pen's background. */
void vt_clear(struct vt *t, unsigned row, unsigned from, unsigned to);
/* Rows top..bottom (both included) up or down by n; what comes free is cleared. */
void vt_scroll_up(struct vt *t, unsigned top, unsigned bottom, unsigned n);
void vt_scroll_down(struct vt *t, unsigned top, unsigned bottom, unsigned n);
/* n cells at the cursor put in or taken out; the rest of the row moves. */
void vt_insert_cells(struct vt *t, unsigned n);
void vt_delete_cells(struct vt *t, unsigned n);
/* One line on, scrolling at the bottom of the region; and back. */
void vt_line_feed(struct vt *t);
void vt_reverse_feed(struct vt *t);
/* Puts a character (as font_cells says: a mark is dropped, a wide one takes two cells) at the cursor. */
void vt_put(struct vt *t, uint32_t ch);
/* Absolute, clamped to the screen, or to the region if origin mode is on and `relative`. */
void vt_move(struct vt *t, int col, int row, bool relative);

/* To the next tab stop, or back to the one before; at most to the edge. */
void vt_tab(struct vt *t, int step);

/* Parameter n of the control sequence; 0 and absent mean `otherwise`. */
static inline unsigned vt_param(const struct vt *t, unsigned n, unsigned otherwise)
{
	return n < t->nparams && t->param[n] ? t->param[n] : otherwise;
}
/* CSI ... final (drivers/console/vt_csi.c), and of those SGR (drivers/console/vt_sgr.c). */
void vt_csi(struct vt *t, uint8_t final);
void vt_select_graphics(struct vt *t);
