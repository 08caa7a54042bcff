/* SPDX-License-Identifier: MIT */
/* UTF-8 to UCS-2 and back, and where to break lines. */
#include "boot/text.h"

#include "lib/string.h"
#include "lib/utf8.h"

bool text_to_ucs2(uint16_t *to, size_t count, const char *from)
{
	size_t n = 0, left = strlen(from), bytes;
	uint32_t c;

	for (; left; from += bytes, left -= bytes) {
		bytes = utf8_decode(from, left, &c);
		if (!bytes || c > 0xffff || n + 1 >= count) {
			to[n] = 0;
			return false;
		}
		to[n++] = (uint16_t)c;
	}
	to[n] = 0;
	return true;
}

bool text_from_ucs2(char *to, size_t size, const uint16_t *from, size_t n)
{
	size_t out = 0;

	to[0] = 0;
	for (size_t i = 0; i < n && from[i]; i++) {
		unsigned c = from[i];
		size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : 3;

		if ((c >= 0xd800 && c <= 0xdfff) || out + len >= size)
			return false;
		if (len == 1) {
			to[out++] = (char)c;
		} else if (len == 2) {
			to[out++] = (char)(0xc0 | c >> 6);
			to[out++] = (char)(0x80 | (c & 0x3f));
		} else {
			to[out++] = (char)(0xe0 | c >> 12);
			to[out++] = (char)(0x80 | (c >> 6 & 0x3f));
			to[out++] = (char)(0x80 | (c & 0x3f));
		}
		to[out] = 0;
	}
	return true;
}

size_t text_wrap(const char *text, size_t columns)
{
	size_t n = 0, cells = 0, blank = 0;

	while (text[n]) {
		if (((unsigned char)text[n] & 0xc0) != 0x80 && cells++ == columns)
			return blank ? blank : n;
		if (text[n] == ' ' && cells > 8)
			blank = n; /* not within an indentation */
		n++;
	}
	return n;
}
