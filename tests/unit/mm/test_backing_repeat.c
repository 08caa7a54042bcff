/* SPDX-License-Identifier: MIT */
/* Memory that repeats: every page of every repetition is the right frame, and freeing it frees none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/map/backing.h"
#include "tests/support/rig/arena.h"

#define OWNER (OWNER_VM0 + 0)

static struct arena arena;

static int setup(void **state)
{
	arena_open(&arena, hpa(4 * GiB), 64 * MiB);
	arena_start(&arena);
	return 0;
}
static int teardown(void **state)
{
	arena_close(&arena);
	return 0;
}

static void repeats(uint64_t pages, uint64_t times)
{
	uint64_t lethe = frames_owned(OWNER_LETHE);
	struct backing *of, *b;

	assert_int_equal(backing_alloc(pages, OWNER, &of), 0);
	assert_int_equal(backing_repeat(of, pages * times, &b), 0);
	assert_int_equal(backing_pages(b), pages * times);
	for (uint64_t p = 0; p < pages * times; p++)
		assert_int_equal(backing_pfn(b, p).v, backing_pfn(of, p % pages).v);
	backing_free(b);
	assert_int_equal(frames_owned(OWNER), pages);
	backing_free(of);
	assert_int_equal(frames_owned(OWNER), 0);
	assert_int_equal(frames_owned(OWNER_LETHE), lethe);
}

static void small_pieces_repeat(void **state)
{
	repeats(3, 1);
	repeats(3, 400);
}

static void large_and_small_pieces_repeat(void **state)
{
	repeats(512, 70);
	repeats(512 + 5, 200);
}

static void what_does_not_fit_is_refused(void **state)
{
	uint64_t lethe = frames_owned(OWNER_LETHE);
	struct backing *of, *b;

	assert_int_equal(backing_alloc(4, OWNER, &of), 0);
	assert_int_equal(backing_repeat(of, 0, &b), -E_INVAL);
	assert_int_equal(backing_repeat(of, 6, &b), -E_INVAL);
	assert_int_equal(backing_repeat(of, 4ull << 20, &b), -E_NOMEM); /* a million runs */
	backing_free(of);
	assert_int_equal(frames_owned(OWNER_LETHE), lethe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(small_pieces_repeat, setup, teardown),
		cmocka_unit_test_setup_teardown(large_and_small_pieces_repeat, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
