/* SPDX-License-Identifier: MIT */
/* Reads the table of functions' names that tools/symbols makes. */
#include "hv/host/symbols_pure.h"

#include "lib/string.h"

/* The address of the function that is described at p; entries lie at any byte. */
static uint32_t symbol_at(const char *p)
{
	uint32_t at;

	memcpy(&at, p, sizeof(at));
	return at;
}

int64_t symbols_find(const char *table, uint32_t offset, char *name, size_t n)
{
	const char *found = NULL;
	size_t length;

	for (const char *p = table; symbol_at(p) && symbol_at(p) <= offset;
		p += sizeof(uint32_t) + strlen(p + sizeof(uint32_t)) + 1)
		found = p;
	if (!found)
		return -E_NOENT;
	length = min(strlen(found + sizeof(uint32_t)), n - 1);
	memcpy(name, found + sizeof(uint32_t), length);
	name[length] = 0;
	return offset - symbol_at(found);
}
