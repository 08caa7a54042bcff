/* SPDX-License-Identifier: MIT */
/*
 * A PS/2 keyboard (IBM PS/2 Hardware Interface TR, keyboard section): commands, and scan codes of set 2 or 1 for
 * bytes typed on the console. A byte becomes the press and release of a key with its modifiers; ANSI sequences
 * of terminals become the cursor and function keys.
 */
#pragma once

#include "guest/dev/timer.h"

#define VKBD_QUEUE     128
#define VKBD_KEY_BYTES 16 /* most bytes that one typed character becomes */

struct device;

struct vkbd {
	struct device *kbc; /* that it is plugged into */
	uint8_t queue[VKBD_QUEUE];
	unsigned head, count;
	uint8_t set;	 /* scan code set: 1 or 2 */
	uint8_t command; /* waits for its parameter; 0: none */
	uint8_t last;	 /* sent last, for RESEND */
	bool scanning;
	uint8_t escape[8]; /* an ANSI sequence so far */
	unsigned escapes;
	struct vtimer timer; /* ESC alone is the key */
};

void vkbd_attach(struct vkbd *k, struct device *kbc);
void vkbd_reset(struct vkbd *k);
void vkbd_command(struct vkbd *k, uint8_t byte); /* from the controller */
bool vkbd_room(const struct vkbd *k);
void vkbd_type(struct vkbd *k, uint8_t byte); /* a byte of the console; needs room */
bool vkbd_pop(struct vkbd *k, uint8_t *byte);
