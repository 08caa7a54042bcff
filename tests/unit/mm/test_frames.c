/* SPDX-License-Identifier: MIT */
/* The frame allocator over a test arena: sizes, merging, runs, ranges, mistakes of callers. (Scrubbing:
 * test_frames_scrub.c. Random use: test_frames_model.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/support/rig/frames_rig.h"

static void sizes_are_naturally_aligned_and_within_the_ranges(void **state)
{
	struct frames_stats before;

	arena_start(&arena);
	frames_stats(&before);
	/* The last GiB lost the allocator's records. */
	assert_int_equal(before.free_pieces[FRAME_1G], 2);
	for (int s = FRAME_4K; s < FRAME_SIZES; s++) {
		pfn_t f;

		assert_int_equal(frame_alloc((enum frame_size)s, OWNER_LETHE, &f), 0);
		assert_true(is_aligned(f.v, frame_pages((enum frame_size)s)));
		assert_true(f.v >= BASE / PAGE_SIZE);
		assert_true(f.v + frame_pages((enum frame_size)s) <= (BASE + 3 * GiB) / PAGE_SIZE);
		assert_balanced();
		frame_free((enum frame_size)s, OWNER_LETHE, f);
	}
	assert_same_stats(&before);
}

static void records_are_small(void **state)
{
	arena_start(&arena);
	assert_true(frames_owned(OWNER_LETHE) <= 3); /* for 3 GiB; the promise is 2.2 KiB a GiB */
}

static void small_pieces_do_not_break_whole_gigas(void **state)
{
	struct frames_stats s;
	pfn_t f;

	arena_start(&arena);
	for (int i = 0; i < 1000;
		i++) /* 500 blocks and one cut up: they fit the GiB that the records broke */
		assert_int_equal(frame_alloc(i & 1 ? FRAME_4K : FRAME_2M, VM_A, &f), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_1G], 2);
}

static void everything_can_be_taken_and_given_back_as_pages(void **state)
{
	struct frames_stats before, s;
	uint64_t n = 0, cap;
	pfn_t *f;

	arena_range(&arena, hpa(BASE), 64 * MiB + 5 * PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	cap = before.free;
	f = calloc(cap, sizeof(*f));
	while (!frame_alloc(FRAME_4K, VM_A, &f[n])) {
		*(uint64_t *)pfn_to_virt(f[n]) = n;
		n++;
		assert_true(n <= cap);
	}
	assert_int_equal(n, before.free_pieces[FRAME_4K]);
	frames_stats(&s);
	assert_int_equal(s.free, 0);
	assert_balanced();
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(*(uint64_t *)pfn_to_virt(f[i]), i); /* no page was handed out twice */
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f[n]), -E_NOMEM);
	for (uint64_t i = 0; i < n; i++)
		frame_free(FRAME_4K, VM_A, f[(i * 7919) % n]);
	assert_same_stats(&before);
	free(f);
}

static void pages_merge_into_a_whole_giga_again(void **state)
{
	struct frames_stats before, s;
	static pfn_t f[3000];

	arena_range(&arena, hpa(BASE), GiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + GiB), 4 * PAGE_SIZE, MEM_USABLE); /* for the records */
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(before.free_pieces[FRAME_1G], 1);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		assert_int_equal(frame_alloc(FRAME_4K, OWNER_LETHE, &f[i]), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_1G], 0);
	assert_int_equal(s.free_pieces[FRAME_2M], 512 - (ARRAY_SIZE(f) + 510) / 511);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		frame_free(FRAME_4K, OWNER_LETHE, f[(i * 7) % ARRAY_SIZE(f)]);
	assert_same_stats(&before);
}

