/* SPDX-License-Identifier: MIT */
/* The guest-physical map: backings, look-ups, and changes while vCPUs are in the guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

static int setup(void **state)
{
	rig_start(4);
	return 0;
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

static int add(uint64_t base, uint64_t pages, unsigned flags, struct backing *b, uint64_t from, slot_id *id)
{
	struct slot_desc d = { gfn(base), pages, flags, b, from };

	return slot_add(rig.mmu, &d, id);
}

static void backing_uses_large_pieces_and_small_ones_for_the_tail(void **state)
{
	struct backing *b;

	assert_int_equal(backing_alloc(2 * 512 + 3, RIG_RAM, &b), 0);
	assert_int_equal(backing_pages(b), 2 * 512 + 3);
	for (uint64_t p = 0; p < backing_pages(b); p++) {
		const struct backing_run *r = backing_find(b, p);

		assert_true(p >= r->first && p < r->first + r->pages);
		assert_int_equal(r->size, p < 1024 ? FRAME_2M : FRAME_4K);
		if (p < 1024)
			assert_int_equal(backing_pfn(b, p).v % 512, p % 512);
		assert_int_equal(*(uint64_t *)pfn_to_virt(backing_pfn(b, p)), 0);
	}
	assert_int_equal(frames_owned(RIG_RAM), 2 * 512 + 3);
	backing_free(b);
	assert_int_equal(frames_owned(RIG_RAM), 0);
}

/* With every other block taken by another owner no two pieces are neighbours: as many runs as pieces. */
static void backing_of_scattered_pieces(void **state)
{
	static pfn_t held[120];
	struct backing *b;
	uint64_t seen = 0, before = frames_owned(OWNER_LETHE);

	for (unsigned i = 0; i < 120; i++)
		assert_int_equal(frame_alloc(FRAME_2M, OWNER_LETHE, &held[i]), 0);
	for (unsigned i = 1; i < 120; i += 2)
		frame_free(FRAME_2M, OWNER_LETHE, held[i]);
	assert_int_equal(backing_alloc(56 * 512 + 200, RIG_RAM, &b), 0);
	for (uint64_t p = 0; p < backing_pages(b); p += 1) {
		const struct backing_run *r = backing_find(b, (p * 7919) % backing_pages(b));

		seen += r->pages == 512;
	}
	assert_true(seen > 50 * 512);
	backing_free(b);
	for (unsigned i = 0; i < 120; i += 2)
		frame_free(FRAME_2M, OWNER_LETHE, held[i]);
	assert_int_equal(frames_owned(RIG_RAM), 0);
	assert_int_equal(frames_owned(OWNER_LETHE), before);
}

static void backing_that_does_not_fit_takes_nothing(void **state)
{
	struct frames_stats before, after;
	struct backing *b;

	frames_stats(&before);
	assert_int_equal(backing_alloc(1 << 20, RIG_RAM, &b), -E_NOMEM);
	assert_int_equal(backing_alloc(0, RIG_RAM, &b), -E_INVAL);
	frames_stats(&after);
	assert_int_equal(before.free, after.free);
}

static void bad_slots_are_refused(void **state)
{
	struct backing *b;
	slot_id id, other;
	struct mmu_ticket t;

	assert_int_equal(backing_alloc(100, RIG_RAM, &b), 0);
	assert_int_equal(add(BIT(28) - 50, 100, 0, b, 0, &id), -E_RANGE); /* 40 bits of gpa: 28 of gfn */
	assert_int_equal(add(UINT64_MAX - 5, 100, 0, b, 0, &id), -E_RANGE);
	assert_int_equal(add(0, 0, 0, b, 0, &id), -E_RANGE);
	assert_int_equal(add(0, 100, 0, b, 1, &id), -E_RANGE);
	assert_int_equal(add(0, 100, 0, b, UINT64_MAX, &id), -E_RANGE);
	assert_int_equal(add(0, 100, 1u << 30, b, 0, &id), -E_INVAL);
	assert_int_equal(add(0, 100, 0, NULL, 0, &id), -E_INVAL);
	assert_int_equal(slot_delete(rig.mmu, 0, &t), -E_NOENT);
	assert_int_equal(slot_move(rig.mmu, 7, gfn(0), &t), -E_NOENT);
	assert_int_equal(slot_set_flags(rig.mmu, 7, 0, &t), -E_NOENT);

	assert_int_equal(add(1000, 100, 0, b, 0, &id), 0);
	assert_int_equal(add(1099, 1, 0, b, 0, &other), -E_EXIST);
	assert_int_equal(add(901, 100, 0, b, 0, &other), -E_EXIST);
	assert_int_equal(
		add(900, 100, 0, b, 0, &other), 0); /* the same RAM twice is allowed: aliases exist */
	assert_int_equal(slot_move(rig.mmu, other, gfn(950), &t), -E_EXIST);
	assert_int_equal(slot_move(rig.mmu, other, gfn(BIT(28)), &t), -E_RANGE);
	assert_int_equal(slot_move(rig.mmu, other, gfn(850), &t), 0); /* over its own old place */
	assert_int_equal(slot_set_flags(rig.mmu, other, 1u << 9, &t), -E_INVAL);
	assert_int_equal(slot_delete(rig.mmu, other, &t), 0);
	assert_int_equal(slot_delete(rig.mmu, other, &t), -E_NOENT);
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	backing_free(b);
}

