/* SPDX-License-Identifier: MIT */
/* The font: 8 x 16 pixels a glyph, drawn for Lethe. */
#pragma once

#include "lib/types.h"

#define FONT_WIDTH  8
#define FONT_HEIGHT 16

/* The 16 rows of a character, top first, bit 7 leftmost. Characters that have no glyph of their own get a similar
 * one, else the replacement box. Never NULL. */
const uint8_t *font_glyph(uint16_t ch);