static void nothing_below_1m_and_nothing_of_other_types_is_handed_out(void **state)
{
	struct arena low;
	struct frames_stats s;
	pfn_t f;

	arena_close(&arena);
	arena_open(&low, hpa(0), 1 * GiB);
	arena_range(&low, hpa(0), 640 * KiB, MEM_USABLE);
	arena_range(&low, hpa(640 * KiB), 384 * KiB, MEM_RESERVED);
	arena_range(&low, hpa(1 * MiB), 7 * MiB, MEM_USABLE);
	arena_range(&low, hpa(8 * MiB), 1 * MiB, MEM_BOOT);
	arena_range(&low, hpa(9 * MiB), 1 * MiB, MEM_ACPI_NVS);
	arena_range(&low, hpa(10 * MiB), 3 * PAGE_SIZE, MEM_USABLE);
	memset(low.mem, 0x5a, 12 * MiB);
	arena_start(&low);
	frames_stats(&s);
	assert_int_equal(s.total, 7 * MiB / PAGE_SIZE + 3);
	while (!frame_alloc(FRAME_4K, VM_A, &f)) {
		uint64_t at = pfn_to_hpa(f).v;

		assert_true(
			(at >= 1 * MiB && at < 8 * MiB) || (at >= 10 * MiB && at < 10 * MiB + 3 * PAGE_SIZE));
	}
	for (uint64_t i = 0; i < 10 * MiB; i++) /* the rest was not touched either */
		if (i < MiB || i >= 8 * MiB)
			assert_int_equal(((uint8_t *)low.mem)[i], 0x5a);
	arena_close(&low);
	arena_open(&arena, hpa(BASE), GiB);
}

static void runs_are_contiguous_and_come_back_whole(void **state)
{
	static const uint64_t lengths[] = { 1, 2, 5, 511, 512, 513, 1000, 1024, 5000 };
	struct frames_stats before;
	pfn_t run[ARRAY_SIZE(lengths)];

	arena_range(&arena, hpa(BASE), 200 * MiB, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_int_equal(frames_alloc_run(lengths[i], OWNER_LETHE, &run[i]), 0);
		if (lengths[i] >= 512)
			assert_true(is_aligned(run[i].v, 512));
		memset(pfn_to_virt(run[i]), (int)i + 1, lengths[i] * PAGE_SIZE);
		assert_balanced();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint8_t *p = pfn_to_virt(run[i]);

		for (uint64_t at = 0; at < lengths[i] * PAGE_SIZE; at += 512)
			assert_int_equal(p[at], i + 1);
		frames_free_run(lengths[i], OWNER_LETHE, run[i]);
	}
	assert_same_stats(&before);
	assert_int_equal(frames_alloc_run(200 * MiB / PAGE_SIZE, OWNER_LETHE, &run[0]), -E_NOMEM);
	assert_int_equal(frames_alloc_run(1ull << 51, OWNER_LETHE, &run[0]), -E_NOMEM);
	assert_same_stats(&before);
}

static void a_run_may_cross_gigas(void **state)
{
	struct frames_stats before;
	pfn_t f;

	arena_range(&arena, hpa(BASE + GiB - 4 * MiB), 8 * MiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + 2 * GiB), 4 * PAGE_SIZE, MEM_USABLE); /* for the records */
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(frames_alloc_run(1100, OWNER_LETHE, &f), 0);
	assert_true(f.v < (BASE + GiB) / PAGE_SIZE && f.v + 1100 > (BASE + GiB) / PAGE_SIZE);
	assert_balanced();
	frames_free_run(1100, OWNER_LETHE, f);
	assert_same_stats(&before);
}

