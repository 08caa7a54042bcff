/* SPDX-License-Identifier: MIT */
/*
 * Test 18: accessed and dirty flags are set by a CPU, on a thread of its own, while the MMU clears them: reading the dirty
 * log clears D (or W), eviction looks for victims by A. No write goes unrecorded and no entry becomes anything else. And
 * test 17's large page that was read-only before it is logged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

#define BASE  0x2000ull
#define PAGES 512u

static slot_id logged;
static volatile bool stop;

/*
 * The guest's CPU: writes to all pages, walking each time. It sets A and D by locked instructions, and logs the page if D was
 * clear, as one with page-modification logging does; where W is missing it leaves the page for later (a fault is the
 * main thread's to handle).
 */
struct writer {
	uint64_t *table; /* of level 1 */
	struct dirty_log *log;
	uint64_t logged, blocked, wrong;
	uint64_t frame; /* of the first page */
};

static void *writer(void *arg)
{
	struct writer *w = arg;

	for (uint64_t n = 0; !stop; n = (n + 97) % PAGES) {
		uint64_t e = __atomic_load_n(&w->table[n], __ATOMIC_SEQ_CST);

		if ((e & EPT_ADDR) >> 12 != w->frame + n || (e & (EPT_R | EPT_X)) != (EPT_R | EPT_X))
			w->wrong++;
		if (!(e & EPT_W)) {
			__atomic_fetch_add(&w->blocked, 1, __ATOMIC_RELAXED);
			continue;
		}
		/* One locked instruction for both, which is tried again if the entry has changed: it may have lost W. */
		if (!__atomic_compare_exchange_n(
			    &w->table[n], &e, e | EPT_A | EPT_D, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		if (!(e & EPT_D)) {
			dirty_mark(w->log, n);
			w->logged++;
		}
	}
	return NULL;
}

static int setup_with(bool pml)
{
	struct mmu_params p = { .vcpus = 2, .caps = rig_caps() };

	p.caps.pml = pml;
	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int setup(void **state)
{
	return setup_with(false);
}

static int setup_pml(void **state)
{
	return setup_with(true);
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

/* The table that maps the slot, with all of its pages present. */
static uint64_t *map_all(unsigned access)
{
	uint64_t e, *table;
	unsigned level;

	assert_int_equal(rig_enter(0), 0);
	for (uint64_t n = 0; n < PAGES; n++)
		assert_int_equal(rig_access(0, BASE + n, access, NULL), MMU_RESUME);
	rig_exit(0);
	assert_true(rig_leaf(BASE, &e, &level));
	assert_int_equal(level, 1);
	for (table = spage_table(rig.mmu->root), level = rig.mmu->shape.levels; level > 1; level--)
		table = hpa_to_virt(hpa(table[level_index(BASE, level)] & EPT_ADDR));
	return table;
}

/* With page-modification logging D is what is cleared: the page whose D is set in the end is in the log, in a reading or
 * in what is left of it. */
static void d_is_set_while_it_is_cleared(void **state)
{
	static uint64_t bits[PAGES / 64];
	struct writer w = { 0 };
	uint64_t said = 0;
	struct mmu_ticket t;
	pthread_t thread;

	logged = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	w.table = map_all(MMU_READ);
	w.frame = backing_pfn(rig_backing(logged), 0).v;
	w.log = slots_by_id(&rig.mmu->slots, logged)->log;
	assert_int_equal(w.table[3] & (EPT_W | EPT_D), EPT_W);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, writer, &w), 0);
	for (unsigned round = 0; round < 3000 || said < 5000; round++) {
		assert_int_equal(dirty_log_read_clear(rig.mmu, logged, 0, PAGES, bits, &t), 0);
		for (unsigned i = 0; i < PAGES / 64; i++)
			said += (unsigned)__builtin_popcountll(bits[i]);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(w.wrong, 0);
	/* It logged a page only when it set D, and the log was read as often at most. */
	assert_true(said && said <= w.logged);
	assert_int_equal(dirty_log_read_clear(rig.mmu, logged, 0, PAGES, bits, &t), 0);
	/* What was said is clear again, and what is not clear was said: D is set in none. */
	for (unsigned n = 0; n < PAGES; n++) {
		assert_int_equal(w.table[n] & EPT_D, 0);
		said += bits[n / 64] >> n % 64 & 1;
	}
	assert_true(said <= w.logged);
}

/* With write faults it is W. The other thread's faults are handled here. */
static void w_is_taken_while_d_is_set(void **state)
{
	static uint64_t bits[PAGES / 64];
	struct writer w = { 0 };
	struct mmu_ticket t;
	pthread_t thread;

	logged = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	w.table = map_all(MMU_WRITE);
	w.frame = backing_pfn(rig_backing(logged), 0).v;
	w.log = slots_by_id(&rig.mmu->slots, logged)->log;
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, writer, &w), 0);
	/* On a busy host it may be long before the other thread runs. */
	for (unsigned round = 0; round < 400 || !__atomic_load_n(&w.blocked, __ATOMIC_RELAXED); round++) {
		assert_int_equal(dirty_log_read_clear(rig.mmu, logged, 0, PAGES, bits, &t), 0);
		for (unsigned n = 0; n < PAGES; n++)
			if (bits[n / 64] >> n % 64 & 1)
				assert_int_equal(__atomic_load_n(&w.table[n], __ATOMIC_SEQ_CST) & EPT_W, 0);
		for (unsigned n = 0; n < PAGES; n += 3)
			assert_int_equal(
				mmu_violation(&rig.v[0], gpa((BASE + n) << 12), MMU_WRITE), MMU_RESUME);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(w.wrong, 0);
	/* The pages that may be written to are in the log: every third one, and no other. */
	assert_int_equal(dirty_log_read_clear(rig.mmu, logged, 0, PAGES, bits, &t), 0);
	for (unsigned n = 0; n < PAGES; n++) {
		assert_int_equal(bits[n / 64] >> n % 64 & 1, n % 3 == 0);
		assert_int_equal(w.table[n] & EPT_W, 0);
	}
}

static void *toucher(void *arg)
{
	uint64_t *entry = arg;

	while (!stop)
		__atomic_fetch_or(entry, EPT_A, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Eviction takes A for its second chance: a table in use all the time keeps it, and its link. */
static void a_is_set_while_eviction_clears_it(void **state)
{
	uint64_t *link, e, before;
	unsigned level, used = 0;
	struct spage *p;
	pthread_t thread;

	logged = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	p = spage_of(hpa_to_pfn(virt_to_hpa(map_all(MMU_WRITE))));
	link = p->parent;
	before = *link & ~EPT_A;
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, toucher, link), 0);
	for (unsigned n = 0; n < 200000 || !used; n++) {
		mmu_lock(rig.mmu);
		used += ept_test_clear_accessed(rig.mmu, p);
		mmu_unlock(rig.mmu);
		assert_int_equal(__atomic_load_n(link, __ATOMIC_SEQ_CST) & ~EPT_A, before);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(rig_leaf(BASE, &e, &level));
}

/* Test 17: a large page of a read-only slot is in TLBs when logging begins, and again when it becomes writable: from then on
 * each of its 512 pages is told apart. */
static void a_read_only_large_page_that_becomes_writable_is_logged_page_by_page(void **state)
{
	static uint64_t bits[2 * PAGES / 64];
	slot_id id = rig_slot(BASE, 2 * PAGES, SLOT_READONLY);
	struct mmu_ticket t;
	unsigned level;
	uint64_t e;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig_enter(i), 0);
		assert_int_equal(rig_access(i, BASE + 7, MMU_READ, NULL), MMU_RESUME);
		assert_int_equal(rig_access(i, BASE + 7, MMU_WRITE, NULL), MMU_ROM);
	}
	assert_true(rig_leaf(BASE + 7, &e, &level));
	assert_int_equal(level, 2);
	assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_READONLY | SLOT_DIRTY_LOG, &t), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig_enter(i), 0);
		assert_int_equal(rig_access(i, BASE + 7, MMU_READ, NULL), MMU_RESUME);
	}
	assert_true(rig_leaf(BASE + 7, &e, &level));
	assert_int_equal(level, 1);
	assert_int_equal(e & EPT_W, 0);
	assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_DIRTY_LOG, &t), 0);
	for (unsigned i = 0; i < 2; i++)
		rig_exit(i);
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &t));
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_enter(i), 0);
	for (unsigned n = 0; n < 2 * PAGES; n += 5)
		assert_int_equal(rig_access(n % 2, BASE + n, MMU_WRITE, NULL), MMU_RESUME);
	for (unsigned i = 0; i < 2; i++)
		rig_exit(i);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 2 * PAGES, bits, &t), 0);
	for (unsigned n = 0; n < 2 * PAGES; n++)
		assert_int_equal(bits[n / 64] >> n % 64 & 1, n % 5 == 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_pml, teardown)
	const struct CMUnitTest tests[] = {
		P(d_is_set_while_it_is_cleared),
		T(w_is_taken_while_d_is_set),
		T(a_is_set_while_eviction_clears_it),
		T(a_read_only_large_page_that_becomes_writable_is_logged_page_by_page),
		P(a_read_only_large_page_that_becomes_writable_is_logged_page_by_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
