/* SPDX-License-Identifier: MIT */
/* Between Lethe's text (UTF-8) and the firmware's (UCS-2: UTF-16 without surrogates). */
#pragma once

#include "lib/types.h"

/* Writes at most count units, the last of them 0. False: it does not fit, is no UTF-8, or is beyond U+FFFF. */
bool text_to_ucs2(uint16_t *to, size_t count, const char *from);
/* from: n units, or up to a 0. False: it does not fit size bytes with the NUL, or holds a surrogate. */
bool text_from_ucs2(char *to, size_t size, const uint16_t *from, size_t n);
/* How much of text to put on a line of `columns` cells: up to a blank if it has more, in bytes. */
size_t text_wrap(const char *text, size_t columns);
