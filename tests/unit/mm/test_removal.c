/* SPDX-License-Identifier: MIT */
/*
 * Test 11: however slots are removed, what the guest reaches afterwards is the same. And which way `auto` takes: it
 * weighs first, and touches nothing that it then only forgets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/backend.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/indirect.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/rig/rig.h"

#define STEPS 6000u
#define SLOTS 10u
#define SPAN  4096u /* pages in which all happens */

/* What came of an access: the verdict, and which page of which slot was reached. */
struct seen {
	uint8_t verdict, slot;
	uint16_t page;
};
static struct seen seen[3][STEPS];

static struct {
	bool used;
	slot_id id;
	uint64_t base, pages;
	struct backing *b;
} at[SLOTS];

/* Its own: the oracle's is used up differently by each policy. */
static uint64_t state;
static uint64_t next(uint64_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static void change(unsigned i)
{
	struct mmu_ticket t;
	uint64_t to = next(SPAN);

	if (!at[i].used) {
		struct slot_desc d = { .base = gfn(next(2) ? align_down(to, 512) : to) };

		d.pages = next(2) ? 512 * (1 + next(2)) : 1 + next(100);
		assert_int_equal(backing_alloc(d.pages, RIG_RAM, &d.backing), 0);
		if (slot_add(rig.mmu, &d, &at[i].id)) {
			backing_free(d.backing);
			return;
		}
		at[i].used = true;
		at[i].base = d.base.v;
		at[i].pages = d.pages;
		at[i].b = d.backing;
		return;
	}
	switch (next(3)) {
	case 0:
		assert_int_equal(slot_set_flags(rig.mmu, at[i].id, next(2) ? SLOT_READONLY : 0, &t), 0);
		return;
	case 1:
		if (!slot_move(rig.mmu, at[i].id, gfn(to), &t))
			at[i].base = to;
		return;
	default:
		assert_int_equal(slot_delete(rig.mmu, at[i].id, &t), 0);
		at[i].used = false;
		/* Every vCPU leaves once, then the RAM may be reused. */
		for (unsigned v = 0; v < 2; v++)
			if (rig.in[v])
				rig_exit(v);
		rig_quiesce();
		assert_true(mmu_ticket_ready(rig.mmu, &t));
		backing_free(at[i].b);
	}
}

static struct seen touch(unsigned v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC };
	uint64_t g = next(SPAN + 1200), f = 0;
	unsigned access = kinds[next(3)];
	struct seen r = { 0 };

	/* The other one leaves first if it is asked to: this one must not go on before. */
	if (rig.kicked[!v] && rig.in[!v])
		rig_exit(!v);
	if (!rig.in[v])
		assert_int_equal(rig_enter(v), 0);
	r.verdict = (uint8_t)rig_access(v, g, access, &f);
	/* A fetch where there is no RAM is told apart only the first time: then an MMIO entry is there. */
	if (r.verdict == MMU_EXEC_MMIO)
		r.verdict = MMU_MMIO;
	if (r.verdict != MMU_RESUME)
		return r;
	r.slot = 255;
	for (unsigned i = 0; i < SLOTS; i++)
		if (at[i].used && g - at[i].base < at[i].pages &&
			backing_pfn(at[i].b, g - at[i].base).v == f) {
			r.slot = (uint8_t)i;
			r.page = (uint16_t)(g - at[i].base);
		}
	/* A stale translation: the memory of no slot, or of another one. */
	assert_int_not_equal(r.slot, 255);
	return r;
}

static void run(enum mmu_removal how, struct seen *log)
{
	struct mmu_params p = { .vcpus = 2, .caps = rig_caps(), .removal = how };

	memset(at, 0, sizeof(at));
	rig_start_with(&p, 256 * MiB, true);
	state = 42;
	for (unsigned n = 0; n < STEPS; n++) {
		if (!next(12)) {
			change((unsigned)next(SLOTS));
			log[n] = (struct seen){ 0 };
			for (unsigned v = 0; v < 2; v++)
				if (rig.kicked[v] && rig.in[v])
					rig_exit(v);
		} else {
			log[n] = touch((unsigned)next(2));
		}
		if (!next(8))
			rig_drain();
	}
	if (how == MMU_REMOVAL_BULK)
		assert_int_equal(rig_stats().targeted, 0);
	else
		assert_true(rig_stats().targeted > 20);
	for (unsigned i = 0; i < SLOTS; i++)
		if (at[i].used)
			rig_own(at[i].b);
	rig_stop();
}

