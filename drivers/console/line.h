/* SPDX-License-Identifier: MIT */
/*
 * Where the line of a console stands: a guest's output comes in pieces, and a line of the log that comes between two of
 * them must begin on a line of its own. Pure; no locks: drivers/console/console.c serialises.
 */
#pragma once

#include "lib/types.h"

struct console_line {
	bool begun;    /* something stands in the line */
	uint8_t state; /* enum in line.c: within an escape sequence? */
};

/* Takes what the guest has written, in any pieces. */
void console_line_feed(struct console_line *l, const char *text, size_t n);
/* Returns what ends a begun line, and a begun escape sequence before it: "" if there is none, "\r\n", or either behind
 * a CAN, which ends a sequence (ECMA-48). The line is then a fresh one. */
const char *console_line_end(struct console_line *l);
