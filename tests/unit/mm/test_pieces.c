/* SPDX-License-Identifier: MIT */
/* A VM's memory goes back in pieces, each of which keeps its budget: between two of them other VMs run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/bits.h"
#include "mm/map/backing.h"
#include "mm/mmu/dirty.h"
#include "mm/mmu/internal.h"
#include "tests/support/rig/rig.h"

#define OWNER OWNER_VM0

static const unsigned budgets[] = { 1, 3, 64 };

static void assert_same_stats(const struct frames_stats *before)
{
	struct frames_stats now;

	frames_stats(&now);
	assert_memory_equal(before, &now, sizeof(now));
}

/* Frees b in calls of at most `budget` pieces. Returns how many calls it took. pieces: of what size they are, in pages. */
static unsigned free_backing(struct backing *b, unsigned budget, uint64_t pieces)
{
	unsigned calls = 0;
	bool done;

	do {
		uint64_t before = frames_owned(OWNER), lethe = frames_owned(OWNER_LETHE), given;

		done = backing_free_some(&b, budget);
		given = before - frames_owned(OWNER);
		assert_true(given <= budget * pieces);
		/* The last call gives back the record, too, which is not counted. */
		assert_true(lethe - frames_owned(OWNER_LETHE) <= budget + done);
		/* It gets on: whatever the budget, no call does nothing. */
		assert_true(given || lethe > frames_owned(OWNER_LETHE));
		calls++;
	} while (!done);
	assert_null(b);
	return calls;
}

static void a_gib_goes_back_two_mib_at_a_time(void **state)
{
	struct arena arena;

	arena_open(&arena, hpa(4 * GiB), 3 * GiB);
	arena_start(&arena);
	for (unsigned i = 0; i < ARRAY_SIZE(budgets); i++) {
		struct frames_stats before;
		struct backing *b;
		unsigned calls;

		frames_stats(&before);
		assert_int_equal(backing_alloc(GiB / PAGE_SIZE + 512 + 3, OWNER, &b), 0);
		calls = free_backing(b, budgets[i], 512);
		/* 512 pieces of 2 MiB, one more, three frames. */
		assert_in_range(calls, 516 / budgets[i], 516 / budgets[i] + 1);
		assert_int_equal(frames_owned(OWNER), 0);
		assert_same_stats(&before); /* the block is whole again: 1 GiB can be had as one piece */
	}
	arena_close(&arena);
}

/* Every other frame is taken, so that the backing has a run for each page, and frames for its runs. */
static void frames_and_the_list_of_runs_go_back_in_pieces(void **state)
{
	static pfn_t taken[2048];
	struct frames_stats before;
	struct arena arena;
	unsigned n = 0;

	arena_open(&arena, hpa(4 * GiB), 64 * MiB);
	arena_start(&arena);
	while (!frame_alloc_zero(FRAME_2M, OWNER + 1, &taken[0]))
		;
	while (n < ARRAY_SIZE(taken) && !frame_alloc_zero(FRAME_4K, OWNER + 2, &taken[n]))
		n++;
	assert_in_range(n, 500, ARRAY_SIZE(taken));
	for (unsigned i = 0; i < n; i += 2)
		frame_free(FRAME_4K, OWNER + 2, taken[i]);
	frames_stats(&before);
	for (unsigned i = 0; i < ARRAY_SIZE(budgets); i++) {
		struct backing *b;

		assert_int_equal(backing_alloc(n / 2 - 8, OWNER, &b), 0);
		assert_in_range(free_backing(b, budgets[i], 1), (n / 2 - 8) / budgets[i], n / budgets[i] + 2);
		assert_int_equal(frames_owned(OWNER), 0);
		assert_same_stats(&before);
	}
	arena_close(&arena);
}