static void boot_memory_is_given_later_and_merges(void **state)
{
	struct frames_stats s;

	arena_range(&arena, hpa(BASE), 1 * MiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + 1 * MiB), 3 * PAGE_SIZE, MEM_BOOT);
	arena_range(&arena, hpa(BASE + 1 * MiB + 3 * PAGE_SIZE), 5 * MiB - 3 * PAGE_SIZE, MEM_BOOT_SERVICES);
	arena_range(&arena, hpa(BASE + 6 * MiB), 2 * MiB + 4 * PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_2M], 1);
	assert_int_equal(frames_add_boot_services(&arena.bi), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_2M], 3); /* [2, 8) MiB; the first 2 MiB still have a hole */
	assert_int_equal(frames_donate(hpa(BASE + 1 * MiB), 3), 0);
	frames_stats(&s);
	/* The records came from the top of the smaller range: the first one. */
	assert_int_equal(s.free_pieces[FRAME_2M], 3);
	assert_int_equal(s.total, 8 * MiB / PAGE_SIZE + 4);
	assert_balanced();
	assert_int_equal(frames_donate(hpa(64 * GiB), 1), -E_RANGE);
	assert_int_equal(frames_donate(hpa(~0ull & ~PAGE_MASK), ~0ull), 0); /* beyond reach: nothing */
	assert_balanced();
}

static void mistakes_are_caught(void **state)
{
	pfn_t f, run;

#define START()                                                                                              \
	do {                                                                                                 \
		arena_start(&arena);                                                                         \
		frame_alloc(FRAME_4K, VM_A, &f);                                                             \
	} while (0)
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_B, f)));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, f)));
	START();
	frame_free(FRAME_4K, VM_A, f);
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, f)));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, pfn(f.v + 1))));
	START(); /* no owner may free the record of the split block */
	assert_true(stopped_by_assert(frame_free(FRAME_4K, OWNER_LETHE, pfn((f.v & ~511ull) + 511))));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, pfn(1ull << 40))));
	START();
	assert_true(stopped_by_assert(frame_alloc(FRAME_4K, OWNER_NOBODY, &f)));
	START();
	assert_true(stopped_by_assert(frame_alloc(FRAME_4K, OWNERS_MAX, &f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	frame_free(FRAME_2M, VM_A, f);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, pfn(f.v + 1))));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(4, VM_A, run)));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(6, VM_A, run)));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(4, VM_A, pfn(run.v + 1))));
	START();
	frames_alloc_run(600, VM_A, &run);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, run)));
	START();
	frames_alloc_run(1024, VM_A, &run);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, pfn(run.v + 512))));
	START();
	assert_true(stopped_by_assert(frames_donate(hpa(BASE), 1))); /* it is ours already */
#undef START
}

static void no_ram_is_an_error(void **state)
{
	assert_int_equal(frames_init(&arena.bi), -E_NOMEM);
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_RESERVED);
	assert_int_equal(frames_init(&arena.bi), -E_NOMEM);
}

static void a_planted_failure_comes_once_and_takes_nothing(void **state)
{
	struct frames_stats before;
	pfn_t f, run;

	arena_range(&arena, hpa(BASE), 2 * MiB, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(frames_fail_at(2), 0);
	assert_int_equal(frame_alloc(FRAME_4K, VM_A, &f), 0);
	assert_int_equal(frames_alloc_run(2, VM_A, &run), -E_NOMEM);
	assert_int_equal(frames_alloc_run(2, VM_A, &run), 0);
	frames_free_run(2, VM_A, run);
	frame_free(FRAME_4K, VM_A, f);
	assert_int_equal(frames_fail_at(2), 0);
	assert_int_equal(frames_fail_at(0), 2);
	assert_same_stats(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes_are_naturally_aligned_and_within_the_ranges),
		T(records_are_small),
		T(small_pieces_do_not_break_whole_gigas),
		T(everything_can_be_taken_and_given_back_as_pages),
		T(pages_merge_into_a_whole_giga_again),
		T(nothing_below_1m_and_nothing_of_other_types_is_handed_out),
		T(runs_are_contiguous_and_come_back_whole),
		T(a_run_may_cross_gigas),
		T(boot_memory_is_given_later_and_merges),
		T(mistakes_are_caught),
		T(no_ram_is_an_error),
		T(a_planted_failure_comes_once_and_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
