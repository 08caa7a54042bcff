/* SPDX-License-Identifier: MIT */
/* How much debt a vCPU pays after an exit (mm/mmu/pay.c): never more than its share, and never so little that it does not end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/mmu/internal.h"
#include "tests/support/rig/rig.h"

#define TABLES 150u
#define DEAR   (1u << 20) /* a price that no budget of these tests reaches */

/* A bump leaves TABLES leaf tables, every seventh with all its entries, and a vCPU that is outside. Ticks are so many
 * that no period passes by itself. */
static int setup(void **state)
{
	struct mmu_params p = { .vcpus = 2, .caps = rig_caps(), .tick_us = 1000000 };

	p.caps.ept_2m = p.caps.ept_1g = false;
	rig_start_with(&p, 1024 * MiB, true);
	rig_slot(0, TABLES * 512, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

static uint64_t debt(void)
{
	return rig.mmu->front.debt;
}

static void make_debt(void)
{
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t t = 0; t < TABLES; t++)
		for (uint64_t i = 0; i < (t % 7 ? 1 : 512); i++)
			assert_int_equal(rig_access(0, t * 512 + i, MMU_WRITE, NULL), MMU_RESUME);
	rig_exit(0);
	mmu_invalidate_all(rig.mmu);
	assert_int_equal(mmu_serve(&rig.v[0]), 0);
	assert_true(debt() > TABLES);
	rig.v[0].paid_at = rdtsc_low();
	rig.v[0].pay_after = MMU_PAY_PERIOD_US * 1000000u;
	rig.v[0].unpaid = 0;
	rig.v[0].price = DEAR;
}

static unsigned pay_if_due(struct mmu_vcpu *v, uint32_t now)
{
	return mmu_pay_due(v, now) ? mmu_pay(v, false) : 0;
}

/* However little time passes between exits. */
static void debt_ends_within_so_many_exits(void **state)
{
	uint64_t exits = 0, most;

	make_debt();
	most = debt() * MMU_PAY_EXITS;
	for (; debt() && exits <= most; exits++) {
		rig.v[0].price = DEAR;
		pay_if_due(&rig.v[0], rdtsc_low());
	}
	assert_int_equal(debt(), 0);
	assert_true(exits <= most);
}

/* However dear pages are: an exit after a period or more pays a batch. */
static void debt_ends_within_so_many_periods(void **state)
{
	uint64_t periods = 0, most;

	make_debt();
	/* A table with all entries takes part of a batch's entries: eight of them are a batch. */
	rig.mmu->tick_us = 1000; /* a period's share does not come to one page's price */
	rig.v[0].pay_after = MMU_PAY_PERIOD_US * 1000u;
	most = debt() / MMU_PAY_LEAST + 2 + TABLES / 7 / (MMU_BATCH_ENTRIES / ENTRIES);
	for (; debt() && periods <= most; periods++) {
		rig.v[0].price = DEAR;
		rig.v[0].paid_at = rdtsc_low() - MMU_PAY_PERIOD_US * 1000u;
		pay_if_due(&rig.v[0], rdtsc_low());
	}
	assert_int_equal(debt(), 0);
	assert_true(periods <= most);
	assert_true(rig_stats().batch_pages_max <= MMU_BATCH_PAGES);
	assert_true(rig_stats().batch_entries_max <= MMU_BATCH_ENTRIES);
}

/* What was paid a moment ago is not paid again before SHARE times as long has passed. */
static void a_vcpu_pays_no_more_than_its_share(void **state)
{
	struct mmu_vcpu *v = &rig.v[0];
	uint64_t before;

	make_debt();
	v->unpaid = MMU_PAY_EXITS - 1;
	assert_int_equal(pay_if_due(v, rdtsc_low()), 1);
	assert_true(v->price < DEAR);
	assert_int_equal(v->pay_after, v->price * MMU_PAY_SHARE);
	assert_int_equal(v->unpaid, 0);
	before = debt();
	v->pay_after = UINT32_MAX;
	for (unsigned i = 0; i < MMU_PAY_EXITS - 1; i++)
		assert_int_equal(pay_if_due(v, rdtsc_low()), 0);
	assert_int_equal(debt(), before);
	/* Time enough for half a page, and for one and a half. */
	for (unsigned halves = 1; halves <= 3; halves += 2) {
		v->price = 1u << 16;
		v->pay_after = 0;
		v->paid_at = rdtsc_low() - halves * MMU_PAY_SHARE * (1u << 15);
		assert_int_equal(pay_if_due(v, rdtsc_low()) != 0, halves > 1);
	}
}

/* A long exit pays little, but something; the next little is due when a part of the time has passed. */
static void a_long_exit_pays_little(void **state)
{
	const uint32_t tick_us = 1u << 20, part = MMU_PAY_LONG_US * tick_us /
						  (MMU_PAY_LEAST / MMU_PAY_BRIEF); /* a tenth of a second */
	struct mmu_vcpu *v = &rig.v[0];

	make_debt();
	rig.mmu->tick_us = tick_us;
	v->pay_after = 0;
	v->paid_at = rdtsc_low() - MMU_PAY_LONG_US * tick_us;
	for (unsigned calls = 0; debt() && calls < 1000; calls++) {
		uint64_t left = debt();

		v->price = DEAR;
		assert_true(mmu_pay_due(v, rdtsc_low()));
		assert_in_range(mmu_pay(v, true), 1, MMU_PAY_BRIEF);
		assert_in_range(left - debt(), 1, MMU_PAY_BRIEF);
		assert_false(mmu_pay_due(v, rdtsc_low()));
		assert_true(mmu_pay_due(v, rdtsc_low() + part));
		v->paid_at -= part;
	}
	assert_int_equal(debt(), 0);
}

/* As in nested VMX: the batch that is due each time is never paid whole. */
static void debt_ends_if_each_exit_is_long(void **state)
{
	uint64_t periods = 0, most;

	make_debt();
	rig.mmu->tick_us = 1000;
	most = debt() / MMU_PAY_BRIEF + 2;
	for (; debt() && periods <= most; periods++) {
		rig.v[0].price = DEAR;
		rig.v[0].paid_at = rdtsc_low() - MMU_PAY_PERIOD_US * 1000u;
		mmu_pay(&rig.v[0], true);
	}
	assert_int_equal(debt(), 0);
	assert_true(periods <= most);
}

/* What another vCPU may still be running on is not freed; it is when that one has left. */
static void debt_that_has_not_quiesced_waits(void **state)
{
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t t = 0; t < 4; t++)
		assert_int_equal(rig_access(0, t * 512, MMU_WRITE, NULL), MMU_RESUME);
	rig_exit(0);
	mmu_invalidate_all(rig.mmu);
	for (unsigned i = 0; i < 2 * MMU_PAY_EXITS; i++)
		assert_int_equal(pay_if_due(&rig.v[0], rdtsc_low()), 0);
	rig_exit(1);
	for (unsigned i = 0; i < 10 * MMU_PAY_EXITS; i++)
		pay_if_due(&rig.v[0], rdtsc_low());
	assert_true(debt() <= 1); /* a root that vCPUs have loaded still */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(debt_ends_within_so_many_exits),
		T(debt_ends_within_so_many_periods),
		T(a_vcpu_pays_no_more_than_its_share),
		T(a_long_exit_pays_little),
		T(debt_ends_if_each_exit_is_long),
		T(debt_that_has_not_quiesced_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
