/* SPDX-License-Identifier: MIT */
/* The memory map: sorted, disjoint, merged, and never more usable than the firmware said, whatever it said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/memory_map.h"
#include "lib/bits.h"

#define WB BIT(3)
enum {
	RESERVED,
	LOADER_CODE,
	LOADER_DATA,
	BS_CODE,
	BS_DATA,
	RT_CODE,
	RT_DATA,
	CONVENTIONAL,
	UNUSABLE,
	ACPI,
	NVS,
	MMIO
};

static struct mem_range ranges[BOOT_RANGES_MAX];
static struct memory_map map;

static void start(unsigned max)
{
	memset(ranges, 0xee, sizeof(ranges));
	map = (struct memory_map){ .range = ranges, .max = max };
}

static struct memory_descriptor piece(uint32_t type, uint64_t base, uint64_t pages)
{
	return (struct memory_descriptor){ .type = type, .base = base, .pages = pages, .attributes = WB };
}

static void add(const struct memory_descriptor *d, size_t n)
{
	memory_map_add(&map, d, n * sizeof(*d), sizeof(*d));
}

static void expect(unsigned i, uint64_t base, uint64_t end, enum mem_type type)
{
	assert_true(i < map.n);
	if (map.range[i].base.v != base || base + map.range[i].pages * PAGE_SIZE != end ||
		map.range[i].type != type)
		fail_msg("range %u is %lx, %lu pages, type %d", i, map.range[i].base.v, map.range[i].pages,
			map.range[i].type);
}

static void the_map_is_sorted_merged_and_typed(void **state)
{
	const struct memory_descriptor d[] = {
		piece(CONVENTIONAL, 0x200000, 0x100),
		piece(BS_DATA, 0x100000, 0x80),
		piece(BS_CODE, 0x180000, 0x80),
		piece(CONVENTIONAL, 0x300000, 0x10),
		piece(LOADER_CODE, 0x400000, 1),
		piece(LOADER_DATA, 0x401000, 1),
		piece(RT_CODE, 0x402000, 1),
		piece(RT_DATA, 0x403000, 1),
		piece(ACPI, 0x404000, 1),
		piece(NVS, 0x405000, 1),
		piece(MMIO, 0x406000, 1),
		piece(UNUSABLE, 0x407000, 1),
		piece(99, 0x409000, 1),
		piece(CONVENTIONAL, 0, 0),
	};

	start(BOOT_RANGES_MAX);
	add(d, ARRAY_SIZE(d));
	assert_int_equal(map.n, 10);
	expect(0, 0x100000, 0x200000, MEM_BOOT_SERVICES);
	expect(1, 0x200000, 0x310000, MEM_USABLE);
	expect(2, 0x400000, 0x402000, MEM_BOOT);
	expect(3, 0x402000, 0x403000, MEM_RUNTIME_CODE);
	expect(4, 0x403000, 0x404000, MEM_RUNTIME_DATA);
	expect(5, 0x404000, 0x405000, MEM_ACPI_RECLAIM);
	expect(6, 0x405000, 0x406000, MEM_ACPI_NVS);
	expect(7, 0x406000, 0x407000, MEM_MMIO);
	expect(8, 0x407000, 0x408000, MEM_RESERVED);
	expect(9, 0x409000, 0x40a000, MEM_RESERVED);
	assert_int_equal(map.lost, 0);
	assert_true(memory_map_total(&map, MEM_USABLE) == 0x110000);
}

static void descriptors_of_a_later_version_are_read_by_their_stride(void **state)
{
	struct {
		struct memory_descriptor d;
		uint64_t more;
	} two[2] = { { piece(CONVENTIONAL, 0x1000, 1), ~0ull }, { piece(CONVENTIONAL, 0x4000, 1), ~0ull } };

	start(16);
	memory_map_add(&map, two, sizeof(two), sizeof(two[0]));
	assert_int_equal(map.n, 2);
	expect(1, 0x4000, 0x5000, MEM_USABLE);
	start(16);
	memory_map_add(&map, two, sizeof(two), 8); /* nonsense is not followed */
	assert_int_equal(map.n, 0);
}

