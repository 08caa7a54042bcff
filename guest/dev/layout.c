/* SPDX-License-Identifier: MIT */
/* Where RAM lies in a guest, and the memory map that loaders hand over. */
#include "guest/dev/layout.h"

#include "lib/bits.h"

int layout_init(struct guest_layout *l, uint64_t memory)
{
	if (memory < 2 * MiB || !is_aligned(memory, PAGE_SIZE) || memory > BIT(46))
		return -E_RANGE;
	l->memory = memory;
	l->low_end = min(memory, LAYOUT_LOW_MAX);
	l->high_end = LAYOUT_HIGH + (memory - l->low_end);
	return 0;
}

unsigned layout_e820(const struct guest_layout *l, struct e820_row *rows)
{
	unsigned n = 0;

	rows[n++] = (struct e820_row){ 0, LAYOUT_EBDA, E820_RAM };
	rows[n++] = (struct e820_row){ LAYOUT_EBDA, LAYOUT_VGA - LAYOUT_EBDA, E820_RESERVED };
	rows[n++] = (struct e820_row){ LAYOUT_BIOS, LAYOUT_BIOS_END - LAYOUT_BIOS, E820_RESERVED };
	rows[n++] = (struct e820_row){ LAYOUT_BIOS_END, l->low_end - LAYOUT_BIOS_END, E820_RAM };
	rows[n++] = (struct e820_row){ LAYOUT_IOAPIC, PAGE_SIZE, E820_RESERVED };
	rows[n++] = (struct e820_row){ LAYOUT_LAPIC, PAGE_SIZE, E820_RESERVED };
	if (l->high_end > LAYOUT_HIGH)
		rows[n++] = (struct e820_row){ LAYOUT_HIGH, l->high_end - LAYOUT_HIGH, E820_RAM };
	return n;
}
