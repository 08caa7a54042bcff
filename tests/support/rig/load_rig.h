/* SPDX-License-Identifier: MIT */
/*
 * A rig for the loaders' tests and fuzzer: a guest's memory without an MMU. It defines guest_write and guest_zero
 * (so exactly one file of a program may include it). A loader's write outside of the RAM of the memory map ends the
 * program.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/dev/layout.h"
#include "guest/load/loader.h"
#include "mm/space/guest_mem.h"

static struct rig {
	uint8_t *ram; /* guest-physical address 0; holes are reserved, never touched */
	uint64_t bytes;
	struct guest_layout layout;
	struct e820_row row[LAYOUT_ROWS_MAX];
	unsigned nrows;
	struct conf_vm conf;
	struct load_params p;
	struct vcpu_state start;
	char why[512];
} rig;

static bool rig_is_ram(uint64_t at, uint64_t n)
{
	for (unsigned i = 0; i < rig.nrows; i++)
		if (rig.row[i].type == E820_RAM && at >= rig.row[i].base && n <= rig.row[i].size &&
			at - rig.row[i].base <= rig.row[i].size - n)
			return true;
	return false;
}

static uint8_t *rig_at(uint64_t at, uint64_t n)
{
	if (!rig_is_ram(at, n)) {
		fprintf(stderr, "loader touches 0x%llx bytes at 0x%llx: not RAM\n", (unsigned long long)n,
			(unsigned long long)at);
		abort();
	}
	return rig.ram + at;
}

int guest_write(struct mmu *mmu, gpa_t at, const void *from, size_t n)
{
	(void)mmu;
	memcpy(rig_at(at.v, n), from, n);
	return 0;
}

int guest_zero(struct mmu *mmu, gpa_t at, uint64_t n)
{
	uint8_t *from = rig_at(at.v, n);
	uint64_t head = min(n, -at.v & PAGE_MASK), pages = (n - head) & ~PAGE_MASK;

	/* Whole pages are given back, so that gigabytes of zeros cost nothing; they read as zero. */
	(void)mmu;
	memset(from, 0, head);
	if (pages && madvise(from + head, pages, MADV_DONTNEED))
		abort();
	memset(from + head + pages, 0, n - head - pages);
	return 0;
}

static void rig_close(void)
{
	if (rig.ram)
		munmap(rig.ram, rig.bytes);
	rig.ram = NULL;
}

/* A fresh VM with this much memory; only pages that are touched are paid for. */
static void rig_open(uint64_t memory)
{
	rig_close();
	memset(&rig, 0, sizeof(rig));
	if (layout_init(&rig.layout, memory))
		abort();
	rig.nrows = layout_e820(&rig.layout, rig.row);
	rig.bytes = rig.layout.high_end > LAYOUT_HIGH ? rig.layout.high_end : rig.layout.low_end;
	rig.ram = mmap(
		NULL, rig.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rig.ram == MAP_FAILED)
		abort();
	strcpy(rig.conf.name, "vm");
	rig.conf.memory = memory;
	rig.conf.load_address = 0x100000;
	rig.conf.entry_mode = 32;
	rig.p = (struct load_params){ .conf = &rig.conf, .layout = &rig.layout, .rsdp = 0xe0000 };
}

static int rig_load(void)
{
	return guest_load(&rig.p, &rig.start, rig.why, sizeof(rig.why));
}

static inline uint64_t rig_u64(uint64_t at)
{
	uint64_t v;

	memcpy(&v, rig_at(at, 8), 8);
	return v;
}

static inline uint32_t rig_u32(uint64_t at)
{
	uint32_t v;

	memcpy(&v, rig_at(at, 4), 4);
	return v;
}

/* Walks the start-up page tables as a CPU would; ~0 if the address is not mapped. */
static inline uint64_t rig_translate(uint64_t cr3, uint64_t va)
{
	uint64_t e = rig_u64(cr3 + 8 * (va >> 39 & 511));

	if (!(e & 1))
		return ~0ull;
	e = rig_u64((e & 0xffffffffff000) + 8 * (va >> 30 & 511));
	if (!(e & 1))
		return ~0ull;
	e = rig_u64((e & 0xffffffffff000) + 8 * (va >> 21 & 511));
	if ((e & 0x81) != 0x81)
		return ~0ull;
	return (e & 0xfffffffe00000) | (va & 0x1fffff);
}
