/* SPDX-License-Identifier: MIT */
/*
 * The VM's console: one stream of text out, one of bytes in.
 *
 *	vuart ----bytes---+                         +--> vuart     if the guest can get it there
 *	vvga --ANSI text--+--> ops->console_write   |
 *	                       ops->console_read ---+--> vkbd      else, if the keyboard is enabled
 *
 * Output is gathered up to a line, 256 bytes or 2 ms, so that a guest which prints byte by byte does not cost a call
 * for each. The machine's console is slow (a serial line), and no CPU waits for it: while it has no room (ops->console_room)
 * what was gathered stays here, and the UART tells the guest that it is not ready. A guest that sends all the same loses what
 * it sends, as on a real line.
 */
#pragma once

#include "guest/dev/timer.h"

struct platform;

struct console {
	struct platform *p;
	unsigned n;
	char out[256];
	struct vtimer flush, poll;
};

void vconsole_init(struct console *c, struct platform *p);
void vconsole_reset(struct console *c);
void vconsole_put(struct console *c, char byte);
void vconsole_write(
	struct console *c, const char *text, size_t n); /* in one piece, after what was gathered */
/* Everything that was gathered goes out, even if the console has no room (it keeps some in reserve). */
void vconsole_flush(struct console *c);
/* May a transmitter's FIFO of bytes, or a refresh of the screen, be given to it now? Hands on what was gathered, if that is
 * what fills it. */
bool vconsole_has_room(struct console *c);
/* Moves typed bytes to the device that listens, as far as it has room. */
void vconsole_pump(struct console *c);
