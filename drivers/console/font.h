/* SPDX-License-Identifier: MIT */
/* The screen's font: 8 x 16 pixels a glyph, drawn for Lethe. */
#pragma once

#include "lib/types.h"

#define FONT_WIDTH  8
#define FONT_HEIGHT 16

/*
 * Draws a character into 16 rows, top first, bit 7 leftmost. Looks in this order: a glyph of its own (font.txt), box
 * drawing and blocks, an accented letter, a similar character, the replacement character. Returns false only in the
 * last case.
 */
bool font_glyph(uint16_t ch, uint8_t rows[FONT_HEIGHT]);
/* How many cells a character takes: 0 (combining marks and the like), 1 or 2 (East Asian wide, emoji). */
unsigned font_cells(uint32_t ch);
