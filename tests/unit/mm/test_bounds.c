/* SPDX-License-Identifier: MIT */
/*
 * How many and how long: as many vCPUs as there are kicked, as many pages as there are used up, debt that stays below its
 * mark, tickets that become ready, an exit whose steps keep their order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/mmu/ept.h"
#include "mm/mmu/indirect.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

static void start(const struct mmu_params *p)
{
	rig_start_with(p, 256 * MiB, true);
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	mutant_select("none");
	rig_stop();
	return 0;
}

/* More than a word of the set of those to be kicked has bits. */
static void every_vcpu_in_the_guest_is_kicked(void **state)
{
	enum { VCPUS = 70 };

	start(&(struct mmu_params){ .vcpus = VCPUS, .caps = rig_caps() });
	rig_slot(0, 64, 0);
	for (unsigned i = 0; i < VCPUS; i++)
		if (i % 3)
			assert_int_equal(rig_enter(i), 0);
	mmu_invalidate_all(rig.mmu);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(rig.kicked[i], i % 3 != 0);
	assert_int_equal(rig_stats().kicks, VCPUS - (VCPUS + 2) / 3);
	/* No vCPU is kicked twice for the same change. */
	memset(rig.kicked, 0, sizeof(rig.kicked));
	mmu_lock(rig.mmu);
	mmu_unlock(rig.mmu);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_false(rig.kicked[i]);
}

/* A ticket must become ready while vCPUs go on running: on the new generation, or after the flush. */
static void a_ticket_does_not_wait_for_vcpus_on_the_new_map(void **state)
{
	for (unsigned removal = MMU_REMOVAL_BULK; removal <= MMU_REMOVAL_TARGETED; removal++) {
		struct mmu_ticket t;
		slot_id id;

		if (removal != MMU_REMOVAL_BULK)
			rig_stop();
		start(&(struct mmu_params){ .vcpus = 2, .caps = rig_caps(), .removal = removal });
		rig_slot(0, 64, 0);
		id = rig_slot(0x1000, 64, 0);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_enter(1), 0);
		assert_int_equal(rig_access(0, 0x1000, MMU_WRITE, NULL), MMU_RESUME);
		assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
		assert_false(mmu_ticket_ready(rig.mmu, &t));
		rig_exit(0);
		rig_exit(1);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_enter(1), 0);
		assert_true(mmu_ticket_ready(rig.mmu, &t));
		rig_forget(id);
	}
}

/* The limit of the pool follows the slots that there are, not those that there were. */
static void the_pools_limit_does_not_grow_with_changes(void **state)
{
	struct mmu_ticket t;
	uint64_t limit = 0, pages;

	start(&(struct mmu_params){ .vcpus = 1, .caps = rig_caps() });
	rig_slot(0, 0x1000, 0);
	pages = rig.mmu->slots.pages;
	for (unsigned i = 0; i < 400; i++) {
		slot_id id = rig_slot(0x10000, 0x800, 0);

		if (!i)
			limit = rig.mmu->pool.limit;
		assert_int_equal(slot_move(rig.mmu, id, gfn(0x20000), &t), 0);
		assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_READONLY, &t), 0);
		assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
		rig_forget(id);
		assert_int_equal(rig.mmu->slots.pages, pages);
		assert_int_equal(rig.mmu->pool.limit, limit);
	}
}

