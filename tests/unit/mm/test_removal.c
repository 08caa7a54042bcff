/* SPDX-License-Identifier: MIT */
/* Test 11: however slots are removed, what the guest reaches afterwards is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/backing.h"
#include "mm/mmu_internal.h"
#include "tests/support/rig.h"

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
		/* Everybody leaves once, then the RAM is anybody's. */
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

	/* The other one leaves first if it is asked to: nobody goes on before. */
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
	/* A stale translation: the memory of nobody, or of another slot. */
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
			if (memcmp(&seen[0][n], &seen[how][n], sizeof(seen[0][n])))
				fail_msg("step %u: verdict %u, slot %u, page %u by policy %u; by a bump %u, "
					 "%u, %u",
					n, seen[how][n].verdict, seen[how][n].slot, seen[how][n].page, how,
					seen[0][n].verdict, seen[0][n].slot, seen[0][n].page);
	}
	assert_true(reached > STEPS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_of_removal_give_the_same_translations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