static void where_descriptors_overlap_the_stricter_wins_in_any_order(void **state)
{
	const struct memory_descriptor d[] = {
		piece(CONVENTIONAL, 0x100000, 0x100),
		piece(NVS, 0x140000, 0x10),
		piece(LOADER_DATA, 0x148000, 0x10),
		piece(RESERVED, 0x1f8000, 0x10),
	};
	struct memory_descriptor backwards[ARRAY_SIZE(d)];

	for (size_t i = 0; i < ARRAY_SIZE(d); i++)
		backwards[i] = d[ARRAY_SIZE(d) - 1 - i];
	for (int turn = 0; turn < 2; turn++) {
		start(16);
		add(turn ? backwards : d, ARRAY_SIZE(d));
		assert_int_equal(map.n, 5);
		expect(0, 0x100000, 0x140000, MEM_USABLE);
		expect(1, 0x140000, 0x150000, MEM_ACPI_NVS);
		expect(2, 0x150000, 0x158000, MEM_BOOT);
		expect(3, 0x158000, 0x1f8000, MEM_USABLE);
		expect(4, 0x1f8000, 0x208000, MEM_RESERVED);
	}
}

static void ram_that_cannot_be_cached_or_has_a_special_purpose_is_not_used(void **state)
{
	struct memory_descriptor d[] = { piece(CONVENTIONAL, 0x100000, 1), piece(CONVENTIONAL, 0x200000, 1),
		piece(CONVENTIONAL, 0x300000, 1) };

	d[0].attributes = BIT(0);
	d[1].attributes = WB | BIT(18);
	start(16);
	add(d, 3);
	expect(0, 0x100000, 0x101000, MEM_RESERVED);
	expect(1, 0x200000, 0x201000, MEM_RESERVED);
	expect(2, 0x300000, 0x301000, MEM_USABLE);
}

static void addresses_that_wrap_or_are_odd_are_clipped(void **state)
{
	const struct memory_descriptor d[] = {
		piece(CONVENTIONAL, 0x100800, 2),
		piece(RESERVED, 0x200800, 1),
		piece(MMIO, BIT(52) - 0x2000, ~0ull),
		piece(CONVENTIONAL, ~0ull - 0xfff, 1),
	};

	start(16);
	add(d, ARRAY_SIZE(d));
	assert_int_equal(map.n, 3);
	expect(0, 0x101000, 0x102000, MEM_USABLE);
	expect(1, 0x200000, 0x202000, MEM_RESERVED);
	expect(2, BIT(52) - 0x2000, BIT(52), MEM_MMIO);
}

static void marking_takes_whole_pages_and_respects_what_is_stricter(void **state)
{
	const struct memory_descriptor d[] = { piece(CONVENTIONAL, 0, 0x10), piece(NVS, 0x10000, 1) };

	start(16);
	add(d, 2);
	memory_map_mark(&map, 0, PAGE_SIZE, MEM_RESERVED);
	memory_map_mark(&map, 0xeff8, 0x2000, MEM_BOOT_SERVICES);
	memory_map_merge(&map);
	assert_int_equal(map.n, 4);
	expect(0, 0, 0x1000, MEM_RESERVED);
	expect(1, 0x1000, 0xe000, MEM_USABLE);
	expect(2, 0xe000, 0x10000, MEM_BOOT_SERVICES);
	expect(3, 0x10000, 0x11000, MEM_ACPI_NVS);
}

static void a_full_map_counts_what_it_lost_and_keeps_the_stricter_type(void **state)
{
	struct memory_descriptor d[] = { piece(CONVENTIONAL, 0x100000, 0x100),
		piece(CONVENTIONAL, 0x400000, 0x10), piece(RESERVED, 0x180000, 1),
		piece(CONVENTIONAL, 0x800000, 1) };

	start(2);
	add(d, ARRAY_SIZE(d));
	assert_true(map.lost >= 2);
	expect(0, 0x100000, 0x200000, MEM_RESERVED);
	expect(1, 0x400000, 0x410000, MEM_USABLE);
}

static const int order[] = { [MEM_USABLE] = 0,
	[MEM_BOOT_SERVICES] = 1,
	[MEM_BOOT] = 2,
	[MEM_ACPI_RECLAIM] = 3,
	[MEM_ACPI_NVS] = 4,
	[MEM_RUNTIME_DATA] = 5,
	[MEM_RUNTIME_CODE] = 6,
	[MEM_MMIO] = 7,
	[MEM_RESERVED] = 8 };

