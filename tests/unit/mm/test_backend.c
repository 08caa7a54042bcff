/* SPDX-License-Identifier: MIT */
/* The seam of the MMU (mm/mmu/backend.h): cut, detach in pieces, tables below a page, walks for dumps, roots that a
 * vCPU keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/mmu/backend.h"
#include "mm/mmu/indirect.h"
#include "tests/support/nested/backends.h"
#include "tests/support/rig/rig.h"

#define GIB_PAGES (1ull << 18)
#define TABLES	  5u /* of level 1, in the first GiB */

static const struct backend *back_end(void)
{
	return rig.mmu->backend;
}

/* The shadow page of a level on the way to g. */
static struct spage *page_at(uint64_t g, unsigned level)
{
	struct spage *p = rig.mmu->root;

	while (role_level(p->role) > level)
		p = spage_of(ept_pfn(spage_table(p)[level_index(g, role_level(p->role))]));
	return p;
}

static void reach_all(void)
{
	assert_int_equal(rig_enter(0), 0);
	for (unsigned t = 0; t < TABLES; t++)
		assert_int_equal(rig_access(0, t * ENTRIES + 7 * t, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, GIB_PAGES, MMU_WRITE, NULL), MMU_RESUME);
	rig_exit(0);
}

/* Small pages: TABLES tables in the first GiB, one in the second. The vCPU is outside, and the lock held. */
static void start(void)
{
	struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };

	p.caps.ept_2m = p.caps.ept_1g = false;
	rig_start_with(&p, 256 * MiB, true);
	rig_slot(0, TABLES * ENTRIES, 0);
	rig_slot(GIB_PAGES, ENTRIES, 0);
	reach_all();
	mmu_lock(rig.mmu);
}

/* What was taken away can be made anew, and all of it comes back to the pool. */
static void stop(void)
{
	mmu_flush_request(rig.mmu, true);
	mmu_unlock(rig.mmu);
	reach_all();
	assert_int_equal(back_end()->below(rig.mmu->root, 100), 1 + 2 + TABLES + 1);
	rig_drain();
	assert_int_equal(rig.mmu->pool.used, rig.mmu->count.valid);
	rig_stop();
}

static void tables_below_a_page_are_counted_up_to_a_bound(void **state)
{
	start();
	assert_int_equal(back_end()->below(page_at(0, 1), 100), 0);
	assert_int_equal(back_end()->below(page_at(0, 2), 100), TABLES);
	assert_int_equal(back_end()->below(page_at(0, 3), 100), 2 + TABLES + 1);
	assert_int_equal(back_end()->below(rig.mmu->root, 100), 1 + 2 + TABLES + 1);
	/* It stops before the other GiB. */
	assert_int_equal(back_end()->below(rig.mmu->root, 3), 1 + 2 + TABLES);
	stop();
}

static void a_cut_takes_along_all_that_is_below_and_nothing_else(void **state)
{
	uint64_t e, valid;
	unsigned level, below;

	start();
	valid = rig.mmu->count.valid;
	below = back_end()->below(page_at(0, 2), 100);
	back_end()->cut(rig.mmu, page_at(0, 2));
	assert_int_equal(rig.mmu->count.valid, valid - 1 - below);
	assert_int_equal(rig.mmu->count.pending, 1 + below);
	for (unsigned t = 0; t < TABLES; t++)
		assert_false(rig_leaf(t * ENTRIES + 7 * t, &e, &level));
	assert_true(rig_leaf(GIB_PAGES, &e, &level));
	stop();
}

/* Also where a vCPU faults in between: then more is to be detached, and it ends all the same. */
static void detached_in_pieces_is_the_same_as_cut(void **state)
{
	for (unsigned piece = 1; piece < 700; piece = piece * 3 + 1) {
		unsigned left, calls = 0;
		bool done;
		struct spage *p;

		start();
		p = page_at(0, 3);
		do {
			unsigned before = back_end()->below(p, 100);

			left = piece;
			done = back_end()->detach(rig.mmu, p, &left);
			assert_true(left <= piece && (done || !left));
			assert_true(back_end()->below(p, 100) <= before);
			if (++calls == 4) {
				mmu_flush_request(rig.mmu, true);
				mmu_unlock(rig.mmu);
				rig_drain();
				assert_int_equal(rig_enter(0), 0);
				assert_int_equal(rig_access(0, 3, MMU_READ, NULL), MMU_RESUME);
				rig_exit(0);
				mmu_lock(rig.mmu);
				done = false;
			}
		} while (!done);
		assert_int_equal(back_end()->below(p, 100), 0);
		assert_int_equal(p->children, 0);
		/* p itself is still linked. */
		assert_ptr_equal(page_at(0, 3), p);
		assert_int_equal(rig.mmu->count.valid, 2);
		stop();
	}
}

static void a_walk_ends_where_the_cpu_would(void **state)
{
	struct mmu_step step[LEVELS_MOST];
	unsigned n;

	start();
	mmu_unlock(rig.mmu);
	n = mmu_walk(&rig.v[0], gpa(0), step);
	assert_int_equal(n, 4);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(step[i].level, 4 - i);
		assert_int_equal(step[i].kind, i < 3 ? MMU_STEP_TABLE : MMU_STEP_LEAF);
	}
	assert_int_equal(step[0].below, 2 + TABLES + 1);
	assert_int_equal(step[2].below, 0);
	/* The next page is not there yet, the hole behind the slots neither; then it is an entry for devices. */
	n = mmu_walk(&rig.v[0], gpa(PAGE_SIZE), step);
	assert_int_equal(step[n - 1].kind, MMU_STEP_EMPTY);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(1ull << 38), MMU_READ), MMU_MMIO);
	n = mmu_walk(&rig.v[0], gpa(1ull << 38), step);
	assert_int_equal(n, 2);
	assert_int_equal(step[1].index, 256);
	assert_int_equal(step[1].kind, MMU_STEP_MMIO);
	/* Beyond what the tables can express; and with no valid root. */
	assert_int_equal(mmu_walk(&rig.v[0], gpa(1ull << 48), step), 0);
	mmu_invalidate_all(rig.mmu);
	assert_int_equal(mmu_walk(&rig.v[0], gpa(0), step), 0);
	mmu_lock(rig.mmu);
	stop();
}

