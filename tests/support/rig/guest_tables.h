/* SPDX-License-Identifier: MIT */
/*
 * The firmware area of a guest as its kernel sees it, for tests: a copy of 0xe0000-0xfffff, and the tables in it.
 * Include cmocka.h first.
 */
#pragma once

#include <string.h>

#include "guest/dev/platform.h"
#include "mm/space/guest_mem.h"

static uint8_t tables_rom[LAYOUT_BIOS_END - LAYOUT_BIOS];

static inline uint8_t sum(const uint8_t *at, size_t n)
{
	uint8_t s = 0;

	while (n--)
		s += *at++;
	return s;
}

static inline uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, at, bytes);
	return v;
}

static inline const uint8_t *tables_at(uint64_t at)
{
	assert_in_range(at, LAYOUT_BIOS, LAYOUT_BIOS_END - 1);
	return tables_rom + (at - LAYOUT_BIOS);
}

/* The ACPI table at this address, whose signature, length and checksum are right. */
static inline const uint8_t *table(uint64_t at, const char *signature)
{
	const uint8_t *t = tables_at(at);

	assert_memory_equal(t, signature, 4);
	assert_in_range(at + get(t + 4, 4), at + 36, LAYOUT_BIOS_END);
	assert_int_equal(sum(t, get(t + 4, 4)), 0);
	return t;
}

/* Lets the platform write its tables and copies the area; returns the RSDP, which is right. */
static inline const uint8_t *tables_write(struct platform *p, struct mmu *mmu)
{
	uint64_t rsdp;

	assert_int_equal(platform_write_tables(p, &rsdp), 0);
	assert_int_equal(rsdp, LAYOUT_BIOS);
	assert_int_equal(guest_read(mmu, gpa(LAYOUT_BIOS), tables_rom, sizeof(tables_rom)), 0);
	assert_memory_equal(tables_rom, "RSD PTR ", 8);
	assert_int_equal(sum(tables_rom, 20), 0);
	assert_int_equal(sum(tables_rom, 36), 0);
	return tables_rom;
}

static inline const uint8_t *tables_madt(const uint8_t *rsdp)
{
	return table(get(table(get(rsdp + 24, 8), "XSDT") + 44, 8), "APIC");
}
