/* SPDX-License-Identifier: MIT */
/* What firmware says of the screen's memory: believed, mended, or refused in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "boot/video.h"
#include "lib/bits.h"

#define BASE	0x80000000ull
#define PICTURE (1920ull * 1080 * 4)

static struct framebuffer fb;
static struct mem_range map[3];

static int setup(void **state)
{
	(void)state;
	fb = (struct framebuffer){
		.base = { BASE }, .width = 1920, .height = 1080, .stride = 1920, .format = FB_BGRX8888
	};
	map[0] = (struct mem_range){ .base = { 0 }, .pages = BASE / PAGE_SIZE, .type = MEM_USABLE };
	map[1] = (struct mem_range){ .base = { BASE }, .pages = 256, .type = MEM_MMIO };
	map[2] = (struct mem_range){ .base = { 4 * GiB }, .pages = 1000, .type = MEM_USABLE };
	return 0;
}

static void a_size_that_suffices_is_taken(void **state)
{
	(void)state;
	assert_null(video_size(&fb, PICTURE, map, 3));
	assert_true(fb.size == PICTURE && fb.reported == PICTURE && fb.format == FB_BGRX8888);
	assert_null(video_size(&fb, 16 * MiB, map, 3));
	assert_int_equal(fb.size, 16 * MiB);
}

static void a_size_that_is_too_small_is_computed(void **state)
{
	static const uint64_t reported[] = { PICTURE - 1, 4096, 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(reported); i++) {
		assert_null(video_size(&fb, reported[i], map, 3));
		assert_true(fb.size == PICTURE && fb.reported == reported[i] && fb.format == FB_BGRX8888);
	}
}

/* Painting there would overwrite memory that has another use. */
static void a_computed_size_that_meets_ram_is_refused(void **state)
{
	map[1] = (struct mem_range){
		.base = { BASE + align_down(PICTURE - 1, PAGE_SIZE) }, .pages = 1, .type = MEM_ACPI_NVS
	};
	assert_non_null(strstr(video_size(&fb, 4096, map, 3), "RAM"));
	assert_int_equal(fb.format, FB_NONE);
	setup(state);
	map[1].type = MEM_USABLE;
	assert_non_null(video_size(&fb, PICTURE - 1, map, 3));
}

static void numbers_that_contradict_one_another_are_refused(void **state)
{
	fb.stride = 1919;
	assert_non_null(strstr(video_size(&fb, PICTURE, map, 3), "shorter"));
	setup(state);
	fb.height = 0;
	assert_non_null(video_size(&fb, PICTURE, map, 3));
	setup(state);
	fb.base.v = BIT(52) - PICTURE + 1;
	assert_non_null(strstr(video_size(&fb, PICTURE, map, 3), "address"));
	setup(state);
	fb.width = fb.stride = fb.height = UINT32_MAX;
	assert_non_null(video_size(&fb, 0, map, 3));
	assert_int_equal(fb.format, FB_NONE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(a_size_that_suffices_is_taken),
		T(a_size_that_is_too_small_is_computed),
		T(a_computed_size_that_meets_ram_is_refused),
		T(numbers_that_contradict_one_another_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
