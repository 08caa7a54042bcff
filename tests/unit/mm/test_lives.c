/* SPDX-License-Identifier: MIT */
/*
 * VMs that come and go while CPUs keep what they have cached of them: test 12 (a VM dies in the middle of everything, and
 * nothing is left of it) and test 22 (its root frames and VPIDs serve the next one).
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

#define OWNER_B (OWNER_VM0 + 2)
#define PAGES	64u

/* The second VM, beside or after that of the rig, on the same CPUs. */
static struct mmu *b;
static struct mmu_vcpu bv[2];
static struct mmu_cpu_ops ops;
static bool forget;
static uint64_t forgotten;

static void invept(uint64_t eptp)
{
	if (forget)
		forgotten++;
	else
		hw_ops.invept_single(eptp);
}

static int setup(void **state)
{
	rig_start(4);
	forget = false;
	forgotten = 0;
	return 0;
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	rig_stop();
	return 0;
}

static uint64_t enter_b(unsigned i, unsigned cpu)
{
	uint64_t eptp;

	test_cpu_id = cpu;
	mmu_cpu_quiescent(cpu);
	hw_load(cpu, &bv[i]);
	assert_int_equal(mmu_serve(&bv[i]), 0);
	assert_int_equal(mmu_enter(&bv[i], &eptp), 0);
	return eptp;
}

/*
 * Root frames in the life of the first VM that the second's root gets again: A's MMU goes, with its frames, while CPUs
 * keep its translations; B's is made of the same ones. Without the INVEPT, B's guest would reach what was A's.
 */
static void the_next_vm_meets_nothing_of_the_last(void **state)
{
	static struct hw_cpu before;
	struct mmu_params p = rig.params;
	uint64_t tag, e, eptp, frame;
	bool reached = false;
	struct mmu_ticket t;
	unsigned level;
	slot_id id = rig_slot(0x1000, PAGES, 0);

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x1003, MMU_WRITE, &frame), MMU_RESUME);
	assert_int_equal(rig_access(0, 0x1003, MMU_WRITE, &frame), MMU_RESUME);
	tag = rig.eptp[0] & EPT_ADDR;
	rig_exit(0);
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	rig_quiesce();
	rig_forget(id);
	for (unsigned i = 0; i < 4; i++)
		mmu_vcpu_fini(&rig.v[i]);
	mmu_destroy(rig.mmu);
	assert_int_equal(frames_owned(RIG_TABLES), 0);

	ops = hw_ops;
	ops.invept_single = invept;
	p.ops = &ops;
	p.owner = OWNER_B;
	assert_int_equal(mmu_create(&p, &b), 0);
	assert_int_equal(mmu_vcpu_init(&bv[0], b, 0, rig.v[0].vpid), 0);
	/* What a forgotten INVEPT would do, on what CPU 0 has now: else this test shows nothing. */
	before = hw_cpu[0];
	forget = true;
	eptp = enter_b(0, 0);
	assert_int_equal(eptp & EPT_ADDR, tag);
	assert_int_equal(forgotten, 1);
	for (unsigned n = 0; n < 100; n++) {
		hw_cpu[0] = before;
		reached |= hw_access(0, eptp, 0x1003, MMU_READ, &e, &level) == HW_HIT;
	}
	assert_true(reached);
	mmu_exit(&bv[0]);
	forget = false;
	mmu_vcpu_fini(&bv[0]);
	mmu_destroy(b);
	/* And as it is. */
	hw_cpu[0] = before;
	assert_int_equal(mmu_create(&p, &b), 0);
	assert_int_equal(mmu_vcpu_init(&bv[0], b, 0, rig.v[0].vpid), 0);
	eptp = enter_b(0, 0);
	assert_int_equal(eptp & EPT_ADDR, tag);
	for (unsigned n = 0; n < 100; n++)
		assert_int_equal(hw_access(0, eptp, 0x1003, MMU_READ, &e, &level), HW_VIOLATION);
	/* A VPID too belongs to another vCPU by now: one INVVPID on the first CPU it comes to. */
	assert_int_equal(hw_cpu[0].linear[bv[0].vpid], 0);
	mmu_exit(&bv[0]);
	mmu_vcpu_fini(&bv[0]);
	mmu_destroy(b);
	assert_int_equal(frames_owned(OWNER_B), 0);
	/* For teardown. */
	assert_int_equal(mmu_create(&rig.params, &rig.mmu), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mmu_vcpu_init(&rig.v[i], rig.mmu, i, 1), 0);
}

