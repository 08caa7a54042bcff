/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's address space, read back by a walker of its own (it knows the SDM's formats, none of mm/'s code)
 * and held against a statement, page by page, of what should be mapped with which rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "mm/host/hostmap.h"
#include "tests/support/rig/arena.h"

#define RAM_END (6 * GiB) /* of the arena */
#define IMAGE	(48 * MiB)
#define TRAMP	0x8e000ull
#define RT_CODE (3 * GiB - 32 * MiB)
#define RT_DATA (RT_CODE + 64 * KiB)
#define RT_MMIO 0xffc00000ull
#define ACPI	(RT_DATA + 128 * KiB)
#define NVS	(ACPI + 256 * KiB)

static struct arena arena;
static struct hostmap_cpu cpu;

struct seen {
	uint64_t va, at, bytes;
	bool w, x;
	unsigned pat;
};
static struct seen seen[200000];
static unsigned nseen;

static void walk(uint64_t table, unsigned level, uint64_t va, bool w, bool x)
{
	const uint64_t *e = hpa_to_virt(hpa(table));

	for (uint64_t i = 0; i < 512; i++) {
		uint64_t here = va | i << (12 + 9 * (level - 1)), size = 4096ull << (9 * (level - 1));
		bool leaf = level == 1 || (e[i] & 0x80);
		struct seen *s;

		if (!(e[i] & 1))
			continue;
		if (!cpu.la57 && here >> 47 & 1) /* canonical */
			here |= 0xffff000000000000;
		if (cpu.la57 && here >> 56 & 1)
			here |= 0xfe00000000000000;
		assert_false(e[i] & 4);	    /* supervisor only */
		assert_false(e[i] & 0x100); /* nothing global */
		if (!leaf) {
			assert_false(e[i] & 0x7ff0000000000098); /* PWT, PCD, PS, ignored high bits: clean */
			walk(e[i] & 0xffffffffff000, level - 1, here, w && (e[i] & 2), x && !(e[i] >> 63));
			continue;
		}
		assert_true(level <= 3);
		if (level == 3)
			assert_true(cpu.pages_1g);
		if (level > 1)
			assert_int_equal(e[i] & (size - 1) & ~0x1fffull, 0); /* reserved bits */
		assert_true(nseen < ARRAY_SIZE(seen));
		s = &seen[nseen++];
		s->va = here;
		s->at = e[i] & 0xffffffffff000 & ~(size - 1);
		s->bytes = size;
		s->w = w && (e[i] & 2);
		s->x = x && !(e[i] >> 63);
		s->pat = (e[i] >> 3 & 3) | (e[i] >> (level == 1 ? 7 : 12) & 1) << 2;
	}
}

static void read_back(hpa_t root)
{
	nseen = 0;
	walk(root.v, cpu.la57 ? 5 : 4, 0, true, true);
}

static const struct seen *find(uint64_t va)
{
	for (unsigned i = 0; i < nseen; i++)
		if (va - seen[i].va < seen[i].bytes)
			return &seen[i];
	return NULL;
}

/* A PC with 5 GiB of RAM, a hole below 4 GiB, and all kinds of ranges. */
static void machine(void)
{
	struct boot_info *bi = &arena.bi;

	arena_range(&arena, hpa(0), 0x8e000, MEM_USABLE);
	arena_range(&arena, hpa(0x8e000), 0x2000, MEM_BOOT);
	arena_range(&arena, hpa(0x90000), 0x70000, MEM_RESERVED);
	arena_range(&arena, hpa(MiB), 15 * MiB, MEM_USABLE);
	arena_range(&arena, hpa(16 * MiB), 16 * MiB + 0x3000, MEM_BOOT_SERVICES);
	arena_range(&arena, hpa(32 * MiB + 0x3000), IMAGE - 32 * MiB - 0x3000, MEM_USABLE);
	arena_range(&arena, hpa(IMAGE), 64 * PAGE_SIZE, MEM_BOOT);
	arena_range(&arena, hpa(IMAGE + 64 * PAGE_SIZE), RT_CODE - IMAGE - 64 * PAGE_SIZE, MEM_USABLE);
	arena_range(&arena, hpa(RT_CODE), RT_DATA - RT_CODE, MEM_RUNTIME_CODE);
	arena_range(&arena, hpa(RT_DATA), ACPI - RT_DATA, MEM_RUNTIME_DATA);
	arena_range(&arena, hpa(ACPI), NVS - ACPI, MEM_ACPI_RECLAIM);
	arena_range(&arena, hpa(NVS), 256 * KiB, MEM_ACPI_NVS);
	arena_range(&arena, hpa(0xfe000000), MiB, MEM_MMIO);
	arena_range(&arena, hpa(RT_MMIO), 4 * MiB, MEM_MMIO);
	bi->range[bi->nranges - 1].attributes = 1ull << 63;
	arena_range(&arena, hpa(4 * GiB), 2 * GiB, MEM_USABLE);
	bi->section[0] = (struct image_section){ .base = hpa(IMAGE + 0x1000), .pages = 16, .exec = true };
	bi->section[1] = (struct image_section){ .base = hpa(IMAGE + 0x11000), .pages = 8 };
	bi->section[2] = (struct image_section){ .base = hpa(IMAGE + 0x19000), .pages = 20, .write = true };
	bi->nsections = 3;
	bi->trampoline = hpa(TRAMP);
}

