/* SPDX-License-Identifier: MIT */
/* The EPT back end: which leaf, which rights, which memory type; MMIO entries; faults as the run loop sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/host/mtrr.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
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

static void start(struct mmu_caps caps, uint64_t pool_pages)
{
	rig_start_with(
		&(struct mmu_params){ .vcpus = 2, .caps = caps, .pool_pages = pool_pages }, 256 * MiB, true);
	assert_int_equal(rig_enter(0), 0);
}

static unsigned level_at(uint64_t g)
{
	unsigned level;
	uint64_t e;

	return rig_leaf(g, &e, &level) ? level : 0;
}

static uint64_t entry_at(uint64_t g)
{
	unsigned level;
	uint64_t e;

	rig_leaf(g, &e, &level);
	return e;
}

static void eptp_says_what_the_cpu_needs(void **state)
{
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig.eptp[0] & 0xfff, MT_WB | 3 << 3 | EPTP_AD);
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig.eptp[1], rig.eptp[0]); /* one root for all */
	rig_stop();
	struct mmu_caps c = rig_caps();
	c.ept_ad = false;
	c.ept_wb = false;
	c.ept_uc = true;
	start(c, 0);
	assert_int_equal(rig.eptp[0] & 0xfff, MT_UC | 3 << 3);
}

static void what_the_cpu_cannot_do_is_refused(void **state)
{
	struct mmu_params p = { .backend = &mmu_backend_ept,
		.ops = &hw_ops,
		.owner = RIG_TABLES,
		.vcpus = 1,
		.guest_maxphyaddr = 40,
		.caps = rig_caps() };
	struct mmu *m;

	p.guest_maxphyaddr = 49;
	assert_int_equal(mmu_create(&p, &m), -E_NOSUP);
	p.caps.ept_5level = true;
	p.caps.maxphyaddr = 52;
	assert_int_equal(mmu_create(&p, &m), 0);
	mmu_destroy(m);
	p.guest_maxphyaddr = 40;
	p.caps.ept = false;
	assert_int_equal(mmu_create(&p, &m), -E_NOSUP);
	p.caps.ept = true;
	p.vcpus = 0;
	assert_int_equal(mmu_create(&p, &m), -E_INVAL);
}

static void five_levels_reach_beyond_48_bits(void **state)
{
	struct mmu_params p = { .vcpus = 1, .guest_maxphyaddr = 52, .caps = rig_caps() };
	uint64_t f;

	rig_stop();
	p.caps.ept_5level = true;
	rig_start_with(&p, 128 * MiB, true);
	rig_slot(BIT(39), 8, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig.eptp[0] >> 3 & 7, 4);
	assert_int_equal(rig_access(0, BIT(39) + 3, MMU_WRITE, &f), MMU_RESUME);
	assert_int_equal(rig_access(0, 3, MMU_WRITE, &f), MMU_MMIO);
}

