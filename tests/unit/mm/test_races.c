/* SPDX-License-Identifier: MIT */
/*
 * Another CPU comes in between, at each point in turn where the MMU holds no lock (YIELD()): tests 9 (a bump between a
 * fault's walk and its lock), 24 (a slot that goes meanwhile), 26 (no vCPU goes on while another may still reach what was
 * removed), 21 (what is known of holes in the map) and 13 of the dirty log's rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

#define OTHER_CPU 3u

static unsigned point, met;
static void (*comer)(void);
static slot_id ram;
static struct mmu_ticket ticket;

static void between(void)
{
	unsigned was = test_cpu_id;

	if (met++ != point)
		return;
	mmu_yield = NULL; /* it is not interrupted itself */
	test_cpu_id = OTHER_CPU;
	mmu_cpu_quiescent(OTHER_CPU);
	comer();
	mmu_cpu_quiescent(OTHER_CPU);
	test_cpu_id = was;
}

/* From here on `who` is called at point n. */
static void expect(void (*who)(void), unsigned n)
{
	comer = who;
	point = n;
	met = 0;
	mmu_yield = between;
}

/* Ends that. True if it has been called. */
static bool came(void)
{
	mmu_yield = NULL;
	return met > point;
}

static void bump(void)
{
	mmu_invalidate_all(rig.mmu);
}

static void slot_goes(void)
{
	assert_int_equal(slot_delete(rig.mmu, ram, &ticket), 0);
}

static void slot_comes(void)
{
	ram = rig_slot(0x1000, 600, 0);
}

static int setup(void **state)
{
	struct mmu_params p = { .vcpus = 3, .caps = rig_caps() };

	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int setup_targeted(void **state)
{
	struct mmu_params p = { .vcpus = 3, .caps = rig_caps(), .removal = MMU_REMOVAL_TARGETED };

	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	rig_stop();
	return 0;
}

/* The slot has gone: its RAM is given back as its owner would. */
static void gone(void)
{
	for (unsigned i = 0; i < 3; i++)
		if (rig.in[i])
			rig_exit(i);
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &ticket));
	rig_forget(ram);
}

/* Test 9: the fault is not served from what was true before the lock, and nothing of it is built into old tables. */
static void a_bump_between_walk_and_lock_starts_the_fault_again(void **state)
{
	unsigned points = 0;

	ram = rig_slot(0x1000, 600, 0);
	for (unsigned n = 0; n < 20; n++) {
		uint64_t live, e;
		unsigned level;

		assert_int_equal(rig_enter(0), 0);
		rig_exit(0); /* by a violation at gfn 0x1003 */
		expect(bump, n);
		assert_int_equal(mmu_violation(&rig.v[0], gpa(0x1003000), MMU_WRITE), MMU_RESUME);
		if (!came())
			break;
		points++;
		live = rig_stats().pages_live;
		assert_int_equal(live, 0);
		assert_false(rig_leaf(0x1003, &e, &level));
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, 0x1003, MMU_WRITE, NULL), MMU_RESUME);
		rig_exit(0);
		bump();
		rig_drain();
	}
	assert_true(points);
}

/*
 * Test 24: a fault on RAM that goes meanwhile is retried, not taken for a device's. Not only because the retry tells
 * better: a vCPU that emulates an access to a hole acts on the new map (MOVS writes down what it has read), and until vCPU 1
 * has left, it may still reach the old one.
 */
static void a_slot_that_goes_during_a_fault_is_not_taken_for_mmio(void **state)
{
	unsigned points = 0;

	for (unsigned n = 0; n < 20; n++) {
		slot_comes();
		assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(1, 0x1003, MMU_WRITE, NULL), MMU_RESUME);
		assert_int_equal(rig_enter(0), 0);
		rig_exit(0); /* by a violation at gfn 0x1200 */
		expect(slot_goes, n);
		assert_int_equal(mmu_violation(&rig.v[0], gpa(0x1200000), MMU_WRITE), MMU_RESUME);
		if (!came()) {
			slot_goes();
			gone();
			break;
		}
		points++;
		assert_int_equal(mmu_misconfig(&rig.v[0], gpa(0x1003000)), MMU_RESUME);
		assert_int_equal(rig_enter(0), -E_AGAIN);
		rig_exit(1);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, 0x1200, MMU_WRITE, NULL), MMU_MMIO);
		gone();
	}
	assert_true(points);
}

/* Test 26, rule 3: vCPU 1 is on its way into the guest when another switches the BAR off. Either it does not get in, or the
 * other waits until it has left; a vCPU that gets in afterwards finds nothing. */