static void open_machine(bool pages_1g, bool la57)
{
	cpu = (struct hostmap_cpu){ .pages_1g = pages_1g, .la57 = la57 };
	arena_open(&arena, hpa(0), RAM_END);
	machine();
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), 0);
}

static const struct image_section *section_at(uint64_t at)
{
	for (unsigned i = 0; i < arena.bi.nsections; i++)
		if (at - arena.bi.section[i].base.v < arena.bi.section[i].pages * PAGE_SIZE)
			return &arena.bi.section[i];
	return NULL;
}

static enum mem_type type_at(uint64_t at)
{
	static uint8_t type[RAM_END / PAGE_SIZE];
	static bool known; /* the machine is always the same */

	if (!known) {
		memset(type, MEM_RESERVED, sizeof(type));
		for (unsigned i = 0; i < arena.bi.nranges; i++)
			memset(type + arena.bi.range[i].base.v / PAGE_SIZE, (int)arena.bi.range[i].type,
				arena.bi.range[i].pages);
		known = true;
	}
	return at < RAM_END ? (enum mem_type)type[at / PAGE_SIZE] : MEM_RESERVED;
}

struct rights {
	bool mapped, w, x;
	unsigned pat;
};

static struct rights expect_identity(uint64_t at, unsigned boot, bool runtime)
{
	const struct image_section *s = section_at(at);
	enum mem_type t = type_at(at);

	if (!at)
		return (struct rights){ false };
	if (s)
		return (struct rights){ .mapped = true, .w = s->write, .x = s->exec };
	if (boot >> t & 1) /* kinds that were not dropped yet */
		return (struct rights){ .mapped = true, .w = true };
	if (runtime && t == MEM_RUNTIME_CODE)
		return (struct rights){ .mapped = true, .w = true, .x = true };
	if (runtime && t == MEM_RUNTIME_DATA)
		return (struct rights){ .mapped = true, .w = true };
	if (runtime && at >= RT_MMIO && at < RT_MMIO + 4 * MiB)
		return (struct rights){ .mapped = true, .w = true, .pat = 3 };
	return (struct rights){ false };
}

static struct rights expect_direct(uint64_t at)
{
	const struct image_section *s = section_at(at);
	enum mem_type t = type_at(at);

	if (t == MEM_BOOT || t == MEM_BOOT_SERVICES || (t == MEM_USABLE && at >= MiB))
		return (struct rights){ .mapped = true, .w = !s || s->write };
	if (t == MEM_ACPI_RECLAIM)
		return (struct rights){ .mapped = true };
	return (struct rights){ false };
}

