/* SPDX-License-Identifier: MIT */
/* Generations, the handshake, grace, reclaim, debt, eviction and tags, step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/mmu/internal.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

static int setup(void **state)
{
	struct mmu_params p = { .vcpus = 8, .caps = rig_caps() };

	p.caps.ept_2m = false;
	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	rig_stop();
	return 0;
}

static void restart(unsigned vcpus, uint64_t pool_pages, bool debug)
{
	struct mmu_params p = { .vcpus = vcpus, .caps = rig_caps(), .pool_pages = pool_pages };

	rig_stop();
	p.caps.ept_2m = false;
	rig_start_with(&p, 256 * MiB, debug);
}

/* n leaf tables, one entry each. vCPU i is in the guest before and after. */
static void fill(unsigned i, uint64_t from, uint64_t n)
{
	for (uint64_t t = from; t < from + n; t++)
		assert_int_equal(rig_access(i, t * 512 + t % 512, MMU_WRITE, NULL), MMU_RESUME);
}

static void bump_touches_no_page_and_waits_for_no_vcpu(void **state)
{
	struct mmu_stats before, after;

	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_enter(1), 0);
	fill(0, 0, 64);
	before = rig_stats();
	mmu_invalidate_all(rig.mmu);
	after = rig_stats();
	assert_int_equal(after.waiting, before.pages_live);
	assert_int_equal(after.pages_live, 0);
	assert_int_equal(after.pages_freed, before.pages_freed);
	assert_int_equal(after.bumps, before.bumps + 1);
	assert_true(rig.kicked[0] && rig.kicked[1] && !rig.kicked[2]);
	/* Both are still in the guest and may walk: nothing can be freed. */
	assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 0);
	rig_exit(0);
	assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 0);
	assert_int_equal(rig_enter(0), -E_AGAIN);
	rig_exit(1);
	assert_int_equal(rig_enter(0), 0);
	/* vCPU 1 has the old root loaded still: that one page stays, and nothing waits for it. */
	assert_int_equal(rig_drain(), before.pages_live - 1);
	assert_false(mmu_reclaim_waiting(rig.mmu));
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_drain(), 1);
	assert_int_equal(rig.mmu->pool.used, rig_stats().pages_live);
}

static void overlapping_bumps(void **state)
{
	rig_slot(0, 64 * 512, 0);
	for (unsigned round = 0; round < 10; round++) {
		assert_int_equal(rig_enter(0), 0);
		fill(0, 0, 4);
		/* The next bump comes before the pages of the last are gone. */
		mmu_invalidate_all(rig.mmu);
		rig_exit(0);
	}
	assert_int_equal(rig_enter(0), 0);
	rig_drain();
	assert_int_equal(rig.mmu->pool.used, rig_stats().pages_live);
}

/* Rule 2, at each point where another CPU can come in between. */
static unsigned at_point, met;

static void bump_at_point(void)
{
	if (met++ != at_point)
		return;
	mmu_invalidate_all(rig.mmu);
}

static void bump_during_the_handshake_is_seen_by_one_of_the_two(void **state)
{
	rig_slot(0, 512, 0);
	for (at_point = 0; at_point < 12; at_point++) {
		int err;

		assert_int_equal(mmu_serve(&rig.v[0]), 0);
		rig_drain();
		rig.kicked[0] = false;
		met = 0;
		mmu_yield = bump_at_point;
		assert_int_equal(mmu_serve(&rig.v[0]), 0);
		err = mmu_enter(&rig.v[0], &rig.eptp[0]);
		mmu_yield = NULL;
		if (met <= at_point) { /* there are no more points */
			mmu_exit(&rig.v[0]);
			break;
		}
		/* Either it backs out, or it has been kicked and nothing can be freed before it leaves. */
		assert_true(err == -E_AGAIN || rig.kicked[0]);
		if (err) {
			assert_int_equal(rig.v[0].entered, 0);
		} else {
			assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 0);
			mmu_exit(&rig.v[0]);
		}
		while (mmu_serve(&rig.v[0]))
			;
	}
	assert_true(at_point >= 6);
}

static uint64_t flush_asked;

static void flush_at_point(void)
{
	if (met++ != at_point)
		return;
	mmu_lock(rig.mmu);
	flush_asked = mmu_flush_request(rig.mmu, false);
	mmu_unlock(rig.mmu);
}