static void large_leaves_where_all_agree(void **state)
{
	struct backing *b;
	slot_id shifted, part;
	struct slot_desc d = { .base = gfn(0x801), .pages = 1024 };

	rig_slot(0x200, 2 * 512, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x2ff, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(level_at(0x2ff), 2);
	assert_int_equal(level_at(0x200), 2);
	assert_int_equal(level_at(0x400), 0); /* the other half was not asked for */

	/* Not equally aligned: a page off. */
	assert_int_equal(backing_alloc(1024, RIG_RAM, &b), 0);
	d.backing = b;
	assert_int_equal(slot_add(rig.mmu, &d, &shifted), 0);
	assert_int_equal(rig_access(0, 0x900, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(level_at(0x900), 1);
	/* The slot's edge cuts the piece. */
	d.base = gfn(0x1000);
	d.pages = 511;
	assert_int_equal(slot_add(rig.mmu, &d, &part), 0);
	assert_int_equal(rig_access(0, 0x1010, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(level_at(0x1010), 1);
	d.base = gfn(0x1401);
	d.pages = 511;
	d.backing_page = 1;
	assert_int_equal(slot_add(rig.mmu, &d, &part), 0);
	assert_int_equal(rig_access(0, 0x1410, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(level_at(0x1410), 1);
	rig_own(b);
}

static void without_2m_pages_all_are_small(void **state)
{
	struct mmu_caps c = rig_caps();

	rig_stop();
	c.ept_2m = c.ept_1g = false;
	start(c, 0);
	rig_slot(0, 1024, 0);
	assert_int_equal(rig_access(0, 0, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(level_at(0), 1);
}

static void a_gib_is_one_leaf(void **state)
{
	struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };
	uint64_t f, g;

	rig_stop();
	rig_start_with(&p, 3 * GiB, true);
	rig_slot(BIT(18), BIT(18), 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BIT(18) + 12345, MMU_WRITE, &f), MMU_RESUME);
	assert_int_equal(level_at(BIT(18)), 3);
	assert_int_equal(rig_access(0, BIT(18), MMU_WRITE, &g), MMU_RESUME);
	assert_int_equal(f - g, 12345);
	assert_int_equal(rig_stats().faults, 1);
}

/* The host has MTRRs that say UC for one page in the middle of a 2 MiB piece. */
static uint64_t uc_page;

static uint64_t rdmsr_with_uc_page(uint32_t msr)
{
	switch (msr) {
	case MSR_MTRRCAP:
		return 1;
	case MSR_MTRR_DEF_TYPE:
		return BIT(11) | MT_WB;
	case MSR_MTRR_PHYSBASE0:
		return uc_page << 12 | MT_UC;
	case MSR_MTRR_PHYSBASE0 + 1:
		return (BITS(39, 12)) | BIT(11);
	}
	return 0;
}

static void memory_type_follows_the_host(void **state)
{
	struct backing *b;
	struct slot_desc d = { .base = gfn(0), .pages = 1024 };
	slot_id id;

	assert_int_equal(backing_alloc(1024, RIG_RAM, &b), 0);
	uc_page = backing_pfn(b, 5).v;
	backing_free(b);
	mtrr_read(rdmsr_with_uc_page, 40);
	assert_int_equal(backing_alloc(1024, RIG_RAM, &b), 0);
	assert_int_equal(backing_pfn(b, 5).v, uc_page);
	d.backing = b;
	assert_int_equal(slot_add(rig.mmu, &d, &id), 0);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t g = 0; g < 1024; g++) {
		assert_int_equal(rig_access(0, g, MMU_READ, NULL), MMU_RESUME);
		assert_int_equal(level_at(g), g < 512 ? 1 : 2);
		assert_int_equal(bits_get(entry_at(g), 5, 3), g == 5 ? MT_UC : MT_WB);
	}
	rig_own(b);
	oracle_mtrr_wb();
}

/* Rule 15. */
static void large_leaves_are_not_executable_where_that_could_lock_up(void **state)
{
	struct mmu_caps c = rig_caps();
	uint64_t a, b;

	rig_stop();
	c.pschange_mc_no = false;
	start(c, 0);
	rig_slot(0x200, 1024, 0);
	assert_int_equal(rig_access(0, 0x210, MMU_WRITE, &a), MMU_RESUME);
	assert_int_equal(level_at(0x210), 2);
	assert_int_equal(entry_at(0x210) & EPT_RWX, EPT_R | EPT_W);
	assert_int_equal(rig_access(0, 0x210, MMU_EXEC, &b), MMU_RESUME);
	assert_int_equal(a, b);
	assert_int_equal(level_at(0x210), 1);
	assert_int_equal(entry_at(0x210) & EPT_RWX, EPT_RWX);
	assert_int_equal(level_at(0x400), 0);
	/* A fetch first: small at once. */
	assert_int_equal(rig_access(0, 0x500, MMU_EXEC, NULL), MMU_RESUME);
	assert_int_equal(level_at(0x500), 1);
}

static void start_prone(uint64_t ram)
{
	struct mmu_caps c = rig_caps();

	rig_stop();
	c.pschange_mc_no = false;
	rig_start_with(&(struct mmu_params){ .vcpus = 2, .caps = c }, ram, true);
}

/* All of a table of small leaves: executable, in a row, as written to. */
static void assert_filled(uint64_t base)
{
	uint64_t first = entry_at(base);

	assert_int_equal(first & 0xfff, EPT_RWX | MT_WB << EPT_MT_AT | EPT_A | EPT_D);
	for (uint64_t i = 0; i < 512; i++) {
		assert_int_equal(level_at(base + i), 1);
		assert_int_equal(entry_at(base + i), first + (i << PAGE_SHIFT));
	}
}

/* Rule 15: taken apart by the first fetch, at once, and not by one fault for each page. */
static void a_large_leaf_is_taken_apart_by_one_fault(void **state)
{
	uint64_t from, to;

	start_prone(256 * MiB);
	rig_slot(0x200, 1024, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x210, MMU_WRITE, &from), MMU_RESUME);
	assert_int_equal(rig_access(0, 0x3ff, MMU_EXEC, &to), MMU_RESUME);
	assert_int_equal(to - from, 0x3ff - 0x210);
	assert_filled(0x200);
	/* One that nothing was mapped in, too. */
	assert_int_equal(rig_access(0, 0x433, MMU_EXEC, NULL), MMU_RESUME);
	assert_filled(0x400);
	assert_int_equal(rig_stats().faults, 3);
	for (uint64_t g = 0x200; g < 0x600; g++)
		assert_int_equal(rig_access(0, g, MMU_READ | MMU_WRITE | MMU_EXEC, NULL), MMU_RESUME);
	assert_int_equal(rig_stats().faults, 3);
	assert_int_equal(rig_stats().faults_spurious, 0);
	/* The tables are forgotten as full as they are: what they are used for next begins empty. */
	mmu_invalidate_all(rig.mmu);
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_drain(), 5); /* four levels, two tables of leaves */
	rig_slot(0x1000, 3, 0);
	assert_int_equal(rig_access(0, 0x1001, MMU_EXEC, NULL), MMU_RESUME);
	for (uint64_t g = 0x1000; g < 0x1200; g++)
		assert_int_equal(entry_at(g) != 0, g == 0x1001);
}

static void only_uniform_memory_is_filled_in_by_a_fetch(void **state)
{
	slot_id id;
	struct mmu_ticket t;

	(void)state;
	start_prone(256 * MiB);
	/* The slot's edge. */
	rig_slot(0x200, 700, 0);
	/* Writes are logged: each has to be seen. */
	id = rig_slot(0x800, 512, 0);
	assert_int_equal(slot_set_flags(rig.mmu, id, SLOT_DIRTY_LOG, &t), 0);
	/* ROM stays that. */
	rig_slot(0xa00, 512, SLOT_READONLY);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x433, MMU_EXEC, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, 0x833, MMU_EXEC, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, 0xa33, MMU_EXEC, NULL), MMU_RESUME);
	assert_int_equal(entry_at(0x833) & EPT_RWX, EPT_R | EPT_X);
	for (uint64_t i = 0; i < 512; i++) {
		assert_int_equal(entry_at(0x400 + i) != 0, i == 0x33);
		assert_int_equal(entry_at(0x800 + i) != 0, i == 0x33);
		assert_int_equal(level_at(0xa00 + i), 1);
		assert_int_equal(entry_at(0xa00 + i) & (EPT_RWX | EPT_D), EPT_R | EPT_X);
	}
}

static void of_a_gib_only_two_mib_become_small(void **state)
{
	start_prone(3 * GiB);
	rig_slot(BIT(18), BIT(18), 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BIT(18), MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(level_at(BIT(18)), 3);
	assert_int_equal(rig_access(0, BIT(18) + 12345, MMU_EXEC, NULL), MMU_RESUME);
	assert_filled(align_down(BIT(18) + 12345, 512));
	for (uint64_t g = BIT(18); g < 2 * BIT(18); g += 512) {
		uint64_t e = entry_at(g);

		if (g == align_down(BIT(18) + 12345, 512))
			continue;
		assert_int_equal(level_at(g), 2);
		assert_int_equal(e & EPT_RWX, EPT_R | EPT_W);
		assert_int_equal(ept_pfn(e).v - ept_pfn(entry_at(BIT(18))).v, g - BIT(18));
	}
	assert_int_equal(rig_stats().faults, 2);
}

static void each_access_gets_the_verdict_of_its_slot(void **state)
{
	rig_slot(0, 16, 0);
	rig_slot(16, 16, SLOT_READONLY);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 3, MMU_READ | MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, 17, MMU_READ, NULL), MMU_RESUME);
	assert_int_equal(entry_at(17) & EPT_RWX, EPT_R | EPT_X);
	assert_int_equal(rig_access(0, 17, MMU_WRITE, NULL), MMU_ROM);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 18, MMU_WRITE, NULL), MMU_ROM);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 32, MMU_READ, NULL), MMU_MMIO);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(0x50000000), MMU_EXEC), MMU_EXEC_MMIO);
	/* Beyond the guest's width, and beyond what four levels can express. */
	assert_int_equal(mmu_violation(&rig.v[0], gpa(BIT(41)), MMU_READ), MMU_MMIO);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(BIT(48) + 0x3000), MMU_WRITE), MMU_MMIO);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(UINT64_MAX), MMU_EXEC), MMU_EXEC_MMIO);
}

