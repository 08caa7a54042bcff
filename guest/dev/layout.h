/* SPDX-License-Identifier: MIT */
/*
 * The guest-physical address space of Lethe's platform.
 *
 *	0          - 0x9ffff     RAM (the last KiB, from 0x9fc00, is the EBDA: reserved, holds the RSDP's copy)
 *	0xa0000    - 0xbffff     VGA: 0xb8000 is text memory; the rest is a hole
 *	0xc0000    - 0xdffff     option ROM area: read-only, all ones; no hole, for kernels search it byte by byte
 *	0xe0000    - 0xfffff     the "BIOS": read-only; ACPI tables with the RSDP at 0xe0000, MP table at
 *	                         0xf0000, real-mode handlers at 0xf8000, INT3 everywhere else
 *	0x100000   - low_end     RAM
 *	low_end    - 4 GiB       PCI window 0xc0000000..0xfebfffff, I/O APIC 0xfec00000, HPET none,
 *	                         local APIC 0xfee00000; without unrestricted guest the wakeup mailbox
 *	                         (guest/dev/vmailbox.c) at 0xfef00000, the page tables of vCPUs that start by it from
 *	                         0xfef01000 on, and the hidden page directory (hv/vm/guest_cr.h) at 0xfeffc000
 *	4 GiB      - high_end    RAM beyond 3 GiB
 */
#pragma once

#include "lib/types.h"

#define LAYOUT_EBDA	0x9fc00ul
#define LAYOUT_VGA	0xa0000ul
#define LAYOUT_VGA_TEXT 0xb8000ul
#define LAYOUT_VGA_END	0xc0000ul
#define LAYOUT_ROMS	0xc0000ul
#define LAYOUT_BIOS	0xe0000ul
#define LAYOUT_MP	0xf0000ul
#define LAYOUT_MP_END	0xf8000ul
#define LAYOUT_VECTORS	0xf8000ul /* a page of real-mode handlers: guest/dev/vectors.h */
#define LAYOUT_BIOS_END 0x100000ul
#define LAYOUT_LOW_MAX	0xc0000000ul /* RAM below 4 GiB ends here at the latest */
#define LAYOUT_PCI	0xc0000000ul
#define LAYOUT_PCI_END	0xfec00000ul
#define LAYOUT_IOAPIC	0xfec00000ul
#define LAYOUT_LAPIC	0xfee00000ul
#define LAYOUT_MAILBOX	0xfef00000ul
#define LAYOUT_WAKEUP	0xfef01000ul /* PML4, PDPT, a page directory a GiB: guest/acpi/wakeup.c */
#define LAYOUT_IDENTITY 0xfeffc000ul
#define LAYOUT_HIGH	0x100000000ul

struct guest_layout {
	uint64_t memory;     /* bytes that lethe.conf asked for */
	uint64_t low_end;    /* end of RAM below 4 GiB */
	uint64_t high_end;   /* end of RAM above 4 GiB; LAYOUT_HIGH if there is none */
	unsigned wakeup_gib; /* that the tables at LAYOUT_WAKEUP map; 0: neither they nor the mailbox */
};

/* One row of the memory map that loaders hand to guests (types as in E820, ACPI 6.x 15). */
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };
struct e820_row {
	uint64_t base, size;
	uint32_t type;
};
#define LAYOUT_ROWS_MAX 8

/* memory: bytes, a multiple of 4 KiB, at least 2 MiB. 0 or -E_RANGE. */
int layout_init(struct guest_layout *l, uint64_t memory);
/* All vCPUs but the first wait at the mailbox: makes room for it and for tables that map all RAM, as far as they fit (249 GiB). */
void layout_add_mailbox(struct guest_layout *l);
/* Bytes of the tables at LAYOUT_WAKEUP; 0: there are none. */
uint64_t layout_wakeup_bytes(const struct guest_layout *l);
/* Fills in at most LAYOUT_ROWS_MAX rows, sorted; returns how many. */
unsigned layout_e820(const struct guest_layout *l, struct e820_row *rows);