static void as_many_slots_as_there_is_room_for_and_no_more(void **state)
{
	slot_id id[SLOTS_MAX], one;
	struct backing *b;
	struct mmu_ticket t;
	struct slot s;

	assert_int_equal(backing_alloc(4, RIG_RAM, &b), 0);
	/* In a mixed order, so that the table has to sort. */
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		assert_int_equal(add((i * 37 % SLOTS_MAX) * 10, 4, 0, b, 0, &id[i]), 0);
	assert_int_equal(add(100000, 4, 0, b, 0, &one), -E_NOMEM);
	for (unsigned g = 0; g < SLOTS_MAX * 10; g++) {
		assert_int_equal(slots_find(&rig.mmu->slots, gfn(g), &s), g % 10 < 4);
		if (g % 10 < 4)
			assert_int_equal(s.base, g - g % 10);
	}
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		assert_int_equal(slot_delete(rig.mmu, id[i], &t), 0);
	assert_false(slots_find(&rig.mmu->slots, gfn(0), &s));
	backing_free(b);
}

/* Deletions leave their places in the table until the next change: look-ups, gaps and overlaps do not see them, ids are used
 * again. */
static void deleted_slots_are_not_seen_and_their_ids_are_reused(void **state)
{
	uint64_t first, end, seq;
	slot_id id[5], again;
	struct backing *b;
	struct mmu_ticket t;
	struct slot s;

	assert_int_equal(backing_alloc(4, RIG_RAM, &b), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(add(i * 10, 4, 0, b, 0, &id[i]), 0);
	for (unsigned i = 1; i < 4; i++) {
		seq = rig.mmu->slots.seq;
		assert_int_equal(slot_delete(rig.mmu, id[i], &t), 0);
		assert_int_not_equal(rig.mmu->slots.seq, seq);
		assert_false(slots_find(&rig.mmu->slots, gfn(i * 10), &s));
		assert_null(slots_by_id(&rig.mmu->slots, id[i]));
		assert_int_equal(slot_delete(rig.mmu, id[i], &t), -E_NOENT);
	}
	slots_gap(&rig.mmu->slots, gfn(21), &first, &end);
	assert_int_equal(first, 4);
	assert_int_equal(end, 40);
	assert_int_equal(add(8, 4, 0, b, 0, &again), 0);
	assert_int_equal(again, id[1]);
	assert_int_equal(slot_move(rig.mmu, id[4], gfn(29), &t), 0);
	for (unsigned g = 0; g < 50; g++)
		assert_int_equal(slots_find(&rig.mmu->slots, gfn(g), &s),
			g < 4 || (g >= 8 && g < 12) || (g >= 29 && g < 33));
	assert_int_equal(slot_delete(rig.mmu, id[0], &t), 0);
	assert_int_equal(slot_delete(rig.mmu, again, &t), 0);
	assert_int_equal(slot_delete(rig.mmu, id[4], &t), 0);
	backing_free(b);
}

static slot_id going;

static void delete_meanwhile(void)
{
	struct mmu_ticket t;

	mmu_yield = NULL;
	if (slot_delete(rig.mmu, going, &t))
		fail();
}

/* The slot goes between a reader's search and its copy. What is deleted is never given out, least of all with 0 pages. */
static void a_reader_does_not_get_a_slot_that_is_being_deleted(void **state)
{
	struct slot s;
	struct mmu_ticket t;
	struct slot *in_table;

	going = rig_slot(16, 4, 0);
	mmu_yield = delete_meanwhile;
	assert_false(slots_find(&rig.mmu->slots, gfn(17), &s));
	mmu_yield = NULL;
	rig_forget(going);
	/* The same before the version tells of it. */
	going = rig_slot(16, 4, 0);
	in_table = slots_by_id(&rig.mmu->slots, going);
	in_table->pages = 0;
	assert_false(slots_find(&rig.mmu->slots, gfn(17), &s));
	in_table->pages = 4;
	assert_true(slots_find(&rig.mmu->slots, gfn(17), &s));
	assert_int_equal(slot_delete(rig.mmu, going, &t), 0);
}

static struct slot *half_gone;

static void deleted_but_not_published(void)
{
	half_gone->pages = 0;
}

static void a_copy_taken_while_the_slot_goes_is_not_believed(void **state)
{
	struct slot s;

	half_gone = slots_by_id(&rig.mmu->slots, rig_slot(16, 4, 0));
	mmu_yield = deleted_but_not_published;
	assert_false(slots_find(&rig.mmu->slots, gfn(17), &s));
	mmu_yield = NULL;
	half_gone->pages = 4;
}

/* Rule 4: the RAM of a removed slot is reusable when every vCPU has left and every CPU has let go, not before. */
static void ticket_waits_for_vcpus_and_for_cpus(void **state)
{
	slot_id id = rig_slot(0, 16, 0);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_enter(1), 0);
	test_cpu_id = 2;
	mmu_cpu_quiescent(2); /* CPU 2 is in the host, and deletes the slot */
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	assert_true(rig.kicked[0] && rig.kicked[1]);
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	rig_exit(0);
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	rig_exit(1);
	/* All vCPUs are out, but CPU 2 has not passed the top of its loop since: it may hold a pointer. */
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	mmu_cpu_quiescent(2);
	assert_true(mmu_ticket_ready(rig.mmu, &t));
	/* CPUs that came out of the guest afterwards looked nothing up before. */
	assert_true(mmu_host_cpu[0].busy && mmu_host_cpu[1].busy);
}