static void spurious_violations_are_resumed(void **state)
{
	rig_slot(0, 1024, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 3, MMU_WRITE, NULL), MMU_RESUME);
	rig_exit(0);
	assert_int_equal(mmu_violation(&rig.v[0], gpa(0x3000), MMU_WRITE), MMU_RESUME);
	assert_int_equal(mmu_misconfig(&rig.v[0], gpa(0x3000)), MMU_RESUME);
	assert_int_equal(mmu_misconfig(&rig.v[0], gpa(0x700000000)), MMU_RESUME); /* nothing there any more */
	assert_int_equal(rig_stats().faults_spurious, 1);
}

static void mmio_entry_carries_its_generation_in_ignored_bits_only(void **state)
{
	for (unsigned i = 0; i < 64; i++) {
		uint64_t gen = i < EPT_MMIO_GEN_BITS ? BIT(i) : oracle_random(), e = ept_mmio_entry(gen, 39);

		assert_true(ept_is_mmio(e) && !ept_present(e));
		assert_int_equal(ept_mmio_gen(e), gen & (BIT(EPT_MMIO_GEN_BITS) - 1));
		assert_int_equal(e & EPT_ADDR, BITS(38, 12)); /* the last page there can be; no RAM (L1TF) */
		assert_int_equal(e & BIT(63), 0);
	}
}

