/* SPDX-License-Identifier: MIT */
/* UTF-8 to UCS-2 and back, and where to break lines. */
#include "boot/text.h"

/* Decodes one character of a NUL-terminated text; 0: not UTF-8, or outside UCS-2. */
static unsigned decode(const char **from)
{
	const unsigned char *s = (const unsigned char *)*from;
	unsigned c;

	if (s[0] < 0x80) {
		*from += 1;
		return s[0];
	}
	if ((s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80) {
		c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		*from += 2;
		return c >= 0x80 ? c : 0;
	}
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		c = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		*from += 3;
		return c >= 0x800 && (c < 0xd800 || c > 0xdfff) ? c : 0;
	}
	return 0;
}

bool text_to_ucs2(uint16_t *to, size_t count, const char *from)
{
	size_t n = 0;

	while (*from) {
		unsigned c = decode(&from);

		if (!c || n + 1 >= count) {
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
