/* SPDX-License-Identifier: MIT */
/*
 * Shadow page tables step by step: what happens to the guest's tables. The numbers are those of the contract's list of tests
 * (docs/contract.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/shadow/shadow_rig.h"

#define RWU (PTE_P | PTE_W | PTE_U)
#define AD  (PTE_A | PTE_D)

static uint64_t to(uint64_t gfn, uint64_t rights)
{
	return gfn << PAGE_SHIFT | rights;
}

static void reaches(unsigned i, uint64_t at, unsigned kind, uint64_t gfn)
{
	struct shadow_rig_result r = shadow_rig_access(i, at, kind, 0);

	assert_int_equal(r.verdict, MMU_RESUME);
	assert_int_equal(r.address >> PAGE_SHIFT, shadow_rig_frame(gfn));
}

/* Four levels of tables at gfns 10 to 13, each with its entry 1; the page table maps gfn 100. */
#define ROOT 10
static uint64_t four_levels(unsigned vcpus, const struct mmu_params *p)
{
	static const uint64_t gfns[] = { 10, 11, 12, 13, 100 };
	static const unsigned index[] = { 1, 1, 1, 1 };
	uint64_t at;

	shadow_rig_start(vcpus, p);
	at = shadow_rig_path(gfns, 4, index);
	for (unsigned i = 0; i < vcpus; i++)
		shadow_rig_mode(i, SHADOW_4, ROOT << PAGE_SHIFT);
	return at;
}

/* 1. An entry changes behind the MMU between large and table, and its frame changes; then the slot goes. */
static void a_large_entry_becomes_a_table_behind_the_mmu(void **state)
{
	static const enum mmu_removal how[] = { MMU_REMOVAL_TARGETED, MMU_REMOVAL_BULK };

	for (unsigned n = 0; n < ARRAY_SIZE(how); n++) {
		struct mmu_params p = { .removal = how[n] };
		uint64_t at = four_levels(1, &p);
		struct shadow_rig_result r;
		struct mmu_ticket t;
		struct backing *b;
		slot_id id;

		b = shadow_rig_slot(4096, 512, 0, &id);
		shadow_rig_entry(12, 2, to(4096, RWU | AD | PTE_PS));
		shadow_rig_entry(12, 3, to(4096, RWU | AD | PTE_PS));
		/* One by a large leaf, or by many small ones; the other by a table over the same memory. */
		for (unsigned i = 0; i < 8; i++)
			shadow_rig_access(0, at + (1ull << 21) + i * PAGE_SIZE, MMU_WRITE, 0);
		shadow_rig_poke(12, 2, to(14, RWU));
		for (unsigned i = 0; i < 8; i++)
			shadow_rig_poke(14, i, to(4096 + 300 + i, RWU | AD));
		for (unsigned i = 0; i < 16; i++)
			shadow_rig_access(0, at + (1ull << 21) - PAGE_SIZE + i * PAGE_SIZE, MMU_WRITE, 0);
		shadow_rig_poke(12, 2, to(0, RWU | AD | PTE_PS));
		shadow_rig_poke(12, 3, to(14, RWU));
		for (unsigned i = 0; i < 16; i++)
			shadow_rig_access(0, at + (1ull << 22) - PAGE_SIZE + i * PAGE_SIZE, MMU_WRITE, 0);
		shadow_rig_leave(0);
		assert_int_equal(slot_delete(shadow_rig.mmu, id, &t), 0);
		/* Nothing of it is reached any more, whichever way it was. */
		for (unsigned i = 0; i < 1024; i++) {
			r = shadow_rig_access(0, at + (1ull << 21) - PAGE_SIZE + i * PAGE_SIZE, MMU_READ, 0);
			if (r.verdict == MMU_RESUME)
				for (unsigned f = 0; f < 512; f++)
					assert_int_not_equal(r.address >> PAGE_SHIFT, backing_pfn(b, f).v);
		}
		mmu_cpu_quiescent(0);
		assert_true(mmu_ticket_ready(shadow_rig.mmu, &t));
		shadow_rig_stop();
	}
}