static void all_ways_of_removal_give_the_same_translations(void **state_)
{
	unsigned reached = 0;

	for (unsigned how = MMU_REMOVAL_BULK; how <= MMU_REMOVAL_AUTO; how++)
		run((enum mmu_removal)how, seen[how]);
	for (unsigned n = 0; n < STEPS; n++) {
		reached += seen[0][n].verdict == MMU_RESUME;
		for (unsigned how = 1; how < 3; how++)
			if (memcmp(&seen[0][n], &seen[how][n], sizeof(seen[0][n])) != 0)
				fail_msg("step %u: verdict %u, slot %u, page %u by policy %u; by a bump %u, "
					 "%u, %u",
					n, seen[how][n].verdict, seen[how][n].slot, seen[how][n].page, how,
					seen[0][n].verdict, seen[0][n].slot, seen[0][n].page);
	}
	assert_true(reached > STEPS / 10);
}

/* ---- which way ---- */

#define REGION 0x40000ul /* gfn of 1 GiB: a table of level 2 begins here */

static void start_small(enum mmu_removal how)
{
	struct mmu_params p = { .vcpus = 1, .caps = rig_caps(), .removal = how };

	p.caps.ept_2m = false;
	rig_start_with(&p, 256 * MiB, true);
	rig_slot(0, 512, 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, 5, MMU_WRITE, NULL), MMU_RESUME);
}

static void reach(uint64_t gfn)
{
	if (!rig.in[0])
		assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, gfn, MMU_READ, NULL), MMU_RESUME);
}

/* Everything that removal might touch: the tables in use, and what is noted of them. */
#define KEPT 64u
static struct {
	struct spage *p, was;
	uint64_t table[ENTRIES];
} kept[KEPT];

static unsigned keep(void)
{
	unsigned n = 0;

	list_for_each (p, &rig.mmu->pages.active, struct spage, link) {
		assert_true(n < KEPT);
		kept[n].p = p;
		kept[n].was = *p;
		memcpy(kept[n++].table, spage_table(p), PAGE_SIZE);
	}
	return n;
}

static bool untouched(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (memcmp(kept[i].p, &kept[i].was, sizeof(kept[i].was)) != 0 ||
			memcmp(kept[i].table, spage_table(kept[i].p), PAGE_SIZE) != 0)
			return false;
	return true;
}

/* Deletes slot id; true if that bumped. Either nothing was touched but the generation, or nothing was forgotten. */
static bool bumps(slot_id id)
{
	struct mmu_stats before = rig_stats(), after;
	unsigned tables;
	struct mmu_ticket t;

	if (rig.in[0])
		rig_exit(0);
	tables = keep();
	assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
	after = rig_stats();
	assert_int_equal(after.bumps + after.targeted, before.bumps + before.targeted + 1);
	if (after.bumps == before.bumps) {
		uint64_t e;
		unsigned level;

		assert_true(t.flush_epoch && !t.gen && !untouched(tables));
		assert_true(rig_leaf(5, &e, &level));
	} else {
		assert_true(t.gen && !t.flush_epoch && untouched(tables));
		assert_int_equal(rig.mmu->count.pending, 0);
		assert_int_equal(rig.mmu->front.flush_epoch, before.flushes + 1);
	}
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &t));
	rig_forget(id);
	rig_drain();
	return after.bumps > before.bumps;
}

