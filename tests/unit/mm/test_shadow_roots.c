/* SPDX-License-Identifier: MIT */
/*
 * Shadow page tables step by step: roots, invalidations, slots and the dirty log. The numbers are those of the contract's list of tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/shadow/shadow_rig.h"

#define RWU (PTE_P | PTE_W | PTE_U)
#define AD  (PTE_A | PTE_D)

/* Address spaces n = 0, 1, ...: four tables from gfn 10 + 4n on, each with its entry 1; the page is gfn 100 + n. */
#define SPACE(n) (10u + 4u * (n))
#define PAGE(n)	 (100u + (n))

static uint64_t space(unsigned n)
{
	const uint64_t gfns[] = { SPACE(n), SPACE(n) + 1, SPACE(n) + 2, SPACE(n) + 3, PAGE(n) };
	static const unsigned index[] = { 1, 1, 1, 1 };

	return shadow_rig_path(gfns, 4, index);
}

static uint64_t cr3(unsigned n)
{
	return (uint64_t)SPACE(n) << PAGE_SHIFT;
}

static void reaches(unsigned i, uint64_t at, unsigned kind, uint64_t frame)
{
	struct shadow_rig_result r = shadow_rig_access(i, at, kind, 0);

	assert_int_equal(r.verdict, MMU_RESUME);
	assert_int_equal(r.address >> PAGE_SHIFT, frame);
}

