/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard: scancodes of set 1 (as the i8042 translates them) to the bytes that a terminal with a US
 * keyboard would send. The decoder (drivers/console/kbd_decode.c) is pure and knows no port; the rest is the hardware.
 */
#pragma once

#include "lib/types.h"

#define KBD_IRQ	      1 /* ISA */
#define KBD_BYTES_MAX 8 /* most bytes that one key sends */

struct kbd_decoder {
	bool shift_l, shift_r, ctrl_l, ctrl_r, alt_l, alt_r; /* held */
	bool caps, num, scroll;				     /* locks: a press toggles */
	uint8_t lock_held; /* scancode of the lock key that is down, so that auto-repeat does not toggle; or 0 */
	uint8_t prefix;	   /* 0, 0xe0 or 0xe1 */
	uint8_t skip;	   /* bytes of the Pause key's sequence still to be ignored */
	bool app_cursor; /* DECCKM: arrows send ESC O x, not ESC [ x (the screen's terminal tells) */
};

void kbd_decoder_init(struct kbd_decoder *d);
/* One scancode in; writes 0 to KBD_BYTES_MAX bytes and returns how many. */
unsigned kbd_decode(struct kbd_decoder *d, uint8_t scancode, uint8_t out[KBD_BYTES_MAX]);
/* The parameter of the keyboard's LED command: bit 0 scroll, 1 num, 2 caps. */
uint8_t kbd_leds(const struct kbd_decoder *d);

/* Brings controller and keyboard up: self-test, translation on, scanning on, second port off. 0; -E_NOENT: no
 * controller answers; -E_TIMEOUT or -E_IO: it does, but the keyboard does not. Every wait is bounded (some tenths of
 * a second in all, if nothing answers). */
int kbd_init(void);
/* Lets the controller raise IRQ 1 (or not). */
void kbd_interrupts(bool on);
/* Takes what the controller holds now and returns the next byte that a key sends, or -1. Never waits. Lock: the
 * caller's (console). */
int kbd_poll(void);
void kbd_app_cursor(bool on);