static void auto_unmaps_up_to_the_crossover_and_touches_nothing_above(void **state_)
{
	const unsigned pages = EPT_CROSSOVER / EPT_WEIGHT_LEAF,
		       tables = EPT_CROSSOVER / (EPT_WEIGHT_ENTRY + EPT_WEIGHT_DROP),
		       end = (EPT_CROSSOVER - EPT_WEIGHT_ENTRY - EPT_WEIGHT_DROP - EPT_WEIGHT_ENTER) /
			     EPT_WEIGHT_LEAF;

	assert_true(pages > 16 && pages < 511 && tables > 0 && end > 0 && end < 256);
	for (unsigned over = 0; over < 2; over++) {
		slot_id id;

		/* Leaves of one table, which stays. */
		start_small(MMU_REMOVAL_AUTO);
		id = rig_slot(REGION, 511, 0);
		for (unsigned i = 0; i < pages + over; i++)
			reach(REGION + i);
		assert_int_equal(bumps(id), over);
		rig_stop();

		/* Tables that are the slot's alone; how full they are does not matter. */
		start_small(MMU_REMOVAL_AUTO);
		id = rig_slot(REGION, 512ul * 32, 0);
		for (unsigned i = 0; i < tables + over; i++)
			for (unsigned page = 0; page < (i ? 1 : 512); page++)
				reach(REGION + 512 * i + page);
		assert_int_equal(bumps(id), over);
		rig_stop();

		/* Leaves of a table that reaches beyond the slot, as the slot does beyond it. */
		start_small(MMU_REMOVAL_AUTO);
		id = rig_slot(REGION + 256, 512, 0);
		for (unsigned i = 0; i < end + over; i++)
			reach(REGION + 511 - i);
		assert_int_equal(bumps(id), over);
		rig_stop();
	}
}

/* An entry that was used once counts, though there is nothing in it: it must be looked at. */
static void auto_weighs_what_must_be_looked_at(void **state_)
{
	const uint64_t span = EPT_CROSSOVER / EPT_WEIGHT_ENTRY;

	for (unsigned over = 0; over < 2; over++) {
		slot_id id;
		uint64_t weight = (span - over) * EPT_WEIGHT_ENTRY;

		assert_true(weight > 0);
		start_small(MMU_REMOVAL_AUTO);
		id = rig_slot(REGION, 512 * 3 * span, 0);
		reach(REGION);
		reach(REGION + 512 * (over ? 3 * span - 1 : 1));
		assert_int_equal(bumps(id), over);
		rig_stop();
	}
}

/* The BAR that owns all the tables there are: the call is as short as for an empty one. */
static void a_slot_with_very_many_tables_is_forgotten_without_a_look_at_them(void **state_)
{
	for (enum mmu_removal how = MMU_REMOVAL_TARGETED; how <= MMU_REMOVAL_AUTO; how++) {
		struct mmu_stats st;
		struct mmu_ticket t;
		uint64_t waiting;
		slot_id id;

		start_small(how);
		id = rig_slot(REGION, 512 * 64, 0);
		for (unsigned i = 0; i < 64; i++)
			reach(REGION + 512 * i);
		rig_exit(0);
		waiting = rig_stats().pages_live;
		assert_true(waiting > 64);
		assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
		st = rig_stats();
		assert_int_equal(st.bumps, 1);
		assert_int_equal(st.waiting, waiting);
		rig_stop();
	}
}

/* One call of it is one stretch in root mode: what would take longer is forgotten instead, whatever is asked for. */
static void targeted_unmaps_up_to_its_bound_and_forgets_above(void **state_)
{
	unsigned below = 0, above = 0;

	assert_in_range(TARGETED_MOST, EPT_CROSSOVER, 8000);
	for (unsigned tables = 8; tables <= 64; tables += 8) {
		struct mmu_ticket t;
		unsigned weight;
		slot_id id;

		start_small(MMU_REMOVAL_TARGETED);
		id = rig_slot(REGION, 512 * tables, 0);
		for (unsigned i = 0; i < tables; i++)
			reach(REGION + 512 * i);
		rig_exit(0);
		weight = ept_weigh(rig.mmu, gfn(REGION), 512 * tables, UINT32_MAX);
		assert_int_equal(slot_delete(rig.mmu, id, &t), 0);
		assert_int_equal(rig_stats().bumps, weight > TARGETED_MOST);
		assert_int_equal(rig_stats().targeted, weight <= TARGETED_MOST);
		*(weight > TARGETED_MOST ? &above : &below) += 1;
		rig_stop();
	}
	assert_true(below > 1 && above > 1);
}

