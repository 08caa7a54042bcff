/* SPDX-License-Identifier: MIT */
/*
 * Guest page tables in a read-only slot, on a CPU whose EPT has A and D flags: the walk counts as a write (mm/mmu/ept_ad.c).
 * The flags go off, and page-modification logging with them; no dirty page is lost on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

#define RAM   0x400ull /* a logged slot */
#define PAGES 128u
#define ROM   0x800ull /* the guest's page tables */
#define CPU_0 0u

static slot_id ram;
static uint64_t bitmap[PAGES / 64];

static int start(bool ad)
{
	struct mmu_params p = { .vcpus = 2, .caps = rig_caps() };

	p.caps.pml = p.caps.ept_ad = ad;
	rig_start_with(&p, 256 * MiB, true);
	ram = rig_slot(RAM, PAGES, SLOT_DIRTY_LOG);
	rig_slot(ROM, 16, SLOT_READONLY);
	return 0;
}

static int setup(void **state)
{
	return start(true);
}

static int setup_without_ad(void **state)
{
	return start(false);
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

/* vCPU i's CPU walks a table of the guest's at gfn; as rig_access() otherwise. */
static enum mmu_verdict walk(unsigned i, uint64_t gfn)
{
	for (unsigned tries = 0; tries < 5; tries++) {
		unsigned level, access = hw_walk(rig.eptp[i]);
		enum mmu_verdict d;
		uint64_t e;

		if (hw_access(i, rig.eptp[i], gfn, access, &e, &level) == HW_HIT)
			return MMU_RESUME;
		rig_exit(i);
		d = hw_walk_fault(&rig.v[i], gpa(gfn << 12), access);
		if (d != MMU_RESUME)
			return d;
		assert_int_equal(rig_enter(i), 0);
	}
	fail_msg("vCPU %u walks for ever", i);
	return MMU_NO_MEMORY;
}

static unsigned read_log(void)
{
	struct mmu_ticket t;
	unsigned n = 0;

	assert_int_equal(dirty_log_read_clear(rig.mmu, ram, 0, PAGES, bitmap, &t), 0);
	for (unsigned i = 0; i < PAGES / 64; i++)
		n += (unsigned)__builtin_popcountll(bitmap[i]);
	return n;
}

static bool said(uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

/* What the first walk changes: EPTP, logging, entries; and what every CPU must do before it enters again. */
static void a_walk_in_rom_switches_a_and_d_off(void **state)
{
	struct mmu_stats before = rig_stats(), after;
	uint64_t invepts, root, e;
	unsigned level;

	assert_int_equal(rig_enter(0), 0);
	assert_true(rig.eptp[0] & EPTP_AD);
	assert_int_equal(rig_access(0, RAM + 1, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, RAM + 2, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, RAM + 1, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(hw_pml[0].logged, 1);
	root = rig.eptp[0] & EPT_ADDR;
	invepts = hw_cpu[CPU_0].invepts;

	assert_int_equal(walk(0, ROM), MMU_RESUME);
	after = rig_stats();
	assert_int_equal(after.ad_off, 1);
	assert_int_equal(after.bumps, before.bumps + 1);
	assert_false(rig.eptp[0] & EPTP_AD);
	assert_true((rig.eptp[0] & EPT_ADDR) != root);
	assert_int_equal(hw_cpu[CPU_0].invepts, invepts + 1);
	assert_false(rig.v[0].pml || hw_pml[0].on);
	assert_true(rig_leaf(ROM, &e, &level));
	assert_int_equal(e & (EPT_A | EPT_D), 0);

	/* Dirty logging goes on, by write faults. */
	assert_int_equal(rig_access(0, RAM + 2, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig_leaf(RAM + 2, &e, &level));
	assert_int_equal(e & (EPT_R | EPT_W), EPT_R);
	assert_int_equal(rig_access(0, RAM + 2, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(read_log(), 2);
	assert_true(said(1) && said(2));
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, RAM + 2, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(read_log(), 1);
}

/* A guest cannot make it happen again: it costs one bump in a VM's life. */
static void a_and_d_go_off_once(void **state)
{
	struct mmu_stats once;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(walk(0, ROM), MMU_RESUME);
	once = rig_stats();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned n = 0; n < 16; n++)
			assert_int_equal(walk(0, ROM + n), MMU_RESUME);
		assert_int_equal(rig_access(0, ROM + 3, MMU_READ, NULL), MMU_RESUME);
		assert_int_equal(rig_access(0, ROM + 3, MMU_WRITE, NULL), MMU_ROM);
		assert_int_equal(rig_enter(0), 0);
	}
	assert_int_equal(rig_stats().ad_off, 1);
	assert_int_equal(rig_stats().bumps, once.bumps);
}

/* Another vCPU is in the guest and has logged by D: it is fetched out, and what is in its buffer is kept. */
static void records_in_another_buffer_are_kept(void **state)
{
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_access(1, RAM + 7, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(1, RAM + 7, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(hw_pml[1].logged, 1);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	rig.kicked[1] = false;
	assert_int_equal(hw_walk_fault(&rig.v[0], gpa(ROM << 12), MMU_READ | MMU_WRITE), MMU_RESUME);
	assert_true(rig.kicked[1]);
	/* Rule 3: no vCPU runs without A and D while vCPU 1 runs with them. */
	assert_int_equal(rig_enter(0), -E_AGAIN);
	rig_exit(1);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_enter(1), 0);
	assert_false(rig.v[1].pml || hw_pml[1].on || (rig.eptp[1] & EPTP_AD));
	assert_int_equal(read_log(), 1);
	assert_true(said(7));
}

/* The buffer has the address of before: the slot counts as dirty all over, although logging by the CPU is off by now. */
static void a_slot_that_moves_meanwhile_loses_no_record(void **state)
{
	struct mmu_ticket t;

	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_access(1, RAM + 7, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(rig_access(1, RAM + 7, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	assert_int_equal(hw_walk_fault(&rig.v[0], gpa(ROM << 12), MMU_READ | MMU_WRITE), MMU_RESUME);
	assert_int_equal(slot_move(rig.mmu, ram, gfn(0x4000), &t), 0);
	rig_exit(1);
	read_log();
	assert_true(said(7));
}

static void a_plain_write_to_rom_leaves_them_on(void **state)
{
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, ROM, MMU_WRITE, NULL), MMU_ROM);
	assert_int_equal(rig_stats().ad_off, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_true(rig.eptp[0] & EPTP_AD);
	/* A table in RAM is walked, and counts as written. */
	assert_int_equal(walk(0, RAM + 5), MMU_RESUME);
	assert_int_equal(rig_stats().ad_off, 0);
	rig_exit(0);
	assert_int_equal(read_log(), 1);
	assert_true(said(5));
}

/* One of them switches the flags off; the other, whose exit has come from before that, tries again. */
static void two_vcpus_that_walk_at_the_same_time_go_on(void **state)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rig_enter(i), 0);
	for (unsigned i = 0; i < 2; i++)
		rig_exit(i);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(mmu_violation(&rig.v[i], gpa(ROM << 12), MMU_READ | MMU_WRITE), MMU_ROM);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(mmu_rom_walked(&rig.v[i], gpa(ROM << 12)), MMU_RESUME);
	assert_int_equal(rig_stats().ad_off, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig_enter(i), 0);
		assert_int_equal(walk(i, ROM), MMU_RESUME);
	}
}

/* Without the flags a walk is a read. A write on the way is the CPU's own, to an entry of the guest's: the caller is told. */
static void without_them_a_walk_reads(void **state)
{
	uint64_t bumps = rig_stats().bumps;

	assert_int_equal(rig_enter(0), 0);
	assert_false(rig.eptp[0] & EPTP_AD);
	assert_int_equal(walk(0, ROM), MMU_RESUME);
	rig_exit(0);
	assert_int_equal(hw_walk_fault(&rig.v[0], gpa(ROM << 12), MMU_READ | MMU_WRITE), MMU_ROM);
	assert_int_equal(rig_stats().ad_off, 0);
	assert_int_equal(rig_stats().bumps, bumps);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_walk_in_rom_switches_a_and_d_off),
		T(a_and_d_go_off_once),
		T(records_in_another_buffer_are_kept),
		T(a_slot_that_moves_meanwhile_loses_no_record),
		T(two_vcpus_that_walk_at_the_same_time_go_on),
		T(a_plain_write_to_rom_leaves_them_on),
		cmocka_unit_test_setup_teardown(without_them_a_walk_reads, setup_without_ad, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
