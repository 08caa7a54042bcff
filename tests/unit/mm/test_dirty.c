/* SPDX-License-Identifier: MIT */
/* The dirty log, step by step: write faults, page-modification logging, stores by the host. (Tests 17 and 18.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"
#include "tests/support/rig/rig.h"

#define PAGES 1024u
#define BASE  0x400u

static uint64_t bitmap[PAGES / 64];

static int start(void **state, bool pml)
{
	struct mmu_params p = { .vcpus = 3, .caps = rig_caps() };

	p.caps.pml = pml;
	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int setup(void **state)
{
	return start(state, false);
}

static int setup_pml(void **state)
{
	return start(state, true);
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

static unsigned read_log(slot_id id, struct mmu_ticket *t)
{
	unsigned n = 0;

	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, PAGES, bitmap, t), 0);
	for (unsigned i = 0; i < PAGES / 64; i++)
		n += (unsigned)__builtin_popcountll(bitmap[i]);
	return n;
}

static bool said(uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

static void write_page(unsigned v, uint64_t page)
{
	assert_int_equal(rig_access(v, BASE + page, MMU_WRITE, NULL), MMU_RESUME);
}

static void wrong_ranges_are_refused(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG), plain = rig_slot(0, 16, 0);
	struct mmu_ticket t;

	assert_int_equal(dirty_log_read_clear(rig.mmu, 77, 0, 64, bitmap, &t), -E_NOENT);
	assert_int_equal(dirty_log_read_clear(rig.mmu, plain, 0, 16, bitmap, &t), -E_INVAL);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 3, 64, bitmap, &t), -E_INVAL);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 65, bitmap, &t), -E_RANGE);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 64, PAGES, bitmap, &t), -E_RANGE);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, UINT64_MAX - 63, 64, bitmap, &t), -E_RANGE);
}

/* Test 17. The slot was mapped by large pages when logging began. */
static void every_page_of_a_large_one_is_told_apart(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, 0);
	struct mmu_ticket t;
	unsigned level;
	uint64_t e;

	assert_int_equal(rig_enter(0), 0);
	write_page(0, 5);
	assert_true(rig_leaf(BASE + 5, &e, &level));
	assert_int_equal(level, 2);
	assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_DIRTY_LOG, &t), 0);
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	rig_exit(0);
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &t));
	for (uint64_t p = 0; p < 512; p++) {
		assert_int_equal(rig_enter(0), 0);
		write_page(0, p);
		rig_exit(0);
		assert_int_equal(read_log(id, &t), 1);
		assert_true(said(p));
	}
	assert_int_equal(read_log(id, &t), 0);
}

/* Test 17: nothing that the guest does marks a read-only page; what the host puts there does. */
static void a_read_only_slot_is_dirtied_by_the_host_alone(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG | SLOT_READONLY);
	struct mmu_ticket t;
	char bytes[8] = { 1 };

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BASE + 3, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, BASE + 3, MMU_WRITE, NULL), MMU_ROM);
	assert_int_equal(read_log(id, &t), 0);
	assert_int_equal(guest_write(rig.mmu, gpa((BASE + 3) << 12), bytes, 8), -E_FAULT);
	assert_int_equal(read_log(id, &t), 0);
	assert_int_equal(guest_write_rom(rig.mmu, gpa(((BASE + 4) << 12) - 4), bytes, 8), 0);
	assert_int_equal(read_log(id, &t), 2);
	assert_true(said(3) && said(4));
}

static void after_a_reading_writes_are_logged_anew(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t, later;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_enter(1), 0);
	write_page(0, 7);
	write_page(1, 600);
	rig.kicked[0] = rig.kicked[1] = false;
	assert_int_equal(read_log(id, &t), 2);
	/* Both may go on writing with what their TLBs hold: the ticket waits until they have left. */
	assert_true(rig.kicked[0] && rig.kicked[1]);
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	/* A reading that finds nothing does not promise more. */
	assert_int_equal(read_log(id, &later), 0);
	assert_false(mmu_ticket_ready(rig.mmu, &later));
	rig_exit(0);
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	rig_exit(1);
	assert_true(mmu_ticket_ready(rig.mmu, &t) && mmu_ticket_ready(rig.mmu, &later));
	assert_int_equal(rig_enter(0), 0);
	write_page(0, 7);
	assert_int_equal(read_log(id, &t), 1);
	assert_true(said(7));
}