/* Every page that is mapped is expected, every page that is expected is mapped, and no page is W and X anywhere. */
static void check_all(hpa_t root, unsigned boot, bool runtime)
{
	static uint8_t wx[RAM_END / PAGE_SIZE];
	uint64_t found = 0, expected = 0;

	read_back(root);
	memset(wx, 0, sizeof(wx));
	for (unsigned i = 0; i < nseen; i++)
		for (uint64_t off = 0; off < seen[i].bytes; off += PAGE_SIZE) {
			uint64_t va = seen[i].va + off, at = seen[i].at + off;
			bool direct = va >= DIRECT_MAP_BASE;
			struct rights r;

			r = direct ? expect_direct(at) : expect_identity(at, boot, runtime);
			if (va - (direct ? DIRECT_MAP_BASE : 0) != at || !r.mapped || seen[i].w != r.w ||
				seen[i].x != r.x || seen[i].pat != r.pat)
				fail_msg("%#lx -> %#lx w %d x %d pat %u", va, at, seen[i].w, seen[i].x,
					seen[i].pat);
			wx[at / PAGE_SIZE] |= (uint8_t)(seen[i].w | seen[i].x << 1);
			found++;
		}
	for (uint64_t at = 0; at < RAM_END; at += PAGE_SIZE) {
		expected += expect_direct(at).mapped + expect_identity(at, boot, runtime).mapped;
		if (wx[at / PAGE_SIZE] == 3)
			assert_true(runtime && type_at(at) == MEM_RUNTIME_CODE);
	}
	assert_int_equal(found, expected);
}

static const struct hostmap_cpu cpus[] = { { false, false }, { true, false }, { false, true },
	{ true, true } };

static void everything_and_nothing_else_is_mapped(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
		open_machine(cpus[i].pages_1g, cpus[i].la57);
		check_all(hostmap_root(), 1u << MEM_BOOT | 1u << MEM_BOOT_SERVICES, false);
		check_all(hostmap_runtime_root(), 0, true);
		hostmap_drop_boot(&arena.bi, MEM_BOOT_SERVICES);
		check_all(hostmap_root(), 1u << MEM_BOOT, false);
		hostmap_drop_boot(&arena.bi, MEM_BOOT);
		check_all(hostmap_root(), 0, false);
		assert_true(frames_owned(OWNER_LETHE) < 64); /* tables and all */
		arena_close(&arena);
	}
}

static void large_pages_are_used_where_they_fit(void **state)
{
	unsigned count[4];

	for (int g = 0; g < 2; g++) {
		memset(count, 0, sizeof(count));
		open_machine(g, false);
		read_back(hostmap_root());
		for (unsigned i = 0; i < nseen; i++)
			count[seen[i].bytes == GiB ? 2 : seen[i].bytes == 2 * MiB ? 1 : 0]++;
		assert_int_equal(count[2], g ? 3 : 0); /* [1, 2), [4, 5), [5, 6) GiB */
		assert_true(count[1] > 500 && count[0] < 3 * 512 + 1500);
		arena_close(&arena);
	}
}

static void readable_means_mapped(void **state)
{
	open_machine(true, false);
	assert_true(hostmap_readable((void *)(DIRECT_MAP_BASE + MiB), 14 * MiB));
	assert_true(hostmap_readable((void *)(DIRECT_MAP_BASE + 4 * GiB), 2 * GiB));
	assert_false(hostmap_readable((void *)(DIRECT_MAP_BASE + 4 * GiB), 2 * GiB + 1));
	assert_false(hostmap_readable((void *)(DIRECT_MAP_BASE + MiB - 8), 16));
	assert_true(hostmap_readable((void *)(IMAGE + 0x1000), 100));
	assert_false(hostmap_readable(NULL, 1));
	assert_false(hostmap_readable((void *)0x0000800000000000, 1)); /* not canonical */
	assert_false(hostmap_readable((void *)0x8000000000000000, 1));
	assert_false(hostmap_readable((void *)~7ull, 64)); /* wraps */
	hostmap_drop_boot(&arena.bi, MEM_BOOT_SERVICES);
	assert_false(hostmap_readable((void *)(16 * MiB), 1));
	assert_true(hostmap_readable((void *)(IMAGE + 0x1000), 100));
	arena_close(&arena);
}

