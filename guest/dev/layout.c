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
	l->wakeup_gib = 0;
	return 0;
}

void layout_add_mailbox(struct guest_layout *l)
{
	const uint64_t most = (LAYOUT_IDENTITY - LAYOUT_WAKEUP) / PAGE_SIZE - 2;

	_Static_assert(LAYOUT_IDENTITY - LAYOUT_WAKEUP <= 512 * PAGE_SIZE, "one PDPT is enough");
	l->wakeup_gib = (unsigned)min(align_up(l->high_end, GiB) / GiB, most);
}

uint64_t layout_wakeup_bytes(const struct guest_layout *l)
{
	return l->wakeup_gib ? (2 + l->wakeup_gib) * PAGE_SIZE : 0;
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
	if (l->wakeup_gib) /* the mailbox lies in NVS memory (ACPI 6.4, 5.2.12.19), and the tables behind it */
		rows[n++] = (struct e820_row){ LAYOUT_MAILBOX, PAGE_SIZE + layout_wakeup_bytes(l), E820_NVS };
	if (l->high_end > LAYOUT_HIGH)
		rows[n++] = (struct e820_row){ LAYOUT_HIGH, l->high_end - LAYOUT_HIGH, E820_RAM };
	return n;
}