static void drain(void)
{
	for (unsigned n = 0; mmu_reclaim_waiting(shadow_rig.mmu) && n < 10000; n++)
		mmu_reclaim(shadow_rig.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
}

/* 8. The roots that a vCPU keeps are dropped at a bump like the one that it runs on. */
static void kept_roots_go_with_their_generation(void **state)
{
	struct mmu_vcpu *v = &shadow_rig.v[0];
	uint64_t at = 0;

	shadow_rig_start(2, NULL);
	for (unsigned n = 0; n < 4; n++)
		at = space(n);
	for (unsigned n = 0; n < 4; n++) {
		shadow_rig_mode(0, SHADOW_4, cr3(n));
		reaches(0, at, MMU_WRITE, shadow_rig_frame(PAGE(n)));
	}
	for (unsigned k = 0; k < MMU_ROOTS_KEPT; k++)
		assert_non_null(v->kept[k].page);
	shadow_rig_leave(0);
	mmu_invalidate_all(shadow_rig.mmu);
	/* Before it has served, they are all that there is of the old generation; then nothing is. */
	assert_int_equal(shadow_rig_access(0, at, MMU_READ, 0).verdict, MMU_RESUME);
	for (unsigned k = 0; k < MMU_ROOTS_KEPT; k++)
		assert_true(!v->kept[k].page || v->kept[k].gen == shadow_rig.mmu->front.valid_gen);
	drain();
	assert_int_equal(shadow_rig.mmu->count.active, shadow_rig.mmu->count.valid);
	for (unsigned n = 0; n < 4; n++) {
		shadow_rig_mode(0, SHADOW_4, cr3(n));
		reaches(0, at, MMU_WRITE, shadow_rig_frame(PAGE(n)));
	}
	shadow_rig_stop();
}

/* A guest that goes back to an address space of a moment ago finds its tables: no fault, and no translation of the other one. */
static void an_address_space_of_a_moment_ago_costs_no_fault(void **state)
{
	uint64_t at = 0;

	shadow_rig_start(1, NULL);
	for (unsigned n = 0; n < 3; n++)
		at = space(n);
	for (unsigned round = 0; round < 4; round++)
		for (unsigned n = 0; n < 3; n++) {
			struct shadow_rig_result r;

			shadow_rig_mode(0, SHADOW_4, cr3(n));
			r = shadow_rig_access(0, at, MMU_WRITE, 0);
			assert_int_equal(r.address >> PAGE_SHIFT, shadow_rig_frame(PAGE(n)));
			if (round)
				assert_int_equal(r.faults, 0);
		}
	shadow_rig_stop();
}

/* What changed while another address space was loaded counts at the next load, whichever table it was in. */
static void changes_of_an_address_space_that_is_not_loaded_count(void **state)
{
	uint64_t at = 0, table;

	shadow_rig_start(1, NULL);
	for (unsigned n = 0; n < 2; n++)
		at = space(n);
	/* Space 1 maps the page tables of space 0 at its entries 2 and 3, and its own entry 1 is edited from there, too. */
	shadow_rig_entry(SPACE(1) + 3, 2, (uint64_t)(SPACE(0) + 3) << PAGE_SHIFT | RWU);
	shadow_rig_entry(SPACE(1) + 3, 3, (uint64_t)(SPACE(0) + 2) << PAGE_SHIFT | RWU);
	table = at + PAGE_SIZE;
	for (unsigned n = 0; n < 12; n++) {
		shadow_rig_mode(0, SHADOW_4, cr3(0));
		reaches(0, at, n & 1 ? MMU_READ : MMU_WRITE, shadow_rig_frame(n ? 200 + n - 1 : PAGE(0)));
		shadow_rig_mode(0, SHADOW_4, cr3(1));
		for (unsigned i = 0; i < 3; i++)
			shadow_rig_store(0, table | 8, (uint64_t)(200 + n) << PAGE_SHIFT | RWU, 8);
		if (n % 4 == 3)
			shadow_rig_store(
				0, (table + PAGE_SIZE) | 8, (uint64_t)(SPACE(0) + 3) << PAGE_SHIFT | RWU, 8);
	}
	shadow_rig_stop();
}

/* ---- 9: a bump between the walk and the lock ---- */

static struct {
	unsigned countdown;
	slot_id id;
	struct backing *next;
	struct mmu_ticket t;
} replace;

static void replace_in_between(void)
{
	struct slot_desc d = { .base = gfn(4096), .pages = 16, .backing = replace.next };

	if (spin_is_locked(&shadow_rig.mmu->lock) || !replace.countdown || --replace.countdown)
		return;
	mmu_yield = NULL;
	assert_int_equal(slot_delete(shadow_rig.mmu, replace.id, &replace.t), 0);
	assert_int_equal(slot_add(shadow_rig.mmu, &d, &replace.id), 0);
}

static void a_bump_between_walk_and_lock_is_noticed(void **state)
{
	static const enum mmu_removal how[] = { MMU_REMOVAL_BULK, MMU_REMOVAL_TARGETED };

	for (unsigned when = 1; when < 30; when++)
		for (unsigned h = 0; h < 2; h++) {
			struct mmu_params p = { .removal = how[h] };
			struct shadow_rig_result r;
			uint64_t at;
			bool done;

			shadow_rig_start(1, &p);
			at = space(0);
			shadow_rig_slot(4096, 16, 0, &replace.id);
			replace.next = shadow_rig_memory(16);
			shadow_rig_entry(SPACE(0) + 3, 1, 4096ull << PAGE_SHIFT | RWU);
			shadow_rig_mode(0, SHADOW_4, cr3(0));
			replace.countdown = when;
			mmu_yield = replace_in_between;
			r = shadow_rig_access(0, at, MMU_WRITE, 0);
			done = !replace.countdown;
			mmu_yield = NULL;
			/* The last entry may have been before the change. */
			if (done && r.verdict == MMU_RESUME) {
				mmu_cpu_quiescent(0);
				shadow_rig_leave(0);
				reaches(0, at, MMU_WRITE, backing_pfn(replace.next, 0).v);
			}
			shadow_rig_stop();
		}
}

/* ---- 17: the dirty log ---- */

static void every_page_of_a_large_one_is_logged(void **state)
{
	for (unsigned readonly = 0; readonly < 2; readonly++) {
		uint64_t at, bits[8];
		struct mmu_ticket t;
		struct backing *b;
		slot_id id;

		shadow_rig_start(1, NULL);
		at = space(0);
		b = shadow_rig_slot(4096, 512, 0, &id);
		shadow_rig_entry(SPACE(0) + 2, 1,
			4096ull << PAGE_SHIFT | PTE_PS | (readonly ? RWU & ~PTE_W : RWU) | AD);
		shadow_rig_mode(0, SHADOW_4, cr3(0));
		at = align_down(at, 1 << 21);
		reaches(0, at, readonly ? MMU_READ : MMU_WRITE, backing_pfn(b, 0).v);
		shadow_rig_leave(0);
		assert_int_equal(slot_set_flags(shadow_rig.mmu, id, SLOT_DIRTY_LOG, &t), 0);
		mmu_cpu_quiescent(0);
		assert_true(mmu_ticket_ready(shadow_rig.mmu, &t));
		for (unsigned n = 0; n < 512; n += 3)
			reaches(0, at + n * PAGE_SIZE, MMU_READ, backing_pfn(b, n).v);
		if (readonly) {
			/* A supervisor without WP may store all the same. */
			assert_int_equal(shadow_rig_access(0, at, MMU_WRITE, 0).error, PF_PRESENT | PF_WRITE);
			shadow_rig.v[0].regs.cr0 &= ~CR0_WP;
			shadow_rig_load(0);
		}
		shadow_rig_leave(0);
		assert_int_equal(dirty_log_read_clear(shadow_rig.mmu, id, 0, 512, bits, &t), 0);
		for (unsigned n = 0; n < 8; n++)
			assert_int_equal(bits[n], 0);
		for (unsigned n = 0; n < 512; n++)
			reaches(0, at + n * PAGE_SIZE, MMU_WRITE, backing_pfn(b, n).v);
		for (unsigned round = 0; round < 3; round++) {
			assert_int_equal(dirty_log_read_clear(shadow_rig.mmu, id, 0, 512, bits, &t), 0);
			for (unsigned n = 0; n < 512; n++)
				assert_int_equal(bits[n / 64] >> n % 64 & 1, round == 0 || n % 7 == round);
			shadow_rig_leave(0);
			for (unsigned n = 0; n < 512; n++)
				if (n % 7 == round + 1)
					reaches(0, at + n * PAGE_SIZE, MMU_WRITE, backing_pfn(b, n).v);
		}
		shadow_rig_leave(0);
		assert_int_equal(slot_delete(shadow_rig.mmu, id, &t), 0);
		shadow_rig_stop();
	}
}

/* ---- 23: every invalidation in every mode, and with no root ---- */

/* Tables for each mode that map the page at `at` by the entry that edit() changes; at + a page, the page table itself. */
#define EDITED 50u
static uint64_t mode_tables(enum shadow_mode mode, uint64_t *root)
{
	uint64_t at = 0;

	*root = 40ull << PAGE_SHIFT;
	switch (mode) {
	case SHADOW_OFF:
		return 100ull << PAGE_SHIFT;
	case SHADOW_32:
	case SHADOW_32_PSE:
		shadow_rig_entry32(40, 1, (uint32_t)(EDITED << PAGE_SHIFT | RWU));
		shadow_rig_entry32(EDITED, 2, (uint32_t)(EDITED << PAGE_SHIFT | RWU));
		shadow_rig_entry32(EDITED, 1, (uint32_t)(100 << PAGE_SHIFT | RWU));
		return 1ull << 22 | 1ull << 12;
	case SHADOW_PAE:
		shadow_rig_entry(40, 1, 41ull << PAGE_SHIFT | PTE_P);
		shadow_rig_entry(41, 1, (uint64_t)EDITED << PAGE_SHIFT | RWU);
		at = 1ull << 30 | 1ull << 21 | 1ull << 12;
		break;
	default:
		for (unsigned level = mode == SHADOW_5 ? 5 : 4, t = 40; level > 1; level--, t++)
			shadow_rig_entry(t, 1, (uint64_t)(level == 2 ? EDITED : t + 1) << PAGE_SHIFT | RWU);
		for (unsigned level = mode == SHADOW_5 ? 5 : 4; level; level--)
			at = at << 9 | 1;
		at <<= PAGE_SHIFT;
	}
	shadow_rig_entry(EDITED, 2, (uint64_t)EDITED << PAGE_SHIFT | RWU);
	shadow_rig_entry(EDITED, 1, 100ull << PAGE_SHIFT | RWU);
	return at;
}

/* The guest stores a new entry by itself, and invalidates in one of many ways. */
static void invalidate(enum shadow_mode mode, uint64_t at, unsigned how)
{
	struct mmu_vcpu *v = &shadow_rig.v[0];

	switch (how) {
	case 0: /* INVLPG, INVPCID of an address: anywhere in the page */
		shadow_rig_invlpg(0, at | 0xabc);
		return;
	case 1: /* the same CR3 */
	case 2: /* INVPCID of a context, of all */
		break;
	case 3:
	case 4:
		v->regs.cr4 ^= CR4_PGE;
		break;
	case 5:
		v->regs.cr0 ^= CR0_WP;
		break;
	case 6:
		v->regs.cr4 ^= CR4_SMEP;
		break;
	case 7: /* another address space, and back */
		v->regs.cr3 ^= 1ull << 20;
		shadow_rig_load(0);
		shadow_rig_must_enter(0);
		v->regs.cr3 ^= 1ull << 20;
		break;
	case 8: /* paging off and on; in IA-32e mode that goes through compatibility mode, which is the same here */
		if (mode >= SHADOW_4)
			break;
		v->regs.cr0 ^= CR0_PG;
		shadow_rig_load(0);
		shadow_rig_must_enter(0);
		v->regs.cr0 ^= CR0_PG;
		break;
	case 9: /* the vCPU comes to another CPU */
		shadow_rig_invlpg(0, at);
		shadow_rig_invlpg(0, at);
		return;
	case 10: /* a bump */
		shadow_rig_leave(0);
		mmu_invalidate_all(shadow_rig.mmu);
		shadow_invlpg(v, gva(at));
		return;
	}
	shadow_rig_load(0);
}

static void every_invalidation_in_every_mode(void **state)
{
	for (enum shadow_mode mode = SHADOW_32; mode < SHADOW_MODES; mode++)
		for (unsigned how = 0; how <= 10; how++) {
			bool narrow = mode <= SHADOW_32_PSE;
			uint64_t root, at;

			shadow_rig_start(1, NULL);
			at = mode_tables(mode, &root);
			shadow_rig_mode(0, mode, root);
			for (unsigned n = 0; n < 8; n++) {
				reaches(0, at, n & 1 ? MMU_READ : MMU_WRITE, shadow_rig_frame(100 + n));
				shadow_rig_store(0, (at + PAGE_SIZE) | (narrow ? 4 : 8),
					(101ull + n) << PAGE_SHIFT | RWU, narrow ? 4 : 8);
				/* Other pages first: they have nothing to do with it. */
				if (how == 0)
					shadow_rig_invlpg(0, at + PAGE_SIZE);
				invalidate(mode, at, how);
			}
			reaches(0, at, MMU_WRITE, shadow_rig_frame(108));
			shadow_rig_stop();
		}
}

static void invalidations_without_a_root_do_nothing(void **state)
{
	for (enum shadow_mode mode = SHADOW_OFF; mode < SHADOW_MODES; mode++) {
		uint64_t root, at;

		shadow_rig_start(2, NULL);
		at = mode_tables(mode, &root);
		/* vCPU 1 has never run, and has registers of 0; vCPU 0 has not run yet. */
		shadow_rig_invlpg(1, at);
		shadow_load(&shadow_rig.v[1]);
		shadow_unprotect(&shadow_rig.v[1], gpa(EDITED << PAGE_SHIFT));
		shadow_rig_mode(0, mode, root);
		shadow_rig_invlpg(0, at);
		shadow_rig_invlpg(0, ~0ull);
		shadow_rig_invlpg(0, BIT(60));
		reaches(0, at, MMU_WRITE, shadow_rig_frame(100));
		shadow_rig_invlpg(0, ~0ull);
		shadow_rig_invlpg(0, BIT(60) | at);
		shadow_rig_leave(0);
		mmu_invalidate_all(shadow_rig.mmu);
		shadow_rig_invlpg(0, at);
		shadow_unprotect(&shadow_rig.v[0], gpa(EDITED << PAGE_SHIFT));
		shadow_unprotect(&shadow_rig.v[0], gpa(3000 << PAGE_SHIFT));
		reaches(0, at, MMU_WRITE, shadow_rig_frame(100));
		shadow_rig_stop();
	}
}

/* Any address of a large page invalidates all of it. */
static void an_invalidation_covers_a_large_page(void **state)
{
	uint64_t at;

	shadow_rig_start(1, NULL);
	at = align_down(space(0), 1 << 21);
	/* The directory is mapped by a page table of its own. */
	shadow_rig_entry(SPACE(0) + 2, 2, 60ull << PAGE_SHIFT | RWU);
	shadow_rig_entry(60, 0, (uint64_t)(SPACE(0) + 2) << PAGE_SHIFT | RWU);
	shadow_rig_entry(SPACE(0) + 2, 1, 512ull << PAGE_SHIFT | RWU | PTE_PS);
	shadow_rig_mode(0, SHADOW_4, cr3(0));
	for (unsigned n = 0; n < 6; n++) {
		for (unsigned i = 0; i < 512; i += 73)
			reaches(0, at + i * PAGE_SIZE, MMU_WRITE, shadow_rig_frame((n & 1 ? 1024 : 512) + i));
		shadow_rig_store(
			0, (at + (1 << 21)) | 8, (n & 1 ? 512ull : 1024ull) << PAGE_SHIFT | RWU | PTE_PS, 8);
		shadow_rig_invlpg(0, at + 73 * n * PAGE_SIZE);
	}
	shadow_rig_stop();
}

/* PAE: the CPU uses the PDPTEs that it loaded with CR3, whatever memory holds by now. */
static void pdptes_count_when_they_are_loaded(void **state)
{
	uint64_t root, at, other;

	shadow_rig_start(2, NULL);
	at = mode_tables(SHADOW_PAE, &root);
	/* A second directory, with another page table. */
	shadow_rig_entry(42, 1, 51ull << PAGE_SHIFT | RWU);
	shadow_rig_entry(51, 1, 300ull << PAGE_SHIFT | RWU);
	other = at ^ 1ull << 30;
	for (unsigned i = 0; i < 2; i++)
		shadow_rig_mode(i, SHADOW_PAE, root);
	reaches(0, at, MMU_WRITE, shadow_rig_frame(100));
	shadow_rig_entry(40, 1, 42ull << PAGE_SHIFT | PTE_P);
	shadow_rig_entry(40, 0, 41ull << PAGE_SHIFT | PTE_P);
	shadow_rig_invlpg(0, at);
	reaches(0, at, MMU_WRITE, shadow_rig_frame(100));
	assert_int_equal(shadow_rig_access(0, other, MMU_READ, 0).verdict, MMU_INJECT);
	/* A bump is nothing to the guest. */
	shadow_rig_leave(0);
	mmu_invalidate_all(shadow_rig.mmu);
	reaches(0, at, MMU_READ, shadow_rig_frame(100));
	/* vCPU 1 loads them now. */
	shadow_rig_load(1);
	reaches(1, at, MMU_WRITE, shadow_rig_frame(300));
	reaches(1, other, MMU_WRITE, shadow_rig_frame(100));
	reaches(0, at, MMU_WRITE, shadow_rig_frame(100));
	assert_int_equal(shadow_rig_access(0, other, MMU_READ, 0).verdict, MMU_INJECT);
	shadow_rig_load(0);
	reaches(0, at, MMU_WRITE, shadow_rig_frame(300));
	reaches(0, other, MMU_WRITE, shadow_rig_frame(100));
	/* And one goes. */
	shadow_rig_entry(40, 0, 0);
	shadow_rig_load(0);
	assert_int_equal(shadow_rig_access(0, other, MMU_WRITE, 3).error, PF_WRITE | PF_USER);
	reaches(1, other, MMU_WRITE, shadow_rig_frame(100));
	shadow_rig_stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_roots_go_with_their_generation),
		cmocka_unit_test(an_address_space_of_a_moment_ago_costs_no_fault),
		cmocka_unit_test(changes_of_an_address_space_that_is_not_loaded_count),
		cmocka_unit_test(a_bump_between_walk_and_lock_is_noticed),
		cmocka_unit_test(every_page_of_a_large_one_is_logged),
		cmocka_unit_test(every_invalidation_in_every_mode),
		cmocka_unit_test(invalidations_without_a_root_do_nothing),
		cmocka_unit_test(an_invalidation_covers_a_large_page),
		cmocka_unit_test(pdptes_count_when_they_are_loaded),
	};

	return cmocka_run_group_tests_name("shadow page tables: roots", tests, NULL, NULL);
}