static void page_tables_go_back_a_chunk_at_a_time(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(budgets); i++) {
		struct mmu_params p = { .caps = rig_caps() };
		struct frames_stats before;
		struct arena arena;
		struct mmu *mmu;
		unsigned calls = 0;
		bool done;

		arena_open(&arena, hpa(4 * GiB), 64 * MiB);
		arena_start(&arena);
		frames_stats(&before);
		p.vcpus = 1;
		p.owner = OWNER;
		p.ops = &hw_ops;
		p.backend = &mmu_backend_ept;
		p.guest_maxphyaddr = 40;
		assert_int_equal(mmu_create(&p, &mmu), 0);
		while (mmu->pool.bytes < 14 * MiB)
			assert_int_equal(pool_grow(mmu), 0);
		do {
			uint64_t owned = frames_owned(OWNER);

			done = mmu_destroy_some(&mmu, budgets[i]);
			/* A table of slots, and a handful of single frames, come with the chunks. */
			assert_true(owned - frames_owned(OWNER) <= budgets[i] * 512 + 64);
			assert_true(owned > frames_owned(OWNER));
			calls++;
		} while (!done);
		assert_null(mmu);
		assert_in_range(calls, 7 / budgets[i], 7 / budgets[i] + 3);
		assert_int_equal(frames_owned(OWNER), 0);
		assert_same_stats(&before);
		arena_close(&arena);
	}
}

/* The log of a slot of 1 TiB, without the slot: 32 MiB of bits, half a MiB of what moves, and its record. */
static void retired_log(struct mmu *mmu, uint64_t pages)
{
	struct dirty_log *log;

	assert_int_equal(dirty_log_create(mmu, pages, &log), 0);
	mmu_lock(mmu);
	dirty_log_retire(mmu, log, &(struct mmu_ticket){ 0 });
	mmu_unlock(mmu);
}

static void a_large_dirty_log_goes_back_in_pieces(void **state)
{
	for (unsigned how = 0; how < 2; how++) {
		struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };
		struct frames_stats before, after;
		uint64_t none;
		unsigned calls = 0;

		rig_start_with(&p, 256 * MiB, false);
		assert_int_equal(rig_enter(0), 0);
		rig_exit(0);
		frames_stats(&before);
		none = frames_owned(RIG_TABLES);
		retired_log(rig.mmu, BIT(40 - PAGE_SHIFT));
		retired_log(rig.mmu, 3 * DIRTY_CHUNK);
		assert_true(frames_owned(RIG_TABLES) - none > 32 * MiB / PAGE_SIZE);
		while (rig.mmu->count.retired_logs) {
			uint64_t owned = frames_owned(RIG_TABLES);

			if (how) {
				/* A batch: at most 8 pieces, under the lock. */
				assert_true(mmu_reclaim_waiting(rig.mmu));
				assert_true(mmu_reclaim(rig.mmu, 16, 4096));
				assert_true(owned - frames_owned(RIG_TABLES) <= 8 * 512);
			} else {
				dirty_log_destroy_some(rig.mmu, 3);
				assert_true(owned - frames_owned(RIG_TABLES) <= 3 * 512);
			}
			assert_true(owned > frames_owned(RIG_TABLES));
			calls++;
		}
		/* Blocks of 2 MiB, then what is left in frames of 4 KiB. */
		assert_true(calls > (how ? 10 : 30));
		assert_int_equal(frames_owned(RIG_TABLES), none);
		frames_stats(&after);
		assert_memory_equal(&before, &after, sizeof(after));
		/* With the VM: a log in use, one retired. */
		rig_slot(0, 512, SLOT_DIRTY_LOG);
		retired_log(rig.mmu, BIT(40 - PAGE_SHIFT));
		rig_stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gib_goes_back_two_mib_at_a_time),
		cmocka_unit_test(frames_and_the_list_of_runs_go_back_in_pieces),
		cmocka_unit_test(a_large_dirty_log_goes_back_in_pieces),
		cmocka_unit_test(page_tables_go_back_a_chunk_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
