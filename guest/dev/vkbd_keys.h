/* SPDX-License-Identifier: MIT */
/* What is typed on a terminal, as keys of a US keyboard. Keys are named by their code of set 1; 0xe0xx: extended. */
#pragma once

#include "lib/types.h"

#define KEY_CTRL  0x1d
#define KEY_SHIFT 0x2a

struct vkbd_key {
	uint16_t code; /* 0: there is no such key */
	bool shift, ctrl;
};

struct vkbd_key vkbd_key_of(uint8_t byte);

/* Tells if a terminal's escape sequence so far (n bytes, from ESC on) is a key, none, or needs more bytes. */
enum vkbd_sequence { SEQUENCE_MORE, SEQUENCE_KEY, SEQUENCE_NONE };
enum vkbd_sequence vkbd_sequence(const uint8_t *bytes, unsigned n, struct vkbd_key *key);

/* The i8042's translation of a byte from set 2 to set 1, and the way back for codes of keys. */
uint8_t vkbd_set1(uint8_t code);
uint8_t vkbd_set2(uint8_t code);
