/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629). */
#pragma once

#include "lib/types.h"

/* Bytes of the sequence that this byte begins, by its upper bits: 1 to 4; 0: it begins none. */
unsigned utf8_length(uint8_t lead);
/* True if this character may stand in a sequence of so many bytes: it needs no fewer, is no surrogate, not beyond U+10FFFF. */
bool utf8_may_be(uint32_t character, unsigned bytes);
/* Decodes the sequence at text, of n > 0 bytes. Returns its length, or 0: there is none, or it is cut or wrong. */
size_t utf8_decode(const char *text, size_t n, uint32_t *character);