/* One entry covers a hole as far as it reaches, and slots next to it are not in its way. */
static void mmio_entry_is_as_wide_as_the_hole(void **state)
{
	rig_slot(0, 512, 0);
	rig_slot(BIT(18) + 5, 1, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 512, MMU_READ, NULL), MMU_MMIO);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5 << 9, MMU_READ, NULL), MMU_MMIO);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BIT(18) + 6, MMU_READ, NULL), MMU_MMIO);
	assert_int_equal(level_at(512), 0);
	for (uint64_t g = 0; g < 3; g++) {
		static const uint64_t at[] = { 512, BIT(18) + 6, BIT(20) };
		static const unsigned want[] = { 2, 1, 3 };
		unsigned level;
		uint64_t e;

		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, at[g], MMU_READ, NULL), MMU_MMIO);
		rig_leaf(at[g], &e, &level);
		assert_true(ept_is_mmio(e));
		assert_int_equal(level, want[g]);
	}
	/* And what is RAM is reached. */
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, BIT(18) + 5, MMU_WRITE, NULL), MMU_RESUME);
	assert_int_equal(rig_access(0, 511, MMU_WRITE, NULL), MMU_RESUME);
}

/* Test 21: MMIO cached across slot changes, in both directions. */
static void mmio_entries_die_with_the_slot_table(void **state)
{
	struct mmu_ticket t;
	slot_id id;

	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_READ, NULL), MMU_MMIO);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_READ, NULL), MMU_MMIO); /* by misconfiguration now */
	assert_int_equal(rig_stats().faults, 1);
	id = rig_slot(0x700, 4, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_READ, NULL), MMU_RESUME);
	rig_exit(0);
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_READ, NULL), MMU_MMIO);
}