/* ---- roots that a vCPU keeps ---- */

static struct backend keeps;
static struct spage *chosen;

static int chosen_root(struct mmu_vcpu *v, struct spage **out)
{
	*out = chosen;
	return 0;
}

static void start_keeping(unsigned roots)
{
	keeps = backend_mixed;
	keeps.roots_kept = roots;
	keeps.root = chosen_root;
	rig_start_with(
		&(struct mmu_params){
			.backend = &keeps, .vcpus = 1, .caps = rig_caps(), .indirect_pages = 64 },
		256 * MiB, true);
	rig_slot(0, 64, 0);
}

static struct spage *root_of(uint64_t table)
{
	bool flush = false;
	struct spage *p;

	mmu_lock(rig.mmu);
	p = indirect_new(rig.mmu, gfn(table), (role_t){ 4 | EPT_RWX << 4 }, &flush);
	mmu_unlock(rig.mmu);
	return p;
}

/* As after a MOV to CR3. */
static void run_on(struct spage *p)
{
	chosen = p;
	mmu_reload(&rig.v[0]);
	assert_int_equal(rig_enter(0), 0);
	assert_ptr_equal(rig.v[0].root.page, p);
	assert_int_equal(rig.eptp[0] & BITS(51, 12), virt_to_hpa(spage_table(p)).v);
	rig_exit(0);
}

static void a_vcpu_keeps_the_roots_that_it_had_last(void **state)
{
	struct spage *p[4];

	start_keeping(2);
	for (unsigned i = 0; i < 4; i++)
		p[i] = root_of(10 + i);
	run_on(p[0]);
	run_on(p[1]);
	run_on(p[0]);
	assert_ptr_equal(rig.v[0].kept[0].page, p[1]);
	assert_null(rig.v[0].kept[1].page);
	run_on(p[2]);
	run_on(p[3]);
	assert_ptr_equal(rig.v[0].kept[0].page, p[2]);
	assert_ptr_equal(rig.v[0].kept[1].page, p[0]);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(p[i]->pins, i != 1);
	/* The same root again changes nothing. */
	run_on(p[3]);
	assert_ptr_equal(rig.v[0].kept[0].page, p[2]);
	assert_int_equal(p[3]->pins, 1);
	rig_stop();
}

/* Rule 6: no flush has thought of it otherwise, since a root that is pinned is not taken for a new one when it is loaded. */
static void a_flush_reaches_roots_that_are_kept(void **state)
{
	struct spage *a, *b;

	start_keeping(1);
	a = root_of(10);
	b = root_of(11);
	run_on(a);
	run_on(b);
	assert_true(a->cpus && b->cpus);
	mmu_lock(rig.mmu);
	mmu_flush_request(rig.mmu, false);
	mmu_unlock(rig.mmu);
	assert_false(a->cpus || b->cpus);
	rig_stop();
}

/* Test 8 of the contract's list. */
static void a_bump_drops_roots_that_are_kept(void **state)
{
	start_keeping(2);
	run_on(root_of(10));
	run_on(root_of(11));
	mmu_invalidate_all(
		rig.mmu); /* reclaim has not come by yet: nothing marks them but their generation */
	run_on(root_of(10));
	assert_null(rig.v[0].kept[0].page);
	rig_drain();
	assert_int_equal(rig.mmu->pool.used, rig.mmu->count.valid);
	rig_stop();
}

static void a_root_that_is_zapped_while_it_is_kept_is_let_go_of(void **state)
{
	struct spage *a, *b;

	start_keeping(2);
	a = root_of(10);
	b = root_of(11);
	run_on(a);
	run_on(b);
	mmu_lock(rig.mmu);
	indirect_zap(rig.mmu, a);
	mmu_flush_request(rig.mmu, false);
	mmu_unlock(rig.mmu);
	assert_true(rig.v[0].requests & MMU_REQ_RELOAD);
	assert_int_equal(rig_enter(0), 0);
	assert_ptr_equal(rig.v[0].root.page, b);
	assert_null(rig.v[0].kept[0].page);
	rig_exit(0);
	rig_drain();
	assert_int_equal(rig.mmu->pool.used, rig.mmu->count.valid);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_below_a_page_are_counted_up_to_a_bound),
		cmocka_unit_test(a_cut_takes_along_all_that_is_below_and_nothing_else),
		cmocka_unit_test(detached_in_pieces_is_the_same_as_cut),
		cmocka_unit_test(a_walk_ends_where_the_cpu_would),
		cmocka_unit_test(a_vcpu_keeps_the_roots_that_it_had_last),
		cmocka_unit_test(a_flush_reaches_roots_that_are_kept),
		cmocka_unit_test(a_bump_drops_roots_that_are_kept),
		cmocka_unit_test(a_root_that_is_zapped_while_it_is_kept_is_let_go_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
