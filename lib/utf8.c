/* SPDX-License-Identifier: MIT */
#include "lib/utf8.h"

unsigned utf8_length(uint8_t lead)
{
	return lead < 0x80	       ? 1
	       : (lead & 0xe0) == 0xc0 ? 2
	       : (lead & 0xf0) == 0xe0 ? 3
	       : (lead & 0xf8) == 0xf0 ? 4
				       : 0;
}

bool utf8_may_be(uint32_t character, unsigned bytes)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	return character >= least[bytes] && character <= 0x10ffff &&
	       !(character >= 0xd800 && character <= 0xdfff);
}

size_t utf8_decode(const char *text, size_t n, uint32_t *character)
{
	const uint8_t *s = (const uint8_t *)text;
	unsigned bytes = utf8_length(s[0]);

	if (!bytes || bytes > n)
		return 0;
	*character = bytes == 1 ? s[0] : s[0] & (0x7fu >> bytes);
	for (unsigned i = 1; i < bytes; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (s[i] & 0x3f);
	}
	return utf8_may_be(*character, bytes) ? bytes : 0;
}