/* The entries have 20 bits for it. When they have gone round, entries from then must not come true again. */
static void mmio_generation_that_wraps_is_a_bump(void **state)
{
	uint64_t bumps;
	struct mmu_ticket t;
	slot_id id;

	rig.mmu->removal.how = MMU_REMOVAL_TARGETED;
	id = rig_slot(0x100000, 1, 0); /* version 2; a deletion counts two */
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_READ, NULL), MMU_MMIO);
	rig.mmu->slots.seq += BIT(EPT_MMIO_GEN_BITS) - 6; /* as if by that many changes */
	bumps = rig_stats().bumps;
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	id = rig_slot(0x100000, 1, 0);
	assert_int_equal(rig_stats().bumps, bumps);
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	assert_int_equal(rig.mmu->slots.seq & (BIT(EPT_MMIO_GEN_BITS) - 1), 1); /* over 0, not by it */
	assert_int_equal(rig_stats().bumps, bumps + 1);
	rig_slot(0x700, 4, 0); /* version 2, by its 20 bits */
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 0x700, MMU_WRITE, NULL), MMU_RESUME);
}

static void an_ept_entry_the_mmu_does_not_write_is_unsound(void **state)
{
	unsigned level;
	uint64_t e;

	assert_int_equal(rig_enter(0), 0);
	rig_slot(0, 4, 0);
	assert_int_equal(rig_access(0, 0, MMU_READ, NULL), MMU_RESUME);
	assert_true(rig_leaf(0, &e, &level));
	assert_true(ept_sound(rig.mmu, e, 1));
	assert_false(ept_sound(rig.mmu, EPT_W, 1));
	assert_false(ept_sound(rig.mmu, e | 7 << 3, 1));
	assert_false(ept_sound(rig.mmu, e | BIT(45), 1));
	assert_false(ept_sound(rig.mmu, e | EPT_PS | BIT(12), 2));
	assert_false(ept_sound(rig.mmu, EPT_RWX | BIT(3), 2));
}

static void four_kib_tables_cost_no_more_than_8_2_bytes_a_page(void **state)
{
	struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };
	struct mmu_stats st;
	uint64_t pages = 256 * 512ul;

	rig_stop();
	p.caps.ept_2m = false;
	rig_start_with(&p, 1 * GiB, false);
	rig_slot(0, pages, 0);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	for (uint64_t g = 0; g < pages; g++)
		assert_int_equal(mmu_violation(&rig.v[0], gpa(g << 12), MMU_WRITE), MMU_RESUME);
	st = rig_stats();
	assert_int_equal(st.pages_live, 256 + 3);
	/* Pool memory comes in chunks of 502 tables; what a full one costs a table is what a large guest pays. */
	assert_true(2.0 * MiB / 502 * (256 + 1) / (double)pages <= 8.2);
	assert_int_equal(st.tables_bytes, 2 * MiB);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(eptp_says_what_the_cpu_needs),
		T(what_the_cpu_cannot_do_is_refused),
		T(five_levels_reach_beyond_48_bits),
		T(large_leaves_where_all_agree),
		T(without_2m_pages_all_are_small),
		T(a_gib_is_one_leaf),
		T(memory_type_follows_the_host),
		T(large_leaves_are_not_executable_where_that_could_lock_up),
		T(a_large_leaf_is_taken_apart_by_one_fault),
		T(only_uniform_memory_is_filled_in_by_a_fetch),
		T(of_a_gib_only_two_mib_become_small),
		T(each_access_gets_the_verdict_of_its_slot),
		T(spurious_violations_are_resumed),
		T(mmio_entry_carries_its_generation_in_ignored_bits_only),
		T(mmio_entry_is_as_wide_as_the_hole),
		T(mmio_entries_die_with_the_slot_table),
		T(mmio_generation_that_wraps_is_a_bump),
		T(an_ept_entry_the_mmu_does_not_write_is_unsound),
		T(four_kib_tables_cost_no_more_than_8_2_bytes_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