/* Rule 6, the same for a flush that comes without a request: nothing may wait for an exit that was not requested. */
static void flush_during_the_handshake_is_seen_by_one_of_the_two(void **state)
{
	rig_slot(0, 512, 0);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	for (at_point = 0; at_point < 12; at_point++) {
		int err;

		met = 0;
		rig.kicked[0] = false;
		mmu_yield = flush_at_point;
		assert_int_equal(mmu_serve(&rig.v[0]), 0);
		err = mmu_enter(&rig.v[0], &rig.eptp[0]);
		mmu_yield = NULL;
		if (!err) {
			if (met > at_point)
				assert_true(rig.kicked[0] || mmu_flushed(rig.mmu, flush_asked));
			mmu_exit(&rig.v[0]);
		}
		if (met <= at_point)
			break; /* there are no more points */
		assert_true(mmu_flushed(rig.mmu, flush_asked));
	}
	assert_true(at_point >= 6);
}

static void generation_near_its_maximum(void **state)
{
	rig_slot(0, 64 * 512, 0);
	assert_true(rig.mmu->front.valid_gen >> 62 == 1); /* debug builds start high */
	rig.mmu->front.valid_gen = UINT64_MAX - 20;
	for (unsigned i = 0; i < 15; i++) {
		assert_int_equal(rig_enter(0), 0);
		fill(0, 0, 3);
		mmu_invalidate_all(rig.mmu);
		rig_exit(0);
		rig_drain();
	}
	rig.mmu->front.valid_gen = UINT64_MAX;
	assert_true(stopped_by_assert(mmu_invalidate_all(rig.mmu))); /* after 2^64 of them */
	rig.mmu->lock = (struct spinlock)SPINLOCK_INIT;
}

/* Test 7: the bound is met exactly, whatever the pages hold. */
static void batch_stops_at_its_bound_inside_a_page(void **state)
{
	uint64_t freed = 0, batches = 0;

	restart(1, 0, false);
	rig_slot(0, 8 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t g = 0; g < 8 * 512; g++)
		assert_int_equal(rig_access(0, g, MMU_WRITE, NULL), MMU_RESUME);
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	while (mmu_reclaim_waiting(rig.mmu)) {
		freed += mmu_reclaim(rig.mmu, 16, 100);
		batches++;
		assert_true(rig_stats().batch_entries_max <= 100);
	}
	/* 8 full tables, and three above them with 8, 1 and 1 entries: 4,106 in all. */
	assert_int_equal(freed, 11);
	assert_int_equal(batches, (4106 + 99) / 100);
	/* What was given back is zero, so it can be used as it is. */
	list_for_each (p, &rig.mmu->pool.clean, struct spage, link) {
		for (unsigned i = 0; i < 512; i++)
			assert_int_equal(spage_table(p)[i], 0);
	}
	assert_true(list_empty(&rig.mmu->pool.dirty));
}

static void batch_of_pages_is_bounded(void **state)
{
	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	fill(0, 0, 64);
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(mmu_reclaim(rig.mmu, 5, 4096), 5);
	assert_int_equal(mmu_reclaim(rig.mmu, 0, 4096), 0);
	assert_int_equal(mmu_reclaim(rig.mmu, 5, 0), 0);
	assert_int_equal(mmu_reclaim(rig.mmu, 1000000, 1000000), 62);
}

/* Test 4: however fast vCPUs fault, a drain ends, since new pages are at the other end of the list. */
static void drain_ends_while_vcpus_allocate(void **state)
{
	uint64_t old, batches = 0, next = 100;

	restart(1, 4096, true);
	rig_slot(0, 512 * 512ul / 8, 0);
	assert_int_equal(rig_enter(0), 0);
	fill(0, 0, 50);
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	old = rig_stats().waiting;
	while (mmu_reclaim_waiting(rig.mmu)) {
		mmu_reclaim(rig.mmu, 2, 4096);
		if (next + 5 < 120)
			fill(0, next++ % 60, 2); /* as many new pages as are freed */
		batches++;
		assert_true(batches <= old);
	}
}

/* While one CPU clears its batch, another finds the drain taken and does not wait. */
static unsigned second;

