/* SPDX-License-Identifier: MIT */
/*
 * A terminal without a screen: bytes in, a grid of cells out. Understands what the programs of a Linux console
 * send (ECMA-48 control functions, the DEC private modes that matter). Pure; drivers/console/fbcon.c paints the grid.
 */
#pragma once

#include "lib/types.h"

#define VT_COLS_MAX   512
#define VT_ROWS_MAX   256
#define VT_PARAMS_MAX 16

/* A cell: what is shown at one place. Compared as 32 bits. */
struct vt_cell {
	uint16_t ch; /* UCS-2; what lies beyond became U+FFFD */
	uint8_t color; /* bits 3:0 foreground, 7:4 background: 0-7 normal, 8-15 bright; red is 1, blue is 4 (ANSI) */
	uint8_t attr; /* VT_* */
};
_Static_assert(sizeof(struct vt_cell) == 4, "fbcon compares cells as words");

#define VT_UNDERLINE 0x01
#define VT_REVERSE   0x02
#define VT_CONCEAL   0x04
#define VT_BOLD	     0x08

struct vt_cursor {
	uint16_t col, row;
	bool wrap; /* the last column was written: the next character goes to the next line */
	struct vt_cell pen;
	bool graphics[2]; /* G0, G1 are DEC line drawing */
	uint8_t gl;	  /* which of them is in use */
	bool origin;
};

struct vt {
	struct vt_cell *cells; /* rows x cols, the caller's memory; which row lies where: vt_row() */
	uint8_t *dirty;	       /* per row: something in it may have changed since the painter cleared it */
	uint16_t line[VT_ROWS_MAX]; /* row r is line[r] of cells: a scroll moves numbers, not cells */
	/* All cells of line[] n are fill[n], and are not written yet (whole[n]): clearing a screen costs a row a store. */
	struct vt_cell fill[VT_ROWS_MAX];
	bool whole[VT_ROWS_MAX];
	uint16_t cols, rows;
	uint16_t top, bottom; /* scroll region, both included */
	struct vt_cursor cur, saved;
	bool autowrap, insert, newline_mode, cursor_on, app_cursor, reverse_screen;
	uint32_t tabs[VT_COLS_MAX / 32];

	uint8_t state; /* enum vt_state in vt.c */
	uint8_t private_mark,
		inter; /* '?' '>' '=' '<' behind CSI; the last intermediate (0x20-0x2f); 0 if none */
	uint8_t nparams;
	uint16_t param[VT_PARAMS_MAX];
	uint32_t sub_params;	     /* bit n: param n was set off by ':' from the one before */
	uint32_t utf8;		     /* code point so far */
	uint8_t utf8_left, utf8_len; /* bytes still to come, bytes in all */
	uint16_t last_ch;	     /* for REP */
	uint16_t repeat;	     /* so many characters of a REP are still to come */
	unsigned work;		     /* since vt_write_some() began: cells and rows touched, bytes read */

	/* What the terminal answers (reports); may be NULL. Called inside vt_write. */
	void (*reply)(void *ctx, const char *text, size_t n);
	void *ctx;
};

/* Returns the cells of a row. */
struct vt_cell *vt_row(struct vt *t, unsigned row);

/* cells: cols * rows of them; dirty: rows bytes. cols and rows are 1..VT_*_MAX. Clears the screen. */
void vt_init(struct vt *t, uint16_t cols, uint16_t rows, struct vt_cell *cells, uint8_t *dirty);
void vt_write(struct vt *t, const char *text, size_t n);
/* The same as a bounded piece of work: takes bytes until the work reaches `budget` (bytes, cells and rows; at least 1), and
 * returns how many it took. With none left, vt_busy() says whether the last one asks for more: call again with n = 0. */
size_t vt_write_some(struct vt *t, const char *text, size_t n, unsigned budget);
/* The most by which the work of one call exceeds its budget: what the costliest byte takes. */
#define VT_OVERSHOOT(cols, rows) (8u * (cols) + 8u * (rows) + 64u)
static inline bool vt_busy(const struct vt *t)
{
	return t->repeat;
}
