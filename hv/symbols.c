/* SPDX-License-Identifier: MIT */
/* Names of addresses, from the table that tools/symbols made of the first link. */
#include "hv/panic.h"
#include "lib/printf.h"
#include "lib/string.h"

extern const uint32_t hv_symbol_table[]; /* count, offsets from the image's base; then the names in a row */
extern const char ImageBase[], _text[], _etext[];

const char *symbol_name(uint64_t at, char *buf, size_t n)
{
	uint32_t count = hv_symbol_table[0], lo = 0, hi = count,
		 offset = (uint32_t)(at - (uint64_t)ImageBase);
	const uint32_t *table = hv_symbol_table + 1;
	const char *name = (const char *)(table + count);

	if (at < (uint64_t)_text || at >= (uint64_t)_etext || !count || offset < table[0]) {
		fmt_snprintf(buf, n, "?");
		return buf;
	}
	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (table[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	for (uint32_t i = 0; i < lo; i++)
		name += strlen(name) + 1;
	fmt_snprintf(buf, n, "%s+%#x", name, offset - table[lo]);
	return buf;
}