static void entry_race_with_removal_is_waited_for(void **state)
{
	unsigned points = 0, in = 0, out = 0;

	for (unsigned n = 0; n < 30; n++) {
		uint64_t f;
		int err;

		slot_comes();
		assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(1, 0x1003, MMU_WRITE, &f), MMU_RESUME);
		rig_exit(1);
		/* A flush, so that it has to look after its TLB on the way in as well. */
		mmu_lock(rig.mmu);
		mmu_flush_request(rig.mmu, false);
		mmu_unlock(rig.mmu);
		expect(slot_goes, n);
		err = rig_enter(1);
		if (!came()) {
			slot_goes();
			gone();
			break;
		}
		points++;
		if (!err && (rig.v[1].entered != rig.mmu->front.valid_gen ||
				    rig.v[1].entered_epoch != rig.mmu->front.flush_epoch)) {
			in++;
			assert_true(rig.kicked[1]);
			assert_false(mmu_ticket_ready(rig.mmu, &ticket));
			assert_int_equal(rig_enter(2), -E_AGAIN);
			rig_exit(1);
		} else {
			out++;
		}
		assert_int_equal(rig_enter(2), 0);
		if (!rig.in[1])
			assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(2, 0x1003, MMU_WRITE, &f), MMU_MMIO);
		assert_int_equal(rig_access(1, 0x1003, MMU_WRITE, &f), MMU_MMIO);
		gone();
	}
	assert_true(points >= 4 && in && out);
}

/* Test 21: what a vCPU remembers of a hole in the map is as old as the map, whatever change there is, at any point. */
static void a_hole_is_remembered_as_long_as_the_map_is_the_same(void **state)
{
	unsigned points = 0;

	for (unsigned n = 0; n < 20; n++) {
		uint64_t hits;

		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(rig_enter(i), 0);
			assert_int_equal(rig_access(i, 0x1003, MMU_READ, NULL), MMU_MMIO);
			/* Twice, so that it is remembered; the third time it is known. */
			assert_int_equal(mmu_misconfig(&rig.v[i], gpa(0x1003000)), MMU_MMIO);
			hits = rig.v[i].hole_hits;
			assert_int_equal(mmu_misconfig(&rig.v[i], gpa(0x1004000)), MMU_MMIO);
			assert_int_equal(rig.v[i].hole_hits, hits + 1);
		}
		expect(slot_comes, n);
		/* A place outside of what is remembered, so that the lock is taken. */
		rig.v[0].hole_pages = 0;
		mmu_misconfig(&rig.v[0], gpa(0x1003000));
		if (!came())
			slot_comes();
		else
			points++;
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(mmu_misconfig(&rig.v[i], gpa(0x1003000)), MMU_RESUME);
			assert_int_equal(rig_enter(i), 0);
			assert_int_equal(rig_access(i, 0x1003, MMU_WRITE, NULL), MMU_RESUME);
			rig_exit(i);
		}
		slot_goes();
		gone();
		/* The entry was dropped or is of an older map: a violation, or a misconfiguration that is not believed. */
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, 0x1003, MMU_READ, NULL), MMU_MMIO);
		if (n >= points)
			break;
	}
	assert_true(points);
}

static void write_behind(void)
{
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_access(1, 0x1000 + 70, MMU_WRITE, NULL), MMU_RESUME);
	rig_exit(1);
}

/* Rule 13: a write between two parts of a reading is in this one or in the next. */
static void a_write_during_a_reading_is_in_this_one_or_the_next(void **state)
{
	static uint64_t bits[10], more[10];
	unsigned points = 0;

	ram = rig_slot(0x1000, 600, SLOT_DIRTY_LOG);
	for (unsigned n = 0; n < 20; n++) {
		struct mmu_ticket t;

		expect(write_behind, n);
		assert_int_equal(dirty_log_read_clear(rig.mmu, ram, 0, 600, bits, &t), 0);
		if (!came())
			break;
		points++;
		assert_true(mmu_ticket_ready(rig.mmu, &t));
		assert_int_equal(dirty_log_read_clear(rig.mmu, ram, 0, 600, more, &t), 0);
		assert_int_equal(((bits[1] | more[1]) >> 6) & 1, 1);
	}
	assert_true(points);
}

int main(void)
{
#define B(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T(f)                                                                                                 \
	{                                                                                                    \
#f ", targeted", f, setup_targeted, teardown, NULL                                           \
	}
	const struct CMUnitTest tests[] = {
		B(a_bump_between_walk_and_lock_starts_the_fault_again),
		B(a_slot_that_goes_during_a_fault_is_not_taken_for_mmio),
		T(a_slot_that_goes_during_a_fault_is_not_taken_for_mmio),
		B(entry_race_with_removal_is_waited_for),
		T(entry_race_with_removal_is_waited_for),
		B(a_hole_is_remembered_as_long_as_the_map_is_the_same),
		T(a_hole_is_remembered_as_long_as_the_map_is_the_same),
		B(a_write_during_a_reading_is_in_this_one_or_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
