/* SPDX-License-Identifier: MIT */
/*
 * The VM's console: one stream of text out, one of bytes in.
 *
 *	vuart ----bytes---+                         +--> vuart     if the guest can get it there
 *	vvga --ANSI text--+--> ops->console_write   |
 *	                       ops->console_read ---+--> vkbd      else, if the keyboard is enabled
 *
 * Output is gathered up to a line, 256 bytes or 2 ms, so that a guest which prints byte by byte does not cost a call
 * for each. It goes out in the pieces that ops->console_write takes, one at a time: what a guest prints may grow much when it
 * is shown. The machine's console is slow (a serial line), and no CPU waits for it: while it has no room (ops->console_room)
 * what was gathered stays here, and the UART tells the guest that it is not ready. A guest that sends all the same loses what
 * it sends, as on a real line.
 */
#pragma once

#include "guest/dev/timer.h"
#include "lib/spinlock.h"

/* A device at the guest's end of the console, which may be given typed bytes. All are called with the console's lock held. */
struct console_end {
	void *dev;
	bool (*listens)(const void *dev); /* can the guest get a byte there? */
	bool (*room)(const void *dev);	  /* can the device take one now? */
	void (*receive)(void *dev, uint8_t byte);
	void (*may_send)(void *dev); /* the console has room again; NULL: it does not wait for that */
};

#define CONSOLE_ENDS	      2
#define CONSOLE_BYTES	      1024 /* power of two */
#define CONSOLE_LINE	      256
/* With at most so many bytes gathered, there is room for a transmitter's FIFO, or for a refresh of the screen. */
#define CONSOLE_GATHERED_MOST 240

struct console {
	struct spinlock lock; /* also of the devices that use the console (LOCK_CONSOLE) */
	const struct vclock *clock;
	unsigned poll_ms;		      /* 0: vconsole_pump() is called when something was typed */
	struct console_end end[CONSOLE_ENDS]; /* the first that listens gets what is typed */
	unsigned ends;
	unsigned head, tail; /* free running: gathered at head, handed on from tail */
	char out[CONSOLE_BYTES];
	struct vtimer flush, poll;
};

void vconsole_init(
	struct console *c, const struct vclock *clock, struct timer_queue *timers, unsigned poll_ms);
/* Adds an end, which comes after those that are there. */
void vconsole_connect(struct console *c, struct console_end end);
/* The rest with the lock held. */
void vconsole_reset(struct console *c);
void vconsole_put(struct console *c, char byte);
/* n: what there is room for. */
void vconsole_write(struct console *c, const char *text, size_t n);
/* A piece of what was gathered goes out, even if the console has no room (it keeps some in reserve). True: nothing is left. */
bool vconsole_flush(struct console *c);
/* True if it can take a transmitter's FIFO of bytes, or a refresh of the screen, now. Hands on a piece of what was gathered,
 * if that is what fills it. */
bool vconsole_has_room(struct console *c);
/* The same question, and nothing is handed on. */
bool vconsole_is_full(const struct console *c);
/* Moves typed bytes to the device that listens, as far as it has room. */
void vconsole_pump(struct console *c);
