/* SPDX-License-Identifier: MIT */
/* The bounds that boot/lethe.lds sets, as sections with rights. */
#include "boot/image.h"

#include "lib/assert.h"
#include "lib/bits.h"

LINKER_SYMBOL(ImageBase);
LINKER_SYMBOL(_text);
LINKER_SYMBOL(_etext);
LINKER_SYMBOL(_rodata);
LINKER_SYMBOL(_erodata);
LINKER_SYMBOL(_data);
LINKER_SYMBOL(_erelro);
LINKER_SYMBOL(_end);
LINKER_SYMBOL(_symbols);
LINKER_SYMBOL(_esymbols);

hpa_t image_base(void)
{
	return hpa((uint64_t)ImageBase);
}

uint64_t image_bytes(void)
{
	return (uint64_t)_esymbols - (uint64_t)ImageBase;
}

static void add(struct boot_info *bi, const char *from, const char *to, bool write, bool exec)
{
	ASSERT(is_aligned((uint64_t)from, PAGE_SIZE) && is_aligned((uint64_t)to, PAGE_SIZE));
	if (from == to)
		return;
	bi->section[bi->nsections++] = (struct image_section){ .base = hpa((uint64_t)from),
		.pages = (uint64_t)(to - from) / PAGE_SIZE,
		.write = write,
		.exec = exec };
}

void image_sections(struct boot_info *bi)
{
	bi->nsections = 0;
	add(bi, _text, _etext, false, true);
	add(bi, _rodata, _erodata, false, false);
	add(bi, _data, _erelro, false, false);
	add(bi, _erelro, _end, true, false);
	add(bi, _symbols, _esymbols, false, false);
}