/* 3. RAM becomes a device by a write to the page table from outside of the guest. */
static void ram_that_becomes_a_device_is_not_reached(void **state)
{
	uint64_t at = four_levels(2, NULL);
	struct shadow_rig_result r;

	for (unsigned i = 0; i < 2; i++)
		reaches(i, at, MMU_WRITE, 100);
	shadow_rig_entry(13, 1, to(3000, RWU | AD));
	for (unsigned i = 0; i < 2; i++) {
		shadow_rig_mode(i, SHADOW_4, ROOT << PAGE_SHIFT);
		r = shadow_rig_access(i, at | 8, MMU_READ, 0);
		assert_int_equal(r.verdict, MMU_MMIO);
		assert_int_equal(shadow_rig.v[i].fault_at.v, 3000 << PAGE_SHIFT | 8);
		r = shadow_rig_access(i, at | 16, MMU_WRITE, 0);
		assert_int_equal(r.verdict, MMU_MMIO);
		assert_int_equal(shadow_rig_access(i, at, MMU_EXEC, 0).verdict, MMU_EXEC_MMIO);
	}
	/* And RAM again. */
	shadow_rig_entry(13, 1, to(101, RWU));
	shadow_rig_invlpg(1, at);
	reaches(1, at, MMU_WRITE, 101);
	shadow_rig_stop();
}

/* The same, past the MMU. It finds out when a store faults since D was clear: then the old entry goes (rule 12). */
static void an_entry_for_ram_goes_when_a_device_is_found(void **state)
{
	uint64_t at = four_levels(1, NULL);

	reaches(0, at, MMU_READ, 100);
	shadow_rig_poke(13, 1, to(3000, RWU | PTE_A));
	assert_int_equal(shadow_rig_access(0, at, MMU_WRITE, 0).verdict, MMU_MMIO);
	shadow_rig_mode(0, SHADOW_4, ROOT << PAGE_SHIFT);
	assert_int_equal(shadow_rig_access(0, at, MMU_READ, 0).verdict, MMU_MMIO);
	shadow_rig_stop();
}

/* 10. One frame is the root, a table of each level and a page at once: the guest's recursive entry. */
static void a_root_may_be_its_own_leaf(void **state)
{
	uint64_t at = four_levels(1, NULL), own = 0, e;

	shadow_rig_entry(ROOT, 511, to(ROOT, RWU));
	for (unsigned n = 0; n < 4; n++)
		own = own << 9 | 511;
	own = sign_extend(own << PAGE_SHIFT, 48);
	reaches(0, at, MMU_READ, 100);
	reaches(0, own, MMU_READ, ROOT);
	/* The page table, by the recursive entry: its own entry 1 gets another frame. */
	for (unsigned n = 0; n < 20; n++) {
		uint64_t table = sign_extend(511ull << 39 | 1ull << 30 | 1ull << 21 | 1ull << 12, 48);

		shadow_rig_store(0, table | 8, to(200 + n, RWU), 8);
		assert_int_equal(shadow_rig_read(13, 1), to(200 + n, RWU));
		shadow_rig_invlpg(0, at);
		reaches(0, at, MMU_WRITE, 200 + n);
		assert_int_equal(shadow_rig_read(13, 1), to(200 + n, RWU | AD));
	}
	/* The root, by itself: entry 2 becomes what entry 1 is. */
	e = shadow_rig_read(ROOT, 1);
	shadow_rig_store(0, own | 16, e, 8);
	reaches(0, at + (1ull << 39), MMU_READ, 219);
	/* And it is gone again. */
	shadow_rig_store(0, own | 16, 0, 8);
	shadow_rig_invlpg(0, at + (1ull << 39));
	assert_int_equal(shadow_rig_access(0, at + (1ull << 39), MMU_READ, 0).verdict, MMU_INJECT);
	/* Its own entry goes, by itself. */
	shadow_rig_store(0, own | 511 * 8, 0, 8);
	shadow_rig_mode(0, SHADOW_4, ROOT << PAGE_SHIFT);
	assert_int_equal(shadow_rig_access(0, own, MMU_READ, 0).verdict, MMU_INJECT);
	reaches(0, at, MMU_READ, 219);
	shadow_rig_stop();
}

/* Page table 13 is mapped at entry 5 of itself, so that the guest writes to it; returns where. Other tables that link it: 12. */
static uint64_t mapped_by_itself(uint64_t at)
{
	shadow_rig_entry(13, 5, to(13, RWU));
	return at + 4 * PAGE_SIZE;
}

