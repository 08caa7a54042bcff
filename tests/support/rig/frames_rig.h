/* SPDX-License-Identifier: MIT */
/* A rig for the tests of the frame allocator: an arena of 3 GiB at 4 GiB, two owners, and checks of the accounts. */
#pragma once

#include <cmocka.h>
#include <sys/mman.h>

#include "tests/support/rig/arena.h"

#define BASE (4 * GiB)
#define VM_A (OWNER_VM0)
#define VM_B (OWNER_VM0 + 2)

static struct arena arena;

static inline int setup(void **state)
{
	arena_open(&arena, hpa(BASE), 3 * GiB);
	/* Whole GiBs are cleared here; if this is refused, that takes longer. */
	madvise(arena.mem, arena.bytes, MADV_HUGEPAGE);
	return 0;
}

static inline int teardown(void **state)
{
	arena_close(&arena);
	return 0;
}

static inline uint64_t owned_by_all(void)
{
	uint64_t sum = 0;

	for (unsigned o = 1; o < OWNERS_MAX; o++)
		sum += frames_owned((owner_t)o);
	return sum;
}

static inline void assert_balanced(void)
{
	struct frames_stats s;

	frames_stats(&s);
	assert_int_equal(s.total, s.free + owned_by_all());
}

static inline void assert_same_stats(const struct frames_stats *a)
{
	struct frames_stats b;

	frames_stats(&b);
	assert_memory_equal(a, &b, sizeof(b));
}

static inline bool is_zero(pfn_t f, uint64_t pages)
{
	const uint64_t *p = pfn_to_virt(f);

	for (uint64_t i = 0; i < pages * PAGE_SIZE / 8; i++)
		if (p[i])
			return false;
	return true;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