/* What maps the slot directly, and what indirect pages may have of it: both together must not be too much. */
static void two_kinds_of_tables_are_weighed_together(void **state_)
{
	const unsigned pages = (EPT_CROSSOVER - 3 * INDIRECT_WEIGHT_FIND) / EPT_WEIGHT_LEAF;

	assert_true(EPT_CROSSOVER > 3 * INDIRECT_WEIGHT_FIND && pages < 511);
	for (unsigned over = 0; over < 2; over++) {
		struct mmu_params p = {
			.vcpus = 1, .caps = rig_caps(), .removal = MMU_REMOVAL_AUTO, .indirect_pages = 64
		};
		slot_id id;

		p.caps.ept_2m = false;
		rig_start_with(&p, 256 * MiB, true);
		rig_slot(0, 512, 0);
		assert_int_equal(rig_enter(0), 0);
		reach(5);
		id = rig_slot(REGION, 511, 0);
		for (unsigned i = 0; i < pages + over; i++)
			reach(REGION + i);
		assert_int_equal(bumps(id), over);
		rig_stop();
	}
}

/* ---- weighing and unmapping, against a look at every page ---- */

static unsigned count_leaves(uint64_t at, uint64_t pages, unsigned *tables)
{
	unsigned n = 0, level;
	uint64_t e;

	*tables = 0;
	for (uint64_t g = at; g < at + pages;) {
		bool there = rig_leaf(g, &e, &level);
		uint64_t end = align_down(g, level_pages(level)) + level_pages(level);

		n += there;
		/* A table of leaves, all of which is in the range, is seen at its first entry. */
		*tables += level == 1 && !(g & 511) && g + 512 <= at + pages;
		g = end;
	}
	return n;
}

static void what_is_weighed_is_never_less_than_what_is_unmapped(void **state_)
{
	unsigned cut = 0, refused = 0;

	state = 7;
	for (unsigned round = 0; round < 120; round++) {
		struct mmu_params p = { .vcpus = 1, .caps = rig_caps() };
		uint64_t at = REGION - next(1200), pages = next(3) ? 1 + next(2400) : 512 * (1 + next(5));
		unsigned in_range, outside, tables, weight, pending, none;

		if (next(2))
			at = align_down(at, 512);
		p.caps.ept_2m = next(2);
		rig_start_with(&p, 256 * MiB, true);
		rig_slot(REGION - 2048, 8192, 0);
		for (unsigned i = 1 + (unsigned)next(60); i; i--)
			reach(REGION - 2048 + next(next(2) ? 8192 : 600));
		rig_exit(0);
		in_range = count_leaves(at, pages, &tables);
		outside = count_leaves(REGION - 2048, 8192, &none);
		pending = (unsigned)rig.mmu->count.pending;

		/* Above the bound nothing happens. */
		weight = ept_unmap(rig.mmu, gfn(at), pages, 0);
		if (weight) {
			assert_int_equal(count_leaves(REGION - 2048, 8192, &none), outside);
			assert_int_equal(rig.mmu->count.pending, pending);
			refused++;
		}
		weight = ept_unmap(rig.mmu, gfn(at), pages, UINT32_MAX);
		assert_int_equal(count_leaves(at, pages, &none), 0);
		assert_true(rig.mmu->count.pending - pending >= tables);
		assert_true(weight >= tables * (EPT_WEIGHT_ENTRY + EPT_WEIGHT_DROP));
		/* A large leaf at the range's end takes along what it mapped beyond. */
		if (!p.caps.ept_2m) {
			assert_true(weight >= (in_range ? EPT_WEIGHT_LEAF : 0));
			assert_int_equal(count_leaves(REGION - 2048, 8192, &none), outside - in_range);
		}
		cut += (unsigned)rig.mmu->count.pending - pending;
		mmu_flush_request(rig.mmu, true);
		/* What is left is whole: it can be filled again. */
		for (unsigned i = 0; i < 40; i++)
			reach(REGION - 2048 + next(8192));
		rig_stop();
	}
	assert_true(cut > 50 && refused > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_of_removal_give_the_same_translations),
		cmocka_unit_test(auto_unmaps_up_to_the_crossover_and_touches_nothing_above),
		cmocka_unit_test(auto_weighs_what_must_be_looked_at),
		cmocka_unit_test(a_slot_with_very_many_tables_is_forgotten_without_a_look_at_them),
		cmocka_unit_test(targeted_unmaps_up_to_its_bound_and_forgets_above),
		cmocka_unit_test(two_kinds_of_tables_are_weighed_together),
		cmocka_unit_test(what_is_weighed_is_never_less_than_what_is_unmapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
