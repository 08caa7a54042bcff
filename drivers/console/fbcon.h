/* SPDX-License-Identifier: MIT */
/*
 * The screen: a terminal (drivers/console/vt.h) painted into the linear framebuffer that UEFI left. The framebuffer is
 * never read; only cells that differ from what is shown are painted. Locks: none; drivers/console/console.c serialises.
 */
#pragma once

#include "drivers/console/vt.h"
#include "lib/boot_info.h"

struct fbcon {
	struct vt vt;
	uint8_t *pixels;		/* NULL: no screen */
	uint32_t width, height, stride; /* pixels */
	uint32_t left, top;		/* margins, pixels */
	uint32_t scale;			/* pixels a font pixel */
	uint32_t palette[16];
	struct vt_cell *shown;		 /* what each place of the screen shows now */
	uint16_t cursor_col, cursor_row; /* where the cursor is painted, if it is */
	bool cursor_shown;
	uint8_t *reversed;	     /* per row: painted for a reversed screen */
	uint16_t next_row, next_col; /* where fbcon_paint() goes on; next_col is not 0 within a row */
};

/* How many columns and rows a screen of this size gets, and with which scale. False: too small for a console. */
bool fbcon_geometry(uint32_t width, uint32_t height, uint32_t *scale, uint16_t *cols, uint16_t *rows);
/* Bytes that fbcon_init needs for its grids. */
size_t fbcon_memory(uint16_t cols, uint16_t rows);
/* `pixels`: where fb is mapped; `memory`: fbcon_memory() bytes, zeroed or not. Clears the screen.
 * 0, -E_NOENT (no framebuffer) or -E_INVAL (its numbers contradict one another, or it is too small). */
int fbcon_init(struct fbcon *c, const struct framebuffer *fb, void *pixels, void *memory);
/* Feeds the terminal; nothing is painted yet. */
void fbcon_write(struct fbcon *c, const char *text, size_t n);
/* The same as a bounded piece of work: vt_write_some(). */
size_t fbcon_write_some(struct fbcon *c, const char *text, size_t n, unsigned budget);
/* The same in this colour (as vt_cell.color) without attributes; the pen of what is written next is as it was. */
size_t fbcon_write_colored_some(struct fbcon *c, uint8_t color, const char *text, size_t n, unsigned budget);
/* A bounded piece of painting: what changed of one row, at most FBCON_PIECE_PIXELS of it and at least a cell; or, if no row
 * is left, the cursor. False: all is painted. Adds to *painted how many cells it painted. */
#define FBCON_PIECE_PIXELS 256u
bool fbcon_paint(struct fbcon *c, unsigned *painted);
/* Paints all that changed. Returns the number of cells. */
unsigned fbcon_flush(struct fbcon *c);
