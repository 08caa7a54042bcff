/* SPDX-License-Identifier: MIT */
/*
 * The output of a VM in the background as lines of text: nothing in them moves a cursor, changes a colour or a title, or makes
 * a terminal answer. Pure; no locks: the VM's platform serialises its output.
 *
 *	printable ASCII, valid UTF-8	as it is
 *	TAB				spaces up to the next column that is a multiple of 8
 *	LF, CR LF			ends the line; a CR at the beginning of a line is dropped (LF CR)
 *	other bytes below 20h, 7Fh	^@ to ^_, ^? (ESC is ^[, a CR within a line is ^M)
 *	bytes that are not UTF-8	\x80 to \xff
 *	C1 controls in UTF-8		their bytes, in the same way: terminals act on them. So are U+2028 to U+202E and
 *					U+2066 to U+2069, which end a line or turn its direction round
 */
#pragma once

#include "lib/types.h"

#define BACKGROUND_LINE 256 /* bytes; a longer line goes on in the next one */

struct background {
	char line[BACKGROUND_LINE];
	unsigned used;
	unsigned column;    /* in the guest's line, for TAB */
	bool cr;	    /* a CR has come, and not yet what follows it */
	uint8_t part[4];    /* a character of UTF-8 of which bytes are still to come ... */
	uint8_t have, want; /* ... how many are there, how many it has; 0, 0: none is begun */
};

/* Is called with each line as it ends, without its end; n may be 0. */
typedef void background_emit(void *ctx, const char *line, size_t n);

/* Takes output in any pieces. Stops behind a byte that ends a line, or when it has done enough, so that the work is bounded;
 * returns how many bytes it took. */
size_t background_feed(struct background *b, const char *text, size_t n, background_emit *emit, void *ctx);
/* Ends the line if one is begun: the VM ends, or comes to the front. */
void background_end(struct background *b, background_emit *emit, void *ctx);
