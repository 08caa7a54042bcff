/* SPDX-License-Identifier: MIT */
/* Lines and blocks: the characters that must meet their neighbours. Used by drivers/console/font.c. */
#pragma once

#include "drivers/console/font.h"

/* Draws U+2500-259F, U+23BA-23BD. False: not one of them. */
bool font_box(uint16_t ch, uint8_t rows[FONT_HEIGHT]);