static void drain_too(void)
{
	second += mmu_reclaim(rig.mmu, 16, 4096);
}

static void one_drainer_at_a_time(void **state)
{
	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	fill(0, 0, 64);
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	second = 0;
	mmu_yield = drain_too;
	assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 16);
	mmu_yield = NULL;
	assert_int_equal(second, 0);
	rig_drain();
}

/* Test 5: a root that sleeping vCPUs have pinned costs its one page and is met by reclaim once. */
static void pinned_roots_of_sleeping_vcpus(void **state)
{
	rig_slot(0, 64 * 512, 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(rig_enter(i), 0);
		fill(i, 0, 2);
		rig_exit(i);
		mmu_invalidate_all(rig.mmu);
	}
	assert_int_equal(rig_enter(0), 0);
	rig_drain();
	assert_false(mmu_reclaim_waiting(rig.mmu));
	assert_int_equal(rig.mmu->pool.used, 7 + 1); /* seven old roots and the new one */
	for (unsigned i = 1; i < 8; i++)
		assert_int_equal(rig_enter(i), 0);
	rig_drain();
	assert_int_equal(rig.mmu->pool.used, 1);
}

/* Ten thousand bumps back to back, 64 vCPUs that fault in between; only the faults themselves drain. */
static void debt_stays_below_twice_the_live_set(void **state)
{
	struct mmu_stats st;

	restart(64, 0, true);
	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	fill(0, 0, 60);
	rig_exit(0);
	for (unsigned i = 0; i < 10000; i++) {
		unsigned v = i % 64;

		while (rig_enter(v))
			rig_drain();
		fill(v, i % 50, 10);
		mmu_invalidate_all(rig.mmu);
		rig_exit(v);
	}
	st = rig_stats();
	assert_true(st.pages_peak <= 2 * st.pages_live_peak + 64 /* a root pinned by each */);
}

/* Test 2 and rule 9: the pool is nearly empty; what is given up is neither a root nor the path of the fault. */
static void eviction_keeps_roots_and_the_path(void **state)
{
	uint64_t f, g;

	restart(2, 32, true);
	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	for (unsigned round = 0; round < 20; round++)
		for (uint64_t t = 0; t < 64; t++) {
			assert_int_equal(rig_access(0, t * 512 + round, MMU_WRITE, &f), MMU_RESUME);
			assert_int_equal(rig_access(0, t * 512 + round, MMU_READ, &g), MMU_RESUME);
			assert_int_equal(f, g);
			if (t % 8 == 0)
				mmu_reclaim(rig.mmu, 16, 4096);
		}
	assert_true(rig_stats().evictions > 100);
	assert_true(rig_stats().pages_peak <= 32);
}

/* Evicted pages wait until every vCPU has left the guest, and CPUs that only ran it before flush when they come back. */
static void evicted_pages_wait_for_their_flush(void **state)
{
	uint64_t invepts, f;

	restart(3, 40, true);
	rig_slot(0, 64 * 512, 0);
	assert_int_equal(rig_enter(1), 0); /* on CPU 1 */
	assert_int_equal(rig_access(1, 0, MMU_WRITE, &f), MMU_RESUME);
	assert_int_equal(rig_enter(2), 0); /* on CPU 2, ran it and left */
	assert_int_equal(rig_access(2, 0, MMU_WRITE, &f), MMU_RESUME);
	rig_exit(2);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t t = 0; rig_stats().evictions == 0; t = (t + 1) % 64)
		assert_int_equal(rig_access(0, t * 512, MMU_WRITE, NULL), MMU_RESUME);
	assert_true(rig.kicked[1]);
	assert_true(rig.mmu->count.pending);
	rig_exit(0);
	assert_int_equal(mmu_reclaim(rig.mmu, 16, 4096), 0); /* vCPU 1 is in the guest since before */
	rig_exit(1);
	assert_true(mmu_reclaim(rig.mmu, 16, 4096) > 0);
	invepts = hw_cpu[2].invepts;
	assert_int_equal(rig_enter(2), 0);
	assert_int_equal(hw_cpu[2].invepts, invepts + 1);
	assert_int_equal(rig_access(2, 0, MMU_WRITE, &f), MMU_RESUME);
}