/* 13. A page table that the guest writes to without exits is unlinked, and linked anew. */
static void an_unsynchronised_table_is_linked_anew(void **state)
{
	for (unsigned link = 2; link < 8; link++) {
		uint64_t at = four_levels(2, NULL), table = mapped_by_itself(at);
		unsigned direct = 0;

		reaches(0, at, MMU_WRITE, 100);
		for (unsigned n = 0; n < 6; n++)
			direct += shadow_rig_store(0, table | 16, to(300 + n, RWU), 8);
		assert_true(direct >= 4); /* the rest may be emulated, before it is found to be often */
		reaches(0, at + PAGE_SIZE, MMU_READ, 305);
		/* Unlinked, and flushed. */
		shadow_rig_entry(12, 1, 0);
		shadow_rig_invlpg(0, at);
		shadow_rig_invlpg(0, table);
		assert_int_equal(shadow_rig_access(0, at + PAGE_SIZE, MMU_READ, 0).verdict, MMU_INJECT);
		/* It is written to once more, behind all: by what is writable still. */
		shadow_rig_poke(13, 2, to(400, RWU));
		shadow_rig_poke(13, 1, to(401, RWU));
		shadow_rig_entry(12, link, to(13, RWU));
		/* These addresses were not present: nothing of them is cached, so no flush is due. */
		reaches(0, at + ((uint64_t)(link - 1) << 21) + PAGE_SIZE, MMU_READ, 400);
		reaches(0, at + ((uint64_t)(link - 1) << 21), MMU_WRITE, 401);
		reaches(1, at + ((uint64_t)(link - 1) << 21) + PAGE_SIZE, MMU_WRITE, 400);
		shadow_rig_stop();
	}
}

/* The same, without that it is unlinked first: a second directory entry, and another root. */
static void an_unsynchronised_table_gets_a_second_parent(void **state)
{
	uint64_t at = four_levels(1, NULL), table = mapped_by_itself(at);

	for (unsigned n = 0; n < 6; n++) {
		shadow_rig_store(0, table | 16, to(300 + n, RWU), 8);
		reaches(0, at + PAGE_SIZE, MMU_READ, 300); /* cached; no flush since */
	}
	shadow_rig_entry(12, 2, to(13, RWU));
	reaches(0, at + (1ull << 21) + PAGE_SIZE, MMU_READ, 305);
	shadow_rig_store(0, table | 16, to(310, RWU), 8);
	/* Another address space with the same page table. */
	shadow_rig_entry(20, 1, to(21, RWU));
	shadow_rig_entry(21, 1, to(22, RWU));
	shadow_rig_entry(22, 1, to(13, RWU));
	shadow_rig_mode(0, SHADOW_4, 20 << PAGE_SHIFT);
	reaches(0, at + PAGE_SIZE, MMU_READ, 310);
	shadow_rig_stop();
}

/* The same at a distance: what is linked anew leads to the unsynchronised table only after a level or two. */
static void an_unsynchronised_table_lies_below_what_is_linked_anew(void **state)
{
	for (unsigned level = 3; level <= 4; level++) {
		uint64_t at = four_levels(2, NULL), table = mapped_by_itself(at),
			 there = at + (1ull << (12 + 9 * (level - 1)));

		reaches(0, at, MMU_WRITE, 100);
		for (unsigned n = 0; n < 6; n++)
			shadow_rig_store(0, table | 8, to(300 + n, RWU), 8);
		shadow_rig_entry(14 - level, 2, to(15 - level, RWU));
		/* No address there was present before. */
		reaches(0, there + 4 * PAGE_SIZE, MMU_READ, 13);
		reaches(0, there, MMU_READ, 305);
		shadow_rig_stop();
	}
}

/* The guest invalidates an address whose tables are linked by nothing just then, since an entry above was stored into. */
static void an_invalidation_counts_where_the_path_is_broken(void **state)
{
	for (unsigned level = 2; level <= 4; level++) {
		uint64_t at = four_levels(1, NULL), table = mapped_by_itself(at);

		reaches(0, at, MMU_WRITE, 100);
		for (unsigned n = 0; n < 6; n++)
			shadow_rig_store(0, table | 8, to(300 + n, RWU), 8);
		/* The same entry once more. */
		shadow_rig_entry(14 - level, 1, shadow_rig_read(14 - level, 1));
		shadow_rig_invlpg(0, at);
		/* A neighbour brings the tables back. */
		reaches(0, table, MMU_READ, 13);
		reaches(0, at, MMU_READ, 305);
		shadow_rig_stop();
	}
}

