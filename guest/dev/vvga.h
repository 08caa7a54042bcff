/* SPDX-License-Identifier: MIT */
/*
 * VGA in text mode 3 (80 x 25): the registers that kernels probe and use, and text memory as a RAM slot so that
 * writing to the screen costs no exit. Twenty times a second the visible cells are compared with what the console
 * shows, and the difference goes there as ANSI text. Nothing is shown before the guest has written a visible
 * character: a guest that talks by serial line is not disturbed.
 */
#pragma once

#include "guest/dev/device.h"
#include "mm/map/slots.h"

#define VVGA_COLUMNS 80
#define VVGA_ROWS    25
#define VVGA_CELLS   (VVGA_COLUMNS * VVGA_ROWS)
#define VVGA_BYTES   (32 * KiB)

/* What the console shows, and the text that brings it up to date. (vvga_screen.c) */
struct vvga_screen {
	/* Low byte character (CP437), high byte attribute. Until something is shown: blanks. */
	uint16_t cell[VVGA_CELLS];
	unsigned cursor;	      /* cell, or VVGA_CELLS: hidden */
	unsigned next;		      /* where the last update was cut, if there is more */
	bool more, shown, moved, pen; /* pen: `attribute` is what the console draws with */
	uint8_t attribute;
};
/* All cells become blanks, as on a screen that was cleared. */
void vvga_screen_clear(struct vvga_screen *s);
/*
 * Writes into out (of size n, at least 512) the ANSI text that turns what is shown into `cells` with the cursor at
 * `cursor` (VVGA_CELLS or more: hidden), as far as it fits into out and into a bounded piece of work; the rest comes with the
 * next call, if s->more. Returns its length.
 */
size_t vvga_screen_update(struct vvga_screen *s, const uint16_t *cells, unsigned cursor, char *out, size_t n);

struct vvga {
	struct device dev;
	struct bus_range low, high;
	struct backing *backing; /* text memory; NULL: the guest has no memory */
	slot_id slot;
	uint8_t misc, feature;
	uint8_t seq_index, seq[8];
	uint8_t crtc_index, crtc[32];
	uint8_t gfx_index, gfx[16];
	uint8_t attr_index, attr[32];
	bool attr_data; /* the next write of 0x3c0 is data */
	uint8_t dac_mask, dac_read, dac_write, dac_part, dac_state;
	uint8_t dac[768];
	struct vvga_screen screen;
	bool finished;	/* the VM has ended: nothing more is drawn */
	bool ending;	/* what is left is drawn, whether the console has room or not */
	unsigned quiet; /* refreshes in a row that found nothing new */
	struct vtimer timer;
	uint16_t now[VVGA_CELLS];
};

/* All with the console's lock held. */
/* A key was typed: while nothing has changed for long, the screen is refreshed sooner, so that the echo appears at once. */
void vvga_hurry(struct vvga *v);
/* The VM has ended and its vCPUs have stopped: shows a refresh of what is left to show, and at last puts the console's cursor
 * below it. True: all is shown; else to be called again. */
bool vvga_finish(struct vvga *v);
