/* SPDX-License-Identifier: MIT */
/* RAM is scrubbed before another owner gets it, but only where something may have been written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rig/frames_rig.h"

static void ram_of_unknown_content_is_scrubbed(void **state)
{
	pfn_t f;

	memset(arena.mem, 0xa5, 64 * MiB);
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_4K, OWNER_LETHE, &f), 0);
	assert_true(is_zero(f, 1));
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f), 0);
	assert_true(is_zero(f, 512));
	assert_int_equal(frames_alloc_run(700, VM_A, &f), 0);
	assert_true(is_zero(f, 700));
}

/* Fills a frame, gives it back, takes it again as `next` and says whether anything of it is still to be seen. */
static bool leaks(enum frame_size size, owner_t first, owner_t next, enum frame_size next_size)
{
	pfn_t f, g;
	bool dirty = false;
	uint64_t n = frame_pages(size) / frame_pages(next_size);
	pfn_t *all = calloc(n, sizeof(*all));

	assert_int_equal(frame_alloc(size, first, &f), 0);
	memset(pfn_to_virt(f), 0xc3, frame_pages(size) * PAGE_SIZE);
	frame_free(size, first, f);
	for (uint64_t i = 0; i < n; i++) {
		if (frame_alloc(next_size, next, &g)) {
			n = i;
			break;
		}
		all[i] = g;
		dirty |= !is_zero(g, frame_pages(next_size));
	}
	for (uint64_t i = 0; i < n; i++)
		frame_free(next_size, next, all[i]);
	free(all);
	return dirty;
}

static void another_owner_sees_nothing_of_the_last_one(void **state)
{
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_false(leaks(FRAME_4K, VM_A, VM_B, FRAME_4K));
	assert_false(leaks(FRAME_2M, VM_A, VM_B, FRAME_2M));
	assert_false(leaks(FRAME_2M, VM_A, VM_B, FRAME_4K)); /* cut up: every page remembers */
	assert_false(leaks(FRAME_2M, VM_A, OWNER_LETHE, FRAME_2M));
	assert_true(leaks(FRAME_2M, VM_A, VM_A, FRAME_2M)); /* one's own: no time is spent on it */
}

static void pages_of_several_owners_merge_into_a_block_of_unknown_content(void **state)
{
	pfn_t f[511], block;

	arena_range(&arena, hpa(BASE), 2 * MiB + PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	for (int i = 0; i < 511; i++) {
		owner_t o = i == 300 ? VM_B : VM_A;

		assert_int_equal(frame_alloc(FRAME_4K, o, &f[i]), 0);
		memset(pfn_to_virt(f[i]), 0x77, PAGE_SIZE);
	}
	for (int i = 0; i < 511; i++)
		frame_free(FRAME_4K, i == 300 ? VM_B : VM_A, f[i]);
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &block), 0);
	assert_true(is_zero(block, 512));
}

/* A word of each 2 MiB of a GiB. */
static uint64_t *word_of(pfn_t giga, unsigned block)
{
	return (uint64_t *)pfn_to_virt(pfn(giga.v + block * 512)) + block;
}

static void mark_blocks(pfn_t giga)
{
	for (unsigned b = 0; b < 512; b++)
		*word_of(giga, b) = ~0ull;
}

static unsigned marked_blocks(pfn_t giga)
{
	unsigned n = 0;

	for (unsigned b = 0; b < 512; b++)
		n += *word_of(giga, b) == ~0ull;
	return n;
}

static void a_giga_is_scrubbed_only_where_it_is_dirty(void **state)
{
	uint64_t giga_pages = frame_pages(FRAME_1G);
	pfn_t f, b, keep[1024];
	unsigned n = 0;

	mark_blocks(pfn(BASE / PAGE_SIZE)); /* what firmware left */
	arena_range(&arena, hpa(BASE), GiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + GiB), 2 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_1G, VM_A, &f), 0);
	assert_int_equal(f.v, BASE / PAGE_SIZE);
	assert_int_equal(marked_blocks(f), 0);
	mark_blocks(f);
	frame_free(FRAME_1G, VM_A, f);
	do /* one block of it goes through B's hands */
		assert_int_equal(frame_alloc(FRAME_2M, VM_B, &keep[n]), 0);
	while (keep[n].v < f.v || keep[n++].v >= f.v + giga_pages);
	b = keep[n - 1];
	memset(pfn_to_virt(b), 0x11, 2 * MiB);
	while (n)
		frame_free(FRAME_2M, VM_B, keep[--n]);
	assert_int_equal(frame_alloc(FRAME_1G, VM_A, &f), 0);
	assert_int_equal(marked_blocks(f), 511);
	assert_true(is_zero(b, 512));
}

static void zeroed_frames_are_zero_even_for_the_last_owner(void **state)
{
	pfn_t f;
	void *p;

	arena_range(&arena, hpa(BASE), 4 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f), 0);
	memset(pfn_to_virt(f), 0x99, 2 * MiB);
	frame_free(FRAME_2M, VM_A, f);
	assert_int_equal(frame_alloc_zero(FRAME_2M, VM_A, &f), 0);
	assert_true(is_zero(f, 512));
	p = frame_alloc_zeroed(OWNER_LETHE);
	assert_non_null(p);
	memset(p, 1, PAGE_SIZE);
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(p)));
	p = frame_alloc_zeroed(OWNER_LETHE);
	assert_true(is_zero(hpa_to_pfn(virt_to_hpa(p)), 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ram_of_unknown_content_is_scrubbed),
		T(another_owner_sees_nothing_of_the_last_one),
		T(pages_of_several_owners_merge_into_a_block_of_unknown_content),
		T(a_giga_is_scrubbed_only_where_it_is_dirty),
		T(zeroed_frames_are_zero_even_for_the_last_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