/* ---- 14: one vCPU walks, another changes the entry of one level ---- */

static struct {
	unsigned level, countdown, done;
	uint64_t value;
} edit;

static void edit_in_between(void)
{
	void (*was)(void) = mmu_yield;

	if (spin_is_locked(&shadow_rig.mmu->lock) || !edit.countdown || --edit.countdown)
		return;
	mmu_yield = NULL;
	shadow_rig_entry(14 - edit.level, 1, edit.value);
	edit.done++;
	mmu_yield = was;
}

static void an_entry_of_each_level_changes_during_the_fault(void **state)
{
	for (unsigned level = 1; level <= 4; level++)
		for (unsigned when = 1; when < 40; when++) {
			uint64_t at = four_levels(2, NULL);

			/* A second path from each level on, to gfn 200. */
			for (unsigned l = level; l > 1; l--)
				shadow_rig_entry(30 + l - 1, 1, to(l == 2 ? 200 : 30 + l - 2, RWU));
			if (when & 1)
				reaches(1, at, MMU_WRITE, 100);
			edit.level = level;
			edit.countdown = when;
			edit.done = 0;
			edit.value = to(level == 1 ? 200 : 30 + level - 1, RWU);
			mmu_yield = edit_in_between;
			shadow_rig_access(0, at, MMU_WRITE, 0);
			mmu_yield = NULL;
			if (edit.done) {
				for (unsigned i = 0; i < 2; i++) {
					shadow_rig_invlpg(i, at);
					reaches(i, at, MMU_WRITE, 200);
				}
			}
			shadow_rig_stop();
		}
}

/* 15. Two entries of a directory, one page table, different rights. */
static void one_table_by_two_entries_with_different_rights(void **state)
{
	static const uint64_t rights[] = { PTE_W | PTE_U, PTE_U, PTE_W, 0, PTE_W | PTE_U | PTE_NX,
		PTE_U | PTE_NX };
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC };

	for (unsigned level = 2; level <= 4; level++) {
		uint64_t at = four_levels(1, NULL), step = 1ull << (12 + 9 * (level - 1));

		for (unsigned e = 0; e < ARRAY_SIZE(rights); e++)
			shadow_rig_entry(14 - level, 1 + e, to(15 - level, rights[e] | PTE_P));
		for (unsigned round = 0; round < 3; round++)
			for (unsigned n = 0; n < ARRAY_SIZE(rights); n++) {
				unsigned e = round == 1 ? (unsigned)ARRAY_SIZE(rights) - 1 - n : n;

				for (unsigned k = 0; k < 3; k++)
					for (unsigned cpl = 0; cpl <= 3; cpl += 3)
						shadow_rig_check(0, at + e * step, kinds[k], cpl);
			}
		shadow_rig_stop();
	}
}

/* 20. 32-bit paging: the directory has four quadrants, a page table two; the directory is its own page table. */
static void quadrants_are_told_apart(void **state)
{
	static const unsigned at[] = { 0, 255, 256, 511, 512, 767, 768, 1023 };

	shadow_rig_start(1, NULL);
	for (unsigned i = 0; i < 8; i++) {
		shadow_rig_entry32(
			10, at[i], (uint32_t)to(20 + i / 2, RWU)); /* two each share a page table */
		for (unsigned j = 0; j < 8; j++)
			shadow_rig_entry32(20 + i / 2, at[j], (uint32_t)to(100 + (i / 2) * 8 + j, RWU));
	}
	shadow_rig_mode(0, SHADOW_32, 10 << PAGE_SHIFT);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 8; i++)
			for (unsigned j = 0; j < 8; j++)
				reaches(0, (uint64_t)at[i] << 22 | at[j] << 12, round ? MMU_READ : MMU_WRITE,
					100 + (i / 2) * 8 + j);
	/* As its own table, in each quarter. */
	for (unsigned q = 0; q < 4; q++) {
		uint64_t own = (uint64_t)(q * 256 + 3) << 22;

		shadow_rig_entry32(10, q * 256 + 3, (uint32_t)to(10, RWU));
		for (unsigned j = 0; j < 8; j++)
			reaches(0, own | at[j] << 12, MMU_READ, 20 + j / 2);
		/* A page table's entry through it: each eighth. */
		for (unsigned j = 0; j < 8; j++) {
			shadow_rig_store(0, own | at[1] << 12 | at[j] * 4u, to(500 + q * 8 + j, RWU), 4);
			shadow_rig_invlpg(0, at[j] << 12);
			shadow_rig_invlpg(0, (uint64_t)at[1] << 22 | at[j] << 12);
			reaches(0, at[j] << 12, MMU_WRITE, 500 + q * 8 + j);
			reaches(0, (uint64_t)at[1] << 22 | at[j] << 12, MMU_WRITE, 500 + q * 8 + j);
		}
	}
	/* Only the half that was stored to changes. */
	reaches(0, (uint64_t)at[2] << 22 | at[7] << 12, MMU_READ, 100 + 8 + 7);
	shadow_rig_stop();
}

