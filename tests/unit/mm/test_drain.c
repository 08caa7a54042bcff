/* SPDX-License-Identifier: MIT */
/*
 * Reclaim under pressure: tests 2 (nothing can be given up but the root), 4 (all vCPUs fault as fast as they can during a
 * drain), 5 (a pinned root is met once, and no vCPU loads again), 7 (each batch within its bounds, whatever else goes on).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

#define VCPUS  4u
#define TABLES 4096u /* of leaves that the guest can have: its memory repeats */

static void start(uint64_t pool_pages, bool debug)
{
	struct mmu_params p = { .vcpus = VCPUS, .caps = rig_caps(), .pool_pages = pool_pages };
	struct slot_desc d = { .base = gfn(0), .pages = TABLES * 512ul };
	struct backing *few;
	slot_id id;

	p.caps.ept_2m = false;
	rig_start_with(&p, 256 * MiB, debug);
	assert_int_equal(backing_alloc(512, RIG_RAM, &few), 0);
	assert_int_equal(backing_repeat(few, d.pages, &d.backing), 0);
	assert_int_equal(slot_add(rig.mmu, &d, &id), 0);
	rig_own(d.backing);
	rig_own(few);
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

/* vCPU i needs one table more. It is in the guest before and after. */
static void one_more(unsigned i, uint64_t table)
{
	assert_int_equal(rig_access(i, table % TABLES * 512, MMU_WRITE, NULL), MMU_RESUME);
}

/* Test 4: each batch frees less than the vCPUs make in the meantime, and still the drain ends: when what was obsolete at
 * its beginning is gone. The new tables are many, and not one of them has gone with the old. */
static void a_drain_ends_though_all_fault_faster_than_it_frees(void **state)
{
	uint64_t old, freed = 0, batches = 0, next = 0;

	start(TABLES + 64, true);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t t = 0; t < 200; t++)
		one_more(0, t);
	rig_exit(0);
	mmu_invalidate_all(rig.mmu);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(rig_enter(i), 0);
	old = rig_stats().waiting;
	assert_true(old > 200);
	while (mmu_reclaim_waiting(rig.mmu)) {
		freed += mmu_reclaim(rig.mmu, 2, 4096);
		for (unsigned n = 0; n < 3 * VCPUS; n++)
			one_more(n % VCPUS, next++);
		assert_true(++batches <= old);
	}
	assert_true(next > 2 * old);
	assert_true(freed <= old);
	assert_true(rig_stats().pages_live >= next);
}

/* Test 5: a root that a sleeping vCPU has pinned is put aside when reclaim comes to it, once; no debt is left that would
 * call for another drain, and the vCPUs that run load no root again and flush nothing. */
static void a_pinned_root_makes_no_vcpu_load_again(void **state)
{
	uint64_t invepts, batches;
	struct spage *root;

	start(0, true);
	assert_int_equal(rig_enter(1), 0);
	for (uint64_t t = 0; t < 30; t++)
		one_more(1, t);
	rig_exit(1); /* and sleeps */
	mmu_invalidate_all(rig.mmu);
	assert_int_equal(rig_enter(0), 0);
	root = rig.v[0].root.page;
	invepts = hw_cpu[0].invepts;
	for (batches = 0; mmu_reclaim_waiting(rig.mmu); batches++) {
		rig_exit(0);
		assert_int_equal(rig.v[0].requests, 0);
		mmu_reclaim(rig.mmu, 3, 4096);
		assert_int_equal(rig_enter(0), 0);
		assert_ptr_equal(rig.v[0].root.page, root);
	}
	assert_true(batches >= 10 && batches < 20);
	assert_int_equal(hw_cpu[0].invepts, invepts);
	assert_true(rig.v[1].root.page && rig.v[1].root.page->flags & SPAGE_INVALID);
	assert_int_equal(rig.mmu->pool.used, rig_stats().pages_live + 1);
	assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 0);
	/* It wakes: one load, and its old root goes. */
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_drain(), 1);
}