static void stacks_stand_between_guards(void **state)
{
	uint64_t top[3];

	open_machine(true, false);
	top[0] = (uint64_t)hostmap_stack(4, "stack", 2);
	top[1] = (uint64_t)hostmap_stack(1, "NMI stack", 3);
	top[2] = (uint64_t)hostmap_stack(8, "stack", 4);
	read_back(hostmap_root());
	for (int i = 0; i < 3; i++) {
		unsigned pages = (unsigned[]){ 4, 1, 8 }[i];

		assert_true(top[i] && !(top[i] & 15));
		assert_true(top[i] >= STACKS_BASE && top[i] < STACKS_BASE + WINDOW_BYTES);
		for (unsigned p = 1; p <= pages; p++) {
			const struct seen *s = find(top[i] - p * PAGE_SIZE);

			assert_true(s && s->w && !s->x && s->pat == 0);
		}
		assert_null(find(top[i]));
		assert_null(find(top[i] - (pages + 1) * PAGE_SIZE));
		assert_true(hostmap_readable((void *)(top[i] - pages * PAGE_SIZE), pages * PAGE_SIZE));
		assert_false(hostmap_readable((void *)(top[i] - 1), 2));
	}
	assert_string_equal(hostmap_guard_name(top[0] - 4 * PAGE_SIZE - 1),
		"guard page below the stack of CPU 2: it overflowed");
	assert_string_equal(hostmap_guard_name(top[1] - PAGE_SIZE - 1),
		"guard page below the NMI stack of CPU 3: it overflowed");
	assert_string_equal(hostmap_guard_name(top[2] + 8), "guard page above the stack of CPU 4");
	assert_string_equal(hostmap_guard_name(8), "the null page");
	assert_null(hostmap_guard_name(top[0] - 8));
	assert_null(hostmap_guard_name(IMAGE));
	/* Stacks are seen in the runtime root too: the call of reset runs on one. */
	read_back(hostmap_runtime_root());
	assert_non_null(find(top[2] - 8));
	arena_close(&arena);
}

static void a_stack_that_finds_no_memory_leaves_nothing_behind(void **state)
{
	struct frames_stats before, after;
	unsigned mapped;
	pfn_t f;

	cpu = (struct hostmap_cpu){ .pages_1g = true };
	arena_open(&arena, hpa(0), RAM_END);
	arena_range(&arena, hpa(MiB), 3 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), 0);
	assert_non_null(hostmap_stack(1, "stack", 0)); /* makes the tables */
	frames_stats(&before);
	while (before.free > 5) {
		assert_int_equal(frame_alloc(FRAME_4K, OWNER_VM0, &f), 0);
		frames_stats(&before);
	}
	read_back(hostmap_root());
	mapped = nseen;
	assert_null(hostmap_stack(6, "stack", 0));
	frames_stats(&after);
	assert_memory_equal(&before, &after, sizeof(after));
	read_back(hostmap_root());
	assert_int_equal(nseen, mapped);
	assert_non_null(hostmap_stack(5, "stack", 0));
	assert_null(hostmap_stack(1, "stack", 0));
	assert_null(hostmap_mmio(hpa(0x8000000000), PAGE_SIZE * 512 * 2 + 1, MT_UC)); /* needs tables */
	arena_close(&arena);
}

static void devices_get_their_memory_type(void **state)
{
	uint64_t uc, wc, wb, odd;
	const struct seen *s;

	open_machine(true, false);
	uc = (uint64_t)hostmap_mmio(hpa(0xfee00000), PAGE_SIZE, MT_UC);
	odd = (uint64_t)hostmap_mmio(hpa(0xfed00ffc), 8, MT_UC); /* crosses a page */
	wc = (uint64_t)hostmap_mmio(hpa(0xd0301000), 16 * MiB, MT_WC);
	wb = (uint64_t)hostmap_mmio(hpa(NVS + 16), 64, MT_WB);
	assert_true(uc && odd && wc && wb);
	read_back(hostmap_root());
	s = find(uc);
	assert_true(s && s->pat == 3 && s->w && !s->x && s->at == 0xfee00000);
	s = find(odd);
	assert_true(s && s->at == 0xfed00000 && odd % PAGE_SIZE == 0xffc);
	s = find(odd + 7);
	assert_true(s && s->at == 0xfed01000);
	for (uint64_t off = 0; off < 16 * MiB; off += PAGE_SIZE) {
		s = find(wc + off);
		assert_true(
			s && s->pat == 5 && s->w && !s->x && s->at + (wc + off - s->va) == 0xd0301000 + off);
	}
	s = find(wc + 4 * MiB);
	assert_int_equal(s->bytes, 2 * MiB);
	s = find(wb);
	assert_true(s && s->pat == 0 && !s->w && !s->x && s->at == NVS && wb % PAGE_SIZE == 16);
	assert_int_equal(HOST_PAT >> 24 & 0xff, MT_UC);
	assert_int_equal(HOST_PAT >> 40 & 0xff, MT_WC);
	assert_int_equal(HOST_PAT & 0xff, MT_WB);
	/* Tables in RAM that the direct map has: no second mapping. */
	assert_int_equal((uint64_t)hostmap_mmio(hpa(ACPI + 0x24), 100, MT_WB), DIRECT_MAP_BASE + ACPI + 0x24);
	/* RAM is no device. */
	assert_null(hostmap_mmio(hpa(5 * GiB), PAGE_SIZE, MT_UC));
	assert_null(hostmap_mmio(hpa(NVS - PAGE_SIZE), 2 * PAGE_SIZE, MT_WC));
	/* Nonsense that a table of the firmware may say. */
	assert_null(hostmap_mmio(hpa(0xfee00000), 0, MT_UC));
	assert_null(hostmap_mmio(hpa(~0ull - 4095), 4096, MT_UC));
	assert_null(hostmap_mmio(hpa(1ull << 52), 1, MT_UC));
	assert_null(hostmap_mmio(hpa((1ull << 52) - 1), 2, MT_UC));
	assert_null(hostmap_mmio(hpa(0xfee00000), ~0ull, MT_WB));
	assert_null(hostmap_mmio(hpa(64 * GiB), 2 * WINDOW_BYTES, MT_UC));
	assert_non_null(hostmap_mmio(hpa(0xfee00000), PAGE_SIZE, MT_UC));
	arena_close(&arena);
}