static void a_bump_loses_no_record(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	write_page(0, 7);
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	rig_drain();
	assert_int_equal(read_log(id, &t), 1);
	assert_true(said(7));
}

/* Test 18: D is cleared again and again while the guest sets it. */
static void pml_logs_what_it_sets_d_for(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_stats before;
	struct mmu_ticket t;
	unsigned level;
	uint64_t e;

	assert_int_equal(rig_enter(0), 0);
	assert_true(hw_pml[0].on);
	for (uint64_t p = 0; p < 64; p++)
		assert_int_equal(rig_access(0, BASE + p, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig_leaf(BASE + 5, &e, &level));
	assert_int_equal(e & (EPT_W | EPT_D), EPT_W);
	before = rig_stats();
	for (unsigned round = 0; round < 20; round++) {
		for (uint64_t p = 0; p < 64; p++)
			write_page(0, p);
		rig_exit(0);
		assert_int_equal(read_log(id, &t), 64);
		assert_true(mmu_ticket_ready(rig.mmu, &t));
		assert_int_equal(rig_enter(0), 0);
	}
	/* And no write has faulted for it. */
	assert_int_equal(rig_stats().faults, before.faults);
	assert_int_equal(hw_pml[0].logged, 20 * 64);
}

static void a_full_buffer_is_emptied(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	for (uint64_t p = 0; p < PAGES; p++)
		assert_int_equal(rig_access(0, BASE + p, MMU_READ, NULL), MMU_RESUME);
	for (uint64_t p = 0; p < PAGES; p++)
		write_page(0, p);
	rig_exit(0);
	assert_int_equal(hw_pml[0].logged, PAGES);
	assert_int_equal(read_log(id, &t), PAGES);
}

/* A vCPU that entered before logging began logs nothing: until it has left, pages are protected instead. */
static void pml_waits_for_all(void **state)
{
	struct mmu_ticket t;
	unsigned level;
	slot_id id;
	uint64_t e;

	assert_int_equal(rig_enter(1), 0);
	id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	assert_true(rig.kicked[1]);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BASE, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig_leaf(BASE, &e, &level));
	assert_int_equal(e & EPT_W, 0);
	write_page(1, 0);
	assert_int_equal(read_log(id, &t), 1);
	rig_exit(1);
	assert_int_equal(rig_access(0, BASE + 1, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig_leaf(BASE + 1, &e, &level));
	assert_int_equal(e & (EPT_W | EPT_D), EPT_W);
}

/* What lies in a buffer has the addresses of before. */
static void a_slot_that_moves_loses_no_record(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BASE + 9, MMU_READ, NULL), MMU_RESUME);
	write_page(0, 9);
	assert_int_equal(slot_move(rig.mmu, id, gfn(0x4000), &t), 0);
	rig_exit(0);
	read_log(id, &t);
	assert_true(said(9));
}

/* Without a logged slot no VM exit pays for it. */
static void pml_is_off_when_nothing_is_logged(void **state)
{
	slot_id id = rig_slot(BASE, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	assert_true(rig.v[0].pml && hw_pml[0].on);
	assert_int_equal(slot_set_flags(rig.mmu, id, 0, &t), 0);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_false(rig.v[0].pml || hw_pml[0].on);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_pml, teardown)
	const struct CMUnitTest tests[] = {
		T(wrong_ranges_are_refused),
		T(every_page_of_a_large_one_is_told_apart),
		T(a_read_only_slot_is_dirtied_by_the_host_alone),
		T(after_a_reading_writes_are_logged_anew),
		T(a_bump_loses_no_record),
		P(every_page_of_a_large_one_is_told_apart),
		P(a_read_only_slot_is_dirtied_by_the_host_alone),
		P(a_bump_loses_no_record),
		P(pml_logs_what_it_sets_d_for),
		P(a_full_buffer_is_emptied),
		P(pml_waits_for_all),
		P(a_slot_that_moves_loses_no_record),
		P(pml_is_off_when_nothing_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
