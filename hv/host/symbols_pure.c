/* SPDX-License-Identifier: MIT */
/* Reads the table of functions' names that tools/symbols makes. */
#include "hv/host/symbols_pure.h"

#define PAIRS 128

struct name {
	char *at, *end;
};

/* A byte of a name: a character, or what its pair stands for. A pair holds none but earlier ones, so this ends. */
static void expand(const uint8_t *pairs, uint8_t byte, struct name *out)
{
	if (byte >= PAIRS) {
		expand(pairs, pairs[2 * (byte - PAIRS)], out);
		expand(pairs, pairs[2 * (byte - PAIRS) + 1], out);
	} else if (out->at < out->end) {
		*out->at++ = (char)byte;
	}
}

int64_t symbols_find(const uint8_t *table, uint32_t offset, char *name, size_t n)
{
	struct name out = { name, name + n - 1 };
	const uint8_t *p = table + 2 * PAIRS, *found = NULL;
	uint32_t at = 0, start = 0, distance;

	while ((distance = p[0] | (uint32_t)p[1] << 8) != 0 && at + distance <= offset) {
		start = at += distance;
		found = p += 2;
		while (*p++)
			;
	}
	if (!found)
		return -E_NOENT;
	while (*found)
		expand(table, *found++, &out);
	*out.at = 0;
	return offset - start;
}