/* Halted, stopped, parked, never started: holds nothing up. */
static void ticket_does_not_wait_for_vcpus_that_do_not_run(void **state)
{
	slot_id id = rig_slot(0, 16, 0);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(3), 0);
	rig_exit(3);
	mmu_cpu_idle(3);
	test_cpu_id = 0;
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &t));
}

/* Test 26 of the contract: one CPU switches a BAR off and tells another by memory; the other never reaches it. */
static void after_removal_no_vcpu_enters_before_all_have_left(void **state)
{
	slot_id bar = rig_slot(0x1000, 16, 0);
	struct mmu_ticket t;
	uint64_t f;

	for (int policy = 0; policy < 2; policy++) {
		rig.mmu->removal.how = policy ? MMU_REMOVAL_TARGETED : MMU_REMOVAL_BULK;
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(1, 0x1003, MMU_WRITE, &f), MMU_RESUME);
		rig_exit(0); /* vCPU 0 writes to the BAR's configuration register */
		assert_int_equal(slot_delete(rig.mmu, bar, &t), 0);
		assert_int_equal(rig_enter(0), -E_AGAIN);
		assert_int_equal(rig_enter(0), -E_AGAIN);
		assert_true(rig.kicked[1]);
		rig_exit(1);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(1, 0x1003, MMU_WRITE, &f), MMU_MMIO);
		rig_exit(0);
		bar = rig_slot(0x1000, 16, 0);
	}
}

/* Test 24: a fault that was raised before the slot went is retried, not taken for MMIO. */
static void fault_on_a_slot_that_went_is_retried(void **state)
{
	slot_id id = rig_slot(0, 16, 0);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	rig_exit(0); /* by a violation at gfn 3 */
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(0x3000), MMU_READ), MMU_RESUME);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 3, MMU_READ, NULL), MMU_MMIO);
}

static void moved_slot_is_found_at_its_new_place_with_its_content(void **state)
{
	slot_id id = rig_slot(0x200, 600, 0);
	struct mmu_ticket t;
	uint64_t a, b;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x205, MMU_WRITE, &a), MMU_RESUME);
	assert_int_equal(slot_move(rig.mmu, id, gfn(0x1201), &t), 0);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x1206, MMU_WRITE, &b), MMU_RESUME);
	assert_int_equal(a, b);
	assert_int_equal(rig_access(0, 0x205, MMU_READ, NULL), MMU_MMIO);
}

static void flags_change_rights(void **state)
{
	slot_id id = rig_slot(0, 600, SLOT_READONLY);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, 5, MMU_WRITE, NULL), MMU_ROM);
	assert_int_equal(slot_set_flags(rig.mmu, id, 0, &t), 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_READONLY, &t), 0);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_WRITE, NULL), MMU_ROM);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(backing_uses_large_pieces_and_small_ones_for_the_tail),
		T(backing_of_scattered_pieces),
		T(backing_that_does_not_fit_takes_nothing),
		T(bad_slots_are_refused),
		T(as_many_slots_as_there_is_room_for_and_no_more),
		T(deleted_slots_are_not_seen_and_their_ids_are_reused),
		T(a_reader_does_not_get_a_slot_that_is_being_deleted),
		T(a_copy_taken_while_the_slot_goes_is_not_believed),
		T(ticket_waits_for_vcpus_and_for_cpus),
		T(ticket_does_not_wait_for_vcpus_that_do_not_run),
		T(after_removal_no_vcpu_enters_before_all_have_left),
		T(fault_on_a_slot_that_went_is_retried),
		T(moved_slot_is_found_at_its_new_place_with_its_content),
		T(flags_change_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