static void the_start_page_is_executable_only_while_asked(void **state)
{
	for (int drop = 0; drop < 2; drop++) {
		const struct seen *id, *alias;

		open_machine(true, false);
		if (drop)
			hostmap_drop_boot(&arena.bi, MEM_BOOT);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP), true), 0);
		read_back(hostmap_root());
		id = find(TRAMP);
		alias = find(DIRECT_MAP_BASE + TRAMP);
		assert_true(id && id->x && !id->w && id->at == TRAMP && id->bytes == PAGE_SIZE);
		assert_true(alias && !alias->x && !alias->w);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP), true), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP + PAGE_SIZE), true), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP + PAGE_SIZE), false), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP), false), 0);
		read_back(hostmap_root());
		id = find(TRAMP);
		alias = find(DIRECT_MAP_BASE + TRAMP);
		assert_null(id);
		assert_true(alias && !alias->x && alias->w);
		/* Neither the image nor the null page nor anything that is not mapped can be had that way. */
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP), false), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(IMAGE + 0x1000), false), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(IMAGE + 0x1000), true), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(0), true), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(0xa0000), true), -E_INVAL);
		assert_int_equal(hostmap_identity_exec(hpa(TRAMP + 1), true), -E_INVAL);
		arena_close(&arena);
	}
}

static void a_bad_image_is_refused(void **state)
{
	arena_open(&arena, hpa(0), RAM_END);
	machine();
	arena.bi.section[1].write = arena.bi.section[1].exec = true;
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), -E_NOSUP);
	arena.bi.section[1].write = arena.bi.section[1].exec = false;
	arena.bi.section[1].base = hpa(0);
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), -E_NOSUP);
	arena.bi.section[1].base = hpa(1ull << 47);
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), -E_NOSUP);
	arena_close(&arena);
}

static void too_little_memory_is_an_error(void **state)
{
	arena_open(&arena, hpa(0), RAM_END);
	arena_range(&arena, hpa(MiB), 8 * PAGE_SIZE, MEM_USABLE);
	arena_range(&arena, hpa(16 * MiB), 5 * MiB + PAGE_SIZE, MEM_BOOT);
	arena_start(&arena);
	assert_int_equal(hostmap_init_for(&arena.bi, cpu), -E_NOMEM);
	arena_close(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_and_nothing_else_is_mapped),
		cmocka_unit_test(large_pages_are_used_where_they_fit),
		cmocka_unit_test(readable_means_mapped),
		cmocka_unit_test(stacks_stand_between_guards),
		cmocka_unit_test(a_stack_that_finds_no_memory_leaves_nothing_behind),
		cmocka_unit_test(devices_get_their_memory_type),
		cmocka_unit_test(the_start_page_is_executable_only_while_asked),
		cmocka_unit_test(a_bad_image_is_refused),
		cmocka_unit_test(too_little_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
