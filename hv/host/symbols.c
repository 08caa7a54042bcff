/* SPDX-License-Identifier: MIT */
/* Names of addresses, from the table that tools/symbols made of the first link. */
#include "hv/host/panic.h"
#include "hv/host/symbols_pure.h"
#include "lib/printf.h"

extern const char hv_symbol_table[];
extern const char ImageBase[], _text[], _etext[];

const char *symbol_name(uint64_t at, char *buf, size_t n)
{
	char name[64];
	int64_t into = -E_NOENT;

	if (at >= (uint64_t)_text && at < (uint64_t)_etext)
		into = symbols_find(
			hv_symbol_table, (uint32_t)(at - (uint64_t)ImageBase), name, sizeof(name));
	if (into < 0)
		fmt_snprintf(buf, n, "?");
	else
		fmt_snprintf(buf, n, "%s+%#lx", name, (uint64_t)into);
	return buf;
}
