/* SPDX-License-Identifier: MIT */
/* Names of addresses, from the table that tools/symbols made of the first link. */
#include "hv/panic.h"
#include "lib/printf.h"

struct symbol {
	uint32_t offset, name; /* from the image's base; from the first string */
};

extern const uint32_t hv_symbol_table[];
extern const char ImageBase[], _text[], _etext[];

const char *symbol_name(uint64_t at, char *buf, size_t n)
{
	uint32_t count = hv_symbol_table[0], lo = 0, hi = count,
		 offset = (uint32_t)(at - (uint64_t)ImageBase);
	const struct symbol *table = (const struct symbol *)(hv_symbol_table + 1);
	const char *names = (const char *)(table + count);

	if (at < (uint64_t)_text || at >= (uint64_t)_etext || !count || offset < table[0].offset) {
		fmt_snprintf(buf, n, "?");
		return buf;
	}
	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (table[mid].offset <= offset)
			lo = mid;
		else
			hi = mid;
	}
	fmt_snprintf(buf, n, "%s+%#x", names + table[lo].name, offset - table[lo].offset);
	return buf;
}