/* Random overlapping descriptors against a model with one cell a page. */
static void random_maps_agree_with_a_page_by_page_model(void **state)
{
	static const enum mem_type types[] = { MEM_RESERVED, MEM_BOOT, MEM_BOOT, MEM_BOOT_SERVICES,
		MEM_BOOT_SERVICES, MEM_RUNTIME_CODE, MEM_RUNTIME_DATA, MEM_USABLE, MEM_RESERVED,
		MEM_ACPI_RECLAIM, MEM_ACPI_NVS, MEM_MMIO };
	enum { PAGES = 256, NONE = -1 };

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct memory_descriptor d[24];
		int model[PAGES], n = rand() % 24 + 1;
		uint64_t last = 0;

		for (int i = 0; i < PAGES; i++)
			model[i] = NONE;
		for (int k = 0; k < n; k++) {
			uint32_t type = (uint32_t)rand() % ARRAY_SIZE(types);
			int from = rand() % PAGES, pages = rand() % (PAGES - from) / 4;

			d[k] = piece(type, (uint64_t)from * PAGE_SIZE, (uint64_t)pages);
			for (int i = from; i < from + pages; i++)
				if (model[i] == NONE || order[model[i]] < order[types[type]])
					model[i] = (int)types[type];
		}
		start(BOOT_RANGES_MAX);
		add(d, (size_t)n);
		for (unsigned i = 0; i < map.n; i++) {
			uint64_t page = map.range[i].base.v / PAGE_SIZE;

			assert_true(map.range[i].pages > 0 && page >= last);
			for (; last < page; last++)
				assert_int_equal(model[last], NONE);
			for (; last < page + map.range[i].pages; last++)
				assert_int_equal(model[last], map.range[i].type);
		}
		for (; last < PAGES; last++)
			assert_int_equal(model[last], NONE);
	}
}

/* Firmware may hold all of the memory below 1 MiB until its boot services end. */
static void memory_of_the_boot_services_serves_for_the_trampoline(void **state)
{
	const struct memory_descriptor d[] = {
		piece(4, 0, 2), /* page 0 is never used, and page 1 alone is too little */
		piece(0, 0x2000, 6),
		piece(4, 0x8000, 3),
		piece(2, 0xb000, 5),
		piece(3, 0x10000, 1),
		piece(6, 0x11000, 200),
	};

	start(BOOT_RANGES_MAX);
	add(d, 6);
	assert_int_equal(memory_map_find_trampoline(&map), 0x9000);
	memory_map_mark(&map, 0x9000, 2 * PAGE_SIZE, MEM_BOOT);
	memory_map_merge(&map);
	assert_int_equal(memory_map_find_trampoline(&map), 0);
	assert_int_equal(memory_map_total(&map, MEM_BOOT_SERVICES), 4 * PAGE_SIZE);
}

static void the_trampoline_stays_off_the_ebda(void **state)
{
	const struct memory_descriptor low = piece(3, 0x1000, 0x9f), high = piece(7, 0x80000, 0x20);

	start(BOOT_RANGES_MAX);
	add(&high, 1);
	assert_int_equal(memory_map_find_trampoline(&map), 0);
	add(&low, 1);
	assert_int_equal(memory_map_find_trampoline(&map), 0x7e000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_is_sorted_merged_and_typed),
		cmocka_unit_test(descriptors_of_a_later_version_are_read_by_their_stride),
		cmocka_unit_test(where_descriptors_overlap_the_stricter_wins_in_any_order),
		cmocka_unit_test(ram_that_cannot_be_cached_or_has_a_special_purpose_is_not_used),
		cmocka_unit_test(addresses_that_wrap_or_are_odd_are_clipped),
		cmocka_unit_test(marking_takes_whole_pages_and_respects_what_is_stricter),
		cmocka_unit_test(a_full_map_counts_what_it_lost_and_keeps_the_stricter_type),
		cmocka_unit_test(memory_of_the_boot_services_serves_for_the_trampoline),
		cmocka_unit_test(the_trampoline_stays_off_the_ebda),
		cmocka_unit_test(random_maps_agree_with_a_page_by_page_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