/* Test 7: budgets from one page and one entry up, while vCPUs build, bump and allocations retire what they can. */
static void every_batch_keeps_within_its_bounds(void **state)
{
	uint64_t batches = 0, inside = 0;

	start(0, false);
	oracle_seed(5);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned i = (unsigned)below(VCPUS), pages = 1 + (unsigned)below(20),
			 entries = 1 + (unsigned)below(below(2) ? 20 : 600), n;
		uint64_t before;

		while (!rig.in[i] && rig_enter(i))
			for (unsigned o = 0; o < VCPUS; o++)
				if (rig.in[o] && rig.kicked[o])
					rig_exit(o);
		for (uint64_t t = below(TABLES / 8), g = below(60); g; g--)
			assert_int_equal(rig_access(i, t * 512 + g, MMU_WRITE, NULL), MMU_RESUME);
		if (!below(12))
			mmu_invalidate_all(rig.mmu);
		for (unsigned o = 0; o < VCPUS; o++)
			if (rig.in[o] && rig.kicked[o])
				rig_exit(o);
		rig.mmu->stats.batch_entries_max = rig.mmu->stats.batch_pages_max = 0;
		before = rig_stats().pages_freed;
		n = mmu_reclaim(rig.mmu, pages, entries);
		assert_true(n <= pages);
		assert_int_equal(rig_stats().pages_freed - before, n);
		assert_true(rig_stats().batch_entries_max <= entries);
		assert_true(rig_stats().batch_pages_max <= pages);
		batches += n != 0;
		if (rig.mmu->drain.partial) {
			/* What is left of it is what was not cleared. */
			inside++;
			assert_true(rig.mmu->drain.partial->lo < rig.mmu->drain.partial->hi);
			for (unsigned e = 0; e < rig.mmu->drain.partial->lo; e++)
				assert_int_equal(spage_table(rig.mmu->drain.partial)[e], 0);
		}
	}
	assert_true(batches > 100 && inside > 100);
}

/* Test 2: the pool is used up by the faulting vCPU's own path. It is refused, or taken from elsewhere, but the root and
 * what leads to the page that faults stay, and the guest goes on with what it has. */
static void the_faults_own_path_is_never_the_victim(void **state)
{
	enum mmu_verdict d = MMU_RESUME;
	struct spage *root;
	uint64_t f, g;

	start(0, true);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_WRITE, &f), MMU_RESUME);
	root = rig.v[0].root.page;
	/* Four tables are in use, all of them on the path of gfn 5, and there are no more. */
	assert_int_equal(rig.mmu->pool.used, 4);
	rig.mmu->pool.limit = 4;
	rig_exit(0);
	for (unsigned n = 0; n < 20 && d == MMU_RESUME; n++)
		d = mmu_violation(&rig.v[0], gpa(6 << 12), MMU_WRITE);
	assert_int_equal(d, MMU_NO_MEMORY);
	assert_int_equal(rig_stats().evictions, 0);
	/* One elsewhere: the table of gfn 5 is not on its path and may go, the three above it may not. */
	for (unsigned n = 0; n < 20; n++)
		assert_int_not_equal(mmu_violation(&rig.v[0], gpa(512ull << 12), MMU_WRITE), MMU_MMIO);
	assert_ptr_equal(rig.v[0].root.page, root);
	assert_ptr_equal(rig.mmu->root, root);
	assert_false(root->flags & SPAGE_INVALID);
	assert_true(root->gen == rig.mmu->front.valid_gen && root->pins == 1 && root->children == 1);
	/* With room again all goes on, on the same root. */
	rig.mmu->pool.limit = 64;
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_READ, &g), MMU_RESUME);
	assert_int_equal(f, g);
	assert_ptr_equal(rig.v[0].root.page, root);
}

/* The pool is full of tables that were all used lately: that is no lack of memory, some of them just have to go. */
static void used_tables_go_when_there_are_no_others(void **state)
{
	start(TABLES / 2, true);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t t = 0; t < TABLES; t++)
		one_more(0, t);
	assert_true(rig_stats().evictions >= TABLES / 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(a_drain_ends_though_all_fault_faster_than_it_frees),
		T(a_pinned_root_makes_no_vcpu_load_again),
		T(every_batch_keeps_within_its_bounds),
		T(the_faults_own_path_is_never_the_victim),
		T(used_tables_go_when_there_are_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