/* A vCPU that changes CPU, again and again, with flushes while it is away: wherever it comes, one INVEPT is enough. */
static void a_vcpu_that_changes_cpu_flushes_where_it_comes_to(void **state)
{
	struct mmu_params p = rig.params;
	struct backing *backing;
	struct mmu_ticket t;
	slot_id id;

	p.removal = MMU_REMOVAL_TARGETED;
	p.owner = OWNER_B;
	assert_int_equal(mmu_create(&p, &b), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(mmu_vcpu_init(&bv[i], b, i, (uint16_t)(8 + i)), 0);
	assert_int_equal(backing_alloc(PAGES, RIG_RAM, &backing), 0);
	for (unsigned n = 0; n < 40; n++) {
		unsigned cpu = n * 7 % ORACLE_CPUS, who = n % 2, level;
		uint64_t eptp, e, invepts, invvpids;
		struct slot_desc d = { .base = gfn(0x1000), .pages = PAGES, .backing = backing };

		assert_int_equal(slot_add(b, &d, &id), 0);
		invepts = hw_cpu[cpu].invepts;
		invvpids = hw_cpu[cpu].invvpids;
		eptp = enter_b(who, cpu);
		assert_int_equal(hw_cpu[cpu].invepts, invepts + 1);   /* there was a removal since */
		assert_int_equal(hw_cpu[cpu].invvpids, invvpids + 1); /* and it was elsewhere */
		assert_int_equal(
			hw_access(cpu, eptp, 0x1003, MMU_READ, &e, &level), n ? HW_MISCONFIG : HW_VIOLATION);
		mmu_exit(&bv[who]);
		if (n)
			assert_int_equal(mmu_misconfig(&bv[who], gpa(0x1003000)), MMU_RESUME);
		assert_int_equal(mmu_violation(&bv[who], gpa(0x1003000), MMU_READ), MMU_RESUME);
		eptp = enter_b(who, cpu);
		assert_int_equal(hw_access(cpu, eptp, 0x1003, MMU_READ, &e, &level), HW_HIT);
		mmu_exit(&bv[who]);
		assert_int_equal(slot_delete(b, id, &t), 0);
		rig_quiesce();
		assert_true(mmu_ticket_ready(b, &t));
		/* A hole from now on: the entry that says so is made by the first access. */
		eptp = enter_b(who, cpu);
		assert_int_equal(hw_access(cpu, eptp, 0x1003, MMU_READ, &e, &level), HW_VIOLATION);
		mmu_exit(&bv[who]);
		assert_int_equal(mmu_violation(&bv[who], gpa(0x1003000), MMU_READ), MMU_MMIO);
		/* Another removal, so that all CPUs have to flush again. */
		mmu_lock(b);
		mmu_flush_request(b, false);
		mmu_unlock(b);
	}
	for (unsigned i = 0; i < 2; i++)
		mmu_vcpu_fini(&bv[i]);
	mmu_destroy(b);
	backing_free(backing);
	assert_int_equal(frames_owned(OWNER_B), 0);
}

/* Test 12: debt of each kind is open (obsolete pages, one half cleared, evicted ones, a pinned root, a log that waits). */
static void a_vm_that_dies_in_the_middle_leaves_nothing(void **state)
{
	struct mmu_params p = { .vcpus = 3, .caps = rig_caps(), .pool_pages = 40 };
	bool half_cleared = false;

	p.caps.ept_2m = false;
	for (unsigned round = 0; round < 20; round++) {
		struct mmu_ticket t;
		slot_id ram, logged;

		rig_stop();
		rig_start_with(&p, 256 * MiB, round % 2);
		ram = rig_slot(0, 40 * 512, 0);
		logged = rig_slot(0x100000, PAGES, SLOT_DIRTY_LOG);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(rig_enter(i), 0);
		assert_int_equal(rig_access(1, 0x100003, MMU_WRITE, NULL), MMU_RESUME);
		for (uint64_t n = 0; rig_stats().evictions == 0; n = (n + 1) % 40)
			for (uint64_t g = 0; g < 20; g++)
				assert_int_equal(rig_access(0, n * 512 + g, MMU_WRITE, NULL), MMU_RESUME);
		assert_true(rig.mmu->count.pending);
		assert_int_equal(slot_delete(rig.mmu, logged, &t), 0);
		assert_true(rig.mmu->count.retired_logs);
		for (unsigned i = 0; i < 3; i++)
			if (rig.in[i])
				rig_exit(i);
		assert_int_equal(rig_enter(0), 0);
		/* As far as it has got by now: not at all, inside the first page, or further. */
		for (unsigned n = 0; n < round; n++)
			mmu_reclaim(rig.mmu, 2, 7);
		assert_true(mmu_reclaim_waiting(rig.mmu));
		half_cleared |= rig.mmu->drain.partial != NULL;
		assert_true(rig.v[2].root.page && rig.v[2].root.page->gen != rig.mmu->front.valid_gen);
		if (round % 3)
			assert_int_equal(slot_delete(rig.mmu, ram, &t), 0);
		/* rig_stop() finds that neither tables nor RAM are left. */
	}
	assert_true(half_cleared);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_next_vm_meets_nothing_of_the_last),
		T(a_vcpu_that_changes_cpu_flushes_where_it_comes_to),
		T(a_vm_that_dies_in_the_middle_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