/* Rule 6: one INVEPT for each CPU that enters a new root, none at later entries; a bump needs no other. */
static void flushes_per_bump(void **state)
{
	uint64_t before[ORACLE_CPUS];

	rig_slot(0, 64 * 512, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(rig_enter(i), 0);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 4; i++)
			before[i] = hw_cpu[i].invepts + hw_cpu[i].invvpids;
		mmu_invalidate_all(rig.mmu);
		for (unsigned i = 0; i < 4; i++)
			rig_exit(i);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(rig_enter(i), 0);
		for (unsigned n = 0; n < 20; n++) {
			fill(n % 4, n, 1);
			rig_exit(n % 4);
			rig_drain();
			assert_int_equal(rig_enter(n % 4), 0);
		}
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(hw_cpu[i].invepts + hw_cpu[i].invvpids, before[i] + 1);
	}
}

/* Test 22: a VPID, and root frames, used again by another VM; and a vCPU that changes CPU. */
static void vpid_and_root_of_another_vm(void **state)
{
	uint64_t vpids;

	rig_slot(0, 512, 0);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	vpids = hw_cpu[1].invvpids;
	test_cpu_id = 1; /* vCPU 0 comes to CPU 1 */
	mmu_cpu_quiescent(1);
	assert_int_equal(mmu_serve(&rig.v[0]), 0);
	assert_int_equal(mmu_enter(&rig.v[0], &rig.eptp[0]), 0);
	assert_int_equal(hw_cpu[1].invvpids, vpids + 1);
	mmu_exit(&rig.v[0]);
	vpids = hw_cpu[0].invvpids;
	assert_int_equal(rig_enter(0), 0); /* and back */
	assert_int_equal(hw_cpu[0].invvpids, vpids + 1);
	restart(1, 0, true);
	rig_slot(0, 512, 0);
	vpids = hw_cpu[0].invvpids;
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(hw_cpu[0].invvpids, vpids + 1);
}

static void vcpu_numbers_are_in_range_and_used_once(void **state)
{
	struct mmu_vcpu v;

	assert_int_equal(mmu_vcpu_init(&v, rig.mmu, 8, 1), -E_INVAL);
	assert_int_equal(mmu_vcpu_init(&v, rig.mmu, 3, 1), -E_EXIST);
	mmu_vcpu_fini(&rig.v[3]);
	assert_int_equal(mmu_vcpu_init(&rig.v[3], rig.mmu, 3, 1), 0);
	assert_int_equal(rig_enter(3), 0);
}

/* Nothing is left to give up: the guest ends, in words, and Lethe lives. */
static void no_memory_is_a_verdict(void **state)
{
	static pfn_t taken[65536];
	enum mmu_verdict d = MMU_RESUME;
	unsigned n = 0;

	rig_slot(0, 20 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	fill(0, 0, 4);
	rig_exit(0);
	while (!frame_alloc(FRAME_4K, OWNER_LETHE, &taken[n]))
		n++;
	rig.mmu->pool.limit = 0; /* and the VM's own share is used up */
	for (unsigned i = 0; i < 100 && d == MMU_RESUME; i++)
		d = mmu_violation(&rig.v[0], gpa((100 + i) << 30), MMU_READ);
	assert_int_equal(d, MMU_NO_MEMORY);
	while (n--)
		frame_free(FRAME_4K, OWNER_LETHE, taken[n]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(bump_touches_no_page_and_waits_for_no_vcpu),
		T(overlapping_bumps),
		T(bump_during_the_handshake_is_seen_by_one_of_the_two),
		T(flush_during_the_handshake_is_seen_by_one_of_the_two),
		T(generation_near_its_maximum),
		T(batch_stops_at_its_bound_inside_a_page),
		T(batch_of_pages_is_bounded),
		T(drain_ends_while_vcpus_allocate),
		T(one_drainer_at_a_time),
		T(pinned_roots_of_sleeping_vcpus),
		T(debt_stays_below_twice_the_live_set),
		T(eviction_keeps_roots_and_the_path),
		T(evicted_pages_wait_for_their_flush),
		T(flushes_per_bump),
		T(vpid_and_root_of_another_vm),
		T(vcpu_numbers_are_in_range_and_used_once),
		T(no_memory_is_a_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