/* A page of 4 MiB has its own quarter of the directory, and each part of it its own frame (PSE). */
static void large_pages_of_32_bit_paging_are_split(void **state)
{
	shadow_rig_start(1, NULL);
	for (unsigned q = 0; q < 4; q++)
		shadow_rig_entry32(10, q * 256 + 1, (uint32_t)to((q & 1) * 1024, RWU | PTE_PS | AD));
	shadow_rig_mode(0, SHADOW_32_PSE, 10 << PAGE_SHIFT);
	for (unsigned q = 0; q < 4; q++)
		for (unsigned n = 0; n < 1024; n += 31) {
			uint64_t gfn = (q & 1) * 1024 + n;

			if (gfn != 10)
				reaches(0, (uint64_t)(q * 256 + 1) << 22 | n << 12,
					n & 1 ? MMU_READ : MMU_WRITE, gfn);
		}
	/* The directory lies in the first of them: a store to it through the large page is seen. */
	shadow_rig_store(0, 1ull << 22 | 10 << 12 | 257 * 4, to(1024, RWU | PTE_PS), 4);
	shadow_rig_store(0, 1ull << 22 | 10 << 12 | 1 * 4, to(1024, RWU | PTE_PS), 4);
	shadow_rig_invlpg(0, 1ull << 22);
	reaches(0, 1ull << 22, MMU_READ, 1024);
	shadow_rig_stop();
}

/* A frame that was a table of this level is something else now, and may be linked still: how many of 64 stores into it are emulated? */
static unsigned stores_emulated(unsigned level, bool linked)
{
	uint64_t at = four_levels(1, NULL), to_it = at + PAGE_SIZE;
	unsigned emulated = 0;

	/* A second tree, of which the table of this level is mapped at the next page; it is used once, and unlinked. */
	for (unsigned l = 4; l > 1; l--)
		shadow_rig_entry(60 + l, 1, to(60 + l - 1, RWU));
	shadow_rig_entry(61, 1, to(200, RWU));
	shadow_rig_entry(13, 2, to(60 + level, RWU));
	shadow_rig_mode(0, SHADOW_4, 64 << PAGE_SHIFT);
	reaches(0, at, MMU_WRITE, 200);
	if (level < 4 && !linked)
		shadow_rig_entry(60 + level + 1, 1, 0);
	shadow_rig_mode(0, SHADOW_4, ROOT << PAGE_SHIFT);
	reaches(0, at, MMU_WRITE, 100);
	for (unsigned n = 0; n < 64; n++)
		emulated += !shadow_rig_store(0, to_it | n * 8, n, 8);
	if (emulated < 64)
		reaches(0, to_it, MMU_WRITE, 60 + level);
	shadow_rig_stop();
	return emulated;
}

/* It is given up after a few. */
static void a_table_that_is_flooded_is_given_up(void **state)
{
	for (unsigned level = 1; level <= 4; level++)
		for (unsigned linked = 0; linked < 2; linked++)
			assert_true(stores_emulated(level, linked) <= 8);
	mutant_select("flood_ignored");
	assert_int_equal(stores_emulated(2, true), 64);
	mutant_select("none");
}

/* Page tables with entries at both ends, so that comparing one counts as 512 entries: how many of `tables` say what they said before
 * the guest edited all of them and loaded CR3? */
