/* SPDX-License-Identifier: MIT */
/*
 * What waits for the screen: a ring of bytes, each with a tag that says whose it is. They reach the terminal, and what the
 * terminal shows reaches the screen, in bounded pieces and in their order:
 *
 *	draw_put() --> ring --draw_feed()--> terminal grid --fbcon_paint()--> framebuffer
 *
 * Reads no clock. Locks: none; drivers/console/console.c serialises, and says how many pieces are done in one go.
 */
#pragma once

#include "drivers/console/fbcon.h"

#define DRAW_BYTES	 16384 /* power of two */
/* With more than this, there is no room for a guest's output (console_room). */
#define DRAW_GUEST_BYTES (DRAW_BYTES / 4)
/* A piece: bytes of text, or what takes as long. */
#define DRAW_PIECE	 8

/* Tags: a VM's number (below DRAW_NO_VM): raw output of that VM, which gets what the terminal answers to it. */
#define DRAW_NO_VM	  0x7fu /* raw, and no VM gets an answer */
/* In this colour (0 to 15), whatever the pen of the raw output. */
#define DRAW_COLOR(color) ((uint8_t)(0x80u | (color)))

struct console_draw {
	struct fbcon screen;
	uint8_t asker;	     /* tag of what the terminal is given now; DRAW_NO_VM at other times */
	uint32_t head, tail; /* free running: head is written to, tail taken from */
	uint8_t text[DRAW_BYTES], tag[DRAW_BYTES];
};

/* Appends n bytes; nothing if there is no screen. With a full ring, what has waited longest is fed first: nothing is lost. */
void draw_put(struct console_draw *d, uint8_t tag, const char *text, size_t n);
/* Gives the terminal one piece of what waits. */
void draw_feed(struct console_draw *d);
/* Does anything wait for the terminal? */
bool draw_waits(const struct console_draw *d);
/* Do at most DRAW_GUEST_BYTES wait? Any CPU, without the lock. */
bool draw_room(const struct console_draw *d);
/* Feeds and paints all that waits. */
void draw_flush(struct console_draw *d);