/* A fault may use the last pages that there are: as many as it asks for is enough. */
static void a_fault_is_content_with_as_many_pages_as_it_needs(void **state)
{
	start(&(struct mmu_params){ .vcpus = 1, .caps = rig_caps() });
	rig.mmu->caps.ept_2m = false;
	rig_slot(0, 64, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig.mmu->pool.used, 1);
	/* Nothing but the root is there, so nothing can be given up. */
	rig.mmu->pool.limit = 1 + rig.mmu->shape.levels;
	assert_int_equal(rig_access(0, 5, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(rig.mmu->pool.used, rig.mmu->shape.levels);
	assert_int_equal(rig_stats().evictions, 0);
}

static void a_fault_with_a_page_too_few_ends_in_no_memory(void **state)
{
	enum mmu_verdict d = MMU_RESUME;

	start(&(struct mmu_params){ .vcpus = 1, .caps = rig_caps() });
	rig.mmu->caps.ept_2m = false;
	rig_slot(0, 64, 0);
	assert_int_equal(rig_enter(0), 0);
	rig.mmu->pool.limit = rig.mmu->shape.levels;
	rig_exit(0);
	for (unsigned tries = 0; tries < 1000 && d == MMU_RESUME; tries++)
		d = mmu_violation(&rig.v[0], gpa(5 * PAGE_SIZE), MMU_WRITE);
	assert_int_equal(d, MMU_NO_MEMORY);
	assert_int_equal(rig.mmu->pool.used, 1);
}

/* Rule 9: where no CPU drains, debt is paid by allocation long before the pool holds twice the live set. */
static void debt_is_paid_above_one_and_a_half_of_the_live_set(void **state)
{
	enum { TABLES = 60 };
	uint64_t live;

	start(&(struct mmu_params){ .vcpus = 1, .caps = rig_caps() });
	rig.mmu->caps.ept_2m = false;
	rig_slot(0, TABLES * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	for (unsigned t = 0; t < TABLES; t++)
		assert_int_equal(rig_access(0, t * 512, MMU_WRITE, NULL), MMU_RESUME);
	live = rig_stats().pages_live;
	for (unsigned round = 0; round < 3; round++) {
		mmu_invalidate_all(rig.mmu);
		rig_exit(0);
		assert_int_equal(rig_enter(0), 0);
		for (unsigned t = 0; t < TABLES; t++) {
			assert_int_equal(rig_access(0, t * 512, MMU_WRITE, NULL), MMU_RESUME);
			assert_true(rig.mmu->pool.used <= live * 3 / 2 + rig.mmu->shape.levels);
		}
	}
	/* And not before: what waits may be given back between exits. */
	assert_true(rig_stats().pages_peak >= live * 3 / 2);
}

/* ---- second chance of pages made from the guest's tables ---- */

static bool available(unsigned need)
{
	int err = -E_AGAIN;

	for (unsigned tries = 0; err == -E_AGAIN && tries < 1000; tries++)
		err = mmu_make_available(rig.mmu, need, gfn(0));
	return !err;
}

/* As a fault does that makes an entry in p. */
static bool use(struct spage *p, unsigned i)
{
	if (!available(INDIRECT_MAP_NEEDS))
		return false;
	indirect_map(rig.mmu, p, i, gfn(1000 + i), (BIT(20) + 1000 + i) << PAGE_SHIFT | EPT_RWX);
	return true;
}

/* The oldest of many pages is used all the time, while others are given up until half of them are gone. True if it is there
 * still. MMU lock held. */
static bool outlives(unsigned many)
{
	struct spage *oldest = NULL;
	bool flush = false;

	for (unsigned i = 0; i < many; i++) {
		struct spage *p;

		if (!available(INDIRECT_NEW_NEEDS))
			return false;
		p = indirect_new(rig.mmu, gfn(i), (role_t){ 1 | EPT_RWX << 4 }, &flush);
		oldest = oldest ? oldest : p;
	}
	for (unsigned round = 0; rig.mmu->stats.evictions < many / 2; round++) {
		rig.mmu->pool.limit = rig.mmu->pool.used + MMU_LOW_WATER;
		if (round == 1000 || !use(oldest, round % ENTRIES))
			return false;
		mmu_make_available(rig.mmu, MMU_LOW_WATER + 1, gfn(0));
		if (!(oldest->flags & SPAGE_ACTIVE))
			return false;
	}
	return true;
}

static void an_indirect_page_in_use_outlives_those_that_are_not(void **state)
{
	uint64_t limit;
	bool yes;

	start(&(struct mmu_params){ .vcpus = 1, .caps = rig_caps(), .indirect_pages = 100 });
	rig_slot(0, 4096, 0);
	limit = rig.mmu->pool.limit;
	mmu_lock(rig.mmu);
	yes = outlives(100);
	rig.mmu->pool.limit = limit;
	mmu_unlock(rig.mmu);
	assert_true(yes);
}

/* ---- the order of the steps of an exit (mmu_exit_on) ---- */

static bool wrong, drained;
static struct mmu_cpu_ops ops;

static void look(void)
{
	const struct mmu_vcpu *v = &rig.v[0];

	/* Outside, the CPU must be known to be busy, and what was logged must be in the logs. */
	if (!atomic_load(&v->entered) && (!atomic_load(&mmu_host_cpu[0].busy) || !drained))
		wrong = true;
}

static void drain(struct mmu_vcpu *v)
{
	/* It looks up slots, so the CPU is busy; and it is waited for, so the vCPU is still inside. */
	if (!atomic_load(&mmu_host_cpu[0].busy) || !atomic_load(&v->entered))
		wrong = true;
	hw_ops.pml_drain(v);
	drained = true;
}

static bool exit_out_of_order(const char *mutant)
{
	struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };

	p.caps.pml = true;
	start(&p);
	rig_slot(0x400, 64, SLOT_DIRTY_LOG);
	ops = hw_ops;
	ops.pml_drain = drain;
	rig.v[0].ops = &ops;
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x400, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig.v[0].pml);
	wrong = drained = false;
	mutant_select(mutant);
	mmu_yield = look;
	rig_exit(0);
	mmu_yield = NULL;
	mutant_select("none");
	assert_true(drained);
	return wrong;
}

static void an_exit_goes_in_order(void **state)
{
	assert_false(exit_out_of_order("none"));
	rig_stop();
	assert_true(exit_out_of_order("busy_late"));
	rig_stop();
	assert_true(exit_out_of_order("drained_late"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_vcpu_in_the_guest_is_kicked, teardown),
		cmocka_unit_test_teardown(a_ticket_does_not_wait_for_vcpus_on_the_new_map, teardown),
		cmocka_unit_test_teardown(the_pools_limit_does_not_grow_with_changes, teardown),
		cmocka_unit_test_teardown(a_fault_is_content_with_as_many_pages_as_it_needs, teardown),
		cmocka_unit_test_teardown(a_fault_with_a_page_too_few_ends_in_no_memory, teardown),
		cmocka_unit_test_teardown(debt_is_paid_above_one_and_a_half_of_the_live_set, teardown),
		cmocka_unit_test_teardown(an_indirect_page_in_use_outlives_those_that_are_not, teardown),
		cmocka_unit_test_teardown(an_exit_goes_in_order, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