static unsigned stale_after_load(unsigned tables)
{
	uint64_t at = align_down(four_levels(1, NULL), 1 << 21) - (1 << 21), edit = at + (1 << 21);
	unsigned stale = 0;

	for (unsigned t = 0; t < tables; t++) {
		shadow_rig_entry(12, 2 + t, to(40 + t, RWU));
		shadow_rig_entry(40 + t, 0, to(300 + t, RWU));
		shadow_rig_entry(40 + t, 511, to(400 + t, RWU));
		shadow_rig_entry(13, 2 + t, to(40 + t, RWU));
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned t = 0; t < tables; t++) {
			uint64_t page = at + ((2ull + t) << 21);

			/* The first access may link the table, the second finds it linked. */
			shadow_rig_access(0, page + 511 * PAGE_SIZE, MMU_WRITE, 0);
			stale += shadow_rig_access(0, page, MMU_WRITE, 0).address >> PAGE_SHIFT !=
				 shadow_rig_frame(300 + 100 * round + t);
		}
		for (unsigned t = 0; t < tables; t++)
			shadow_rig_store(0, edit + (2 + t) * PAGE_SIZE, to(400 + 100 * round + t, RWU), 8);
		shadow_rig_mode(0, SHADOW_4, ROOT << PAGE_SHIFT);
	}
	shadow_rig_stop();
	return stale;
}

static void many_tables_may_be_edited_at_once(void **state)
{
	for (unsigned tables = 1; tables < 40; tables += 6)
		assert_int_equal(stale_after_load(tables), 0);
	mutant_select("stale_forgotten");
	assert_int_not_equal(stale_after_load(20), 0);
	mutant_select("none");
}

/*
 * A right to write that went without a flush, for the guest had ordered none, may be in another vCPU's TLB when the frame becomes a
 * table. Does the table's entry count all the same?
 */
static bool unflushed_right_ends(void)
{
	uint64_t at = four_levels(2, NULL), through = at + PAGE_SIZE,
		 page = at + (1ull << 21) + 2 * PAGE_SIZE;
	uint64_t wanted;

	/* vCPU 1 can write to gfn 30, and stays in the guest; then the entry for that goes. */
	shadow_rig_entry(13, 2, to(30, RWU));
	reaches(0, at, MMU_WRITE, 100);
	reaches(1, through, MMU_WRITE, 30);
	shadow_rig_entry(13, 2, 0);
	shadow_rig_poke(30, 3, to(300, RWU));
	/* gfn 30 becomes a page table. */
	shadow_rig_entry(12, 2, to(30, RWU));
	reaches(0, page, MMU_READ, 300);
	/* vCPU 1 writes to it, if it can, and says so by an interrupt. */
	if (shadow_rig_access(1, through, MMU_WRITE, 0).verdict == MMU_RESUME)
		shadow_rig_poke(30, 3, to(301, RWU));
	shadow_rig_invlpg(0, page);
	wanted = shadow_rig_frame(shadow_rig_read(30, 3) >> PAGE_SHIFT & 0xffff);
	at = shadow_rig_access(0, page, MMU_READ, 0).address >> PAGE_SHIFT;
	shadow_rig_stop();
	return at == wanted;
}

static void a_right_that_went_unflushed_ends_when_the_frame_becomes_a_table(void **state)
{
	assert_true(unflushed_right_ends());
	mutant_select("ahead_forgotten");
	assert_false(unflushed_right_ends());
	mutant_select("none");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_entry_becomes_a_table_behind_the_mmu),
		cmocka_unit_test(ram_that_becomes_a_device_is_not_reached),
		cmocka_unit_test(an_entry_for_ram_goes_when_a_device_is_found),
		cmocka_unit_test(a_root_may_be_its_own_leaf),
		cmocka_unit_test(an_unsynchronised_table_is_linked_anew),
		cmocka_unit_test(an_unsynchronised_table_gets_a_second_parent),
		cmocka_unit_test(an_unsynchronised_table_lies_below_what_is_linked_anew),
		cmocka_unit_test(an_invalidation_counts_where_the_path_is_broken),
		cmocka_unit_test(an_entry_of_each_level_changes_during_the_fault),
		cmocka_unit_test(one_table_by_two_entries_with_different_rights),
		cmocka_unit_test(quadrants_are_told_apart),
		cmocka_unit_test(a_table_that_is_flooded_is_given_up),
		cmocka_unit_test(many_tables_may_be_edited_at_once),
		cmocka_unit_test(a_right_that_went_unflushed_ends_when_the_frame_becomes_a_table),
		cmocka_unit_test(large_pages_of_32_bit_paging_are_split),
	};

	return cmocka_run_group_tests_name("shadow page tables: tables", tests, NULL, NULL);
}
