/* SPDX-License-Identifier: MIT */
/*
 * Shadow page tables step by step: rights, error codes, accessed and dirty flags. What is right is what the walker of the guest's tables says
 * (mm/space/walker.c), which is compared with the manual in test_walker_matrix. The numbers are those of the contract's list of tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/mmu/internal.h"
#include "tests/support/rig/xorshift.h"
#include "tests/support/shadow/shadow_rig.h"

#define RWU (PTE_P | PTE_W | PTE_U)
#define AD  (PTE_A | PTE_D)

static const struct shape {
	const char *name;
	enum shadow_mode mode;
	unsigned levels; /* of the guest's tables that have rights */
	bool narrow;
} shapes[] = {
	{ "32-bit", SHADOW_32_PSE, 2, true },
	{ "PAE", SHADOW_PAE, 2, false },
	{ "4-level", SHADOW_4, 4, false },
	{ "5-level", SHADOW_5, 5, false },
};

#define TABLE(level) (10u + (level)) /* gfn of the table of this level */
#define PAGE	     1024u	     /* gfn of the page */

static void set(const struct shape *s, unsigned level, uint64_t e)
{
	if (s->narrow)
		shadow_rig_entry32(TABLE(level), 1, (uint32_t)e);
	else
		shadow_rig_entry(TABLE(level), 1, e);
}

static uint64_t get(const struct shape *s, unsigned level)
{
	return s->narrow ? shadow_rig_read(TABLE(level), 0) >> 32 : shadow_rig_read(TABLE(level), 1);
}

/* Entry 1 of each level, with these rights, down to a leaf. */
static void entries(const struct shape *s, const uint64_t *rights, unsigned leaf)
{
	for (unsigned l = s->levels; l >= leaf; l--)
		set(s, l,
			(uint64_t)(l == leaf ? PAGE : TABLE(l - 1)) << PAGE_SHIFT | PTE_P | rights[l] |
				(l == leaf && l > 1 ? PTE_PS : 0));
}

static uint64_t address(const struct shape *s)
{
	uint64_t at = 0;

	for (unsigned l = s->levels; l; l--)
		at = at << (s->narrow ? 10 : 9) | 1;
	return at << PAGE_SHIFT;
}

static void load(const struct shape *s)
{
	if (s->mode == SHADOW_PAE)
		shadow_rig_entry(20, 0, (uint64_t)TABLE(2) << PAGE_SHIFT | PTE_P);
	shadow_rig_mode(0, s->mode, (uint64_t)(s->mode == SHADOW_PAE ? 20 : TABLE(s->levels)) << PAGE_SHIFT);
}

/* Registers by number: CR0.WP, SMEP, SMAP, NXE, AC. */
static void registers(unsigned c)
{
	struct paging_regs *r = &shadow_rig.v[0].regs;

	r->cr0 = (r->cr0 & ~CR0_WP) | (c & 1 ? CR0_WP : 0);
	r->cr4 = (r->cr4 & ~(CR4_SMEP | CR4_SMAP)) | (c & 2 ? CR4_SMEP : 0) | (c & 4 ? CR4_SMAP : 0);
	r->efer = (r->efer & ~EFER_NXE) | (c & 8 ? EFER_NXE : 0);
	r->rflags = RFLAGS_ONE | (c & 16 ? RFLAGS_AC : 0);
	shadow_rig_load(0);
}

static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC };

static uint64_t rights_of(unsigned n)
{
	return (n & 1 ? PTE_W : 0) | (n & 2 ? PTE_U : 0) | (n & 4 ? PTE_NX : 0);
}

/* 16. Each level takes away each right, alone and with another level. */
static void every_level_limits_the_rights(void **state)
{
	for (const struct shape *s = shapes; s < shapes + ARRAY_SIZE(shapes); s++)
		for (unsigned leaf = 1; leaf <= 2; leaf++) {
			shadow_rig_start(1, NULL);
			load(s);
			for (unsigned a = leaf; a <= s->levels; a++)
				for (unsigned n = 0; n < 64; n++) {
					unsigned b = leaf + (a - leaf + 1) % (s->levels - leaf + 1);
					uint64_t rights[6];

					if (s->narrow && n & 0x24)
						continue; /* it has no NX */
					for (unsigned l = 0; l < 6; l++)
						rights[l] = PTE_W | PTE_U | AD;
					rights[a] = rights_of(n & 7) | AD;
					if (b != a)
						rights[b] = rights_of(n >> 3) | AD;
					entries(s, rights, leaf);
					registers(n % 3 ? 9 : 8);
					for (unsigned k = 0; k < 3; k++)
						for (unsigned cpl = 0; cpl <= 3; cpl += 3)
							shadow_rig_check(
								0, address(s), kinds[(k + n) % 3], cpl);
				}
			shadow_rig_stop();
		}
}

/* 19. All of CR0.WP, SMEP, SMAP, NXE, AC, with all rights of the page, and accesses one after the other in any order, with no flush between. */
static void supervisors_without_wp_get_no_more_than_theirs(void **state)
{
	uint64_t random = 7;

	for (const struct shape *s = shapes; s < shapes + 3; s++)
		for (unsigned leaf = 1; leaf <= 2; leaf++) {
			shadow_rig_start(1, NULL);
			load(s);
			for (unsigned c = 0; c < 16; c++)
				for (unsigned n = 0; n < 8; n++) {
					uint64_t rights[6];

					for (unsigned l = 0; l < 6; l++)
						rights[l] = PTE_W | PTE_U;
					rights[leaf] = rights_of(n);
					if (s->narrow && n & 4)
						continue;
					entries(s, rights, leaf);
					registers(c);
					for (unsigned step = 0; step < 24; step++) {
						uint64_t r = xorshift(&random);

						/* EFLAGS is the guest's to change without an exit. */
						shadow_rig.v[0].regs.rflags =
							RFLAGS_ONE | (r >> 8 & 1 ? RFLAGS_AC : 0);
						shadow_rig_check(
							0, address(s), kinds[r % 3], r >> 16 & 1 ? 3 : 0);
					}
				}
			shadow_rig_stop();
		}
}

/* The registers change, and nothing else; the roots of a moment ago may be found again. */
static void registers_change_what_is_allowed(void **state)
{
	uint64_t random = 9;

	for (const struct shape *s = shapes; s < shapes + 3; s++) {
		uint64_t rights[6] = { 0, PTE_U, PTE_W | PTE_U | PTE_NX, PTE_W | PTE_U, PTE_W | PTE_U,
			PTE_W | PTE_U };

		shadow_rig_start(1, NULL);
		load(s);
		for (unsigned n = 0; n < 400; n++) {
			uint64_t r = xorshift(&random);

			if (r >> 40 & 7) {
				rights[1] = rights_of(r >> 48 & (s->narrow ? 3 : 7));
				rights[2] = PTE_W | PTE_U | (s->narrow ? 0 : rights_of(r >> 52 & 4));
			}
			entries(s, rights, 1);
			registers(r & 31);
			for (unsigned step = 0; step < 4; step++, r >>= 4)
				shadow_rig_check(0, address(s),
					kinds[r >> 8 & 1     ? 1
						: r >> 9 & 1 ? 2
							     : 0],
					r >> 10 & 1 ? 3 : 0);
		}
		shadow_rig_stop();
	}
}

/* SMAP stops an implicit access (to a descriptor table, say) also while AC is set. Its fault says nothing of that: but the same access,
 * if it were explicit, would not fault again. */
static void smap_stops_implicit_accesses(void **state)
{
	const struct shape *s = &shapes[2];
	struct shadow_hw_access a = { .at = address(s), .kind = MMU_READ };
	uint64_t rights[6];

	for (unsigned l = 0; l < 6; l++)
		rights[l] = PTE_W | PTE_U;
	for (unsigned used = 0; used < 2; used++) {
		enum mmu_verdict d = MMU_RESUME;

		shadow_rig_start(1, NULL);
		load(s);
		entries(s, rights, 1);
		registers(1 | 4 | 16);
		if (used)
			shadow_rig_check(0, address(s), MMU_WRITE, 0);
		for (unsigned n = 0; n < 20 && d == MMU_RESUME; n++) {
			struct shadow_hw_result out;

			shadow_rig_must_enter(0);
			assert_false(shadow_hw_access(0, &shadow_rig.hw[0], &a, &out));
			shadow_rig_leave(0);
			d = shadow_fault(&shadow_rig.v[0], gva(a.at), out.error);
		}
		assert_int_equal(d, MMU_INJECT);
		assert_int_equal(shadow_rig.v[0].inject, PF_PRESENT);
		/* An explicit one is let through as before. */
		shadow_rig_check(0, address(s), MMU_READ, 0);
		shadow_rig_stop();
	}
}

/* Reserved bits: of each level, with each access; NX without NXE. */
static void reserved_bits_are_reported(void **state)
{
	static const uint64_t bits[] = { BIT(SHADOW_RIG_WIDTH), BIT(51), PTE_NX, PTE_PS, BIT(13) | PTE_PS };

	for (const struct shape *s = shapes + 1; s < shapes + ARRAY_SIZE(shapes); s++) {
		shadow_rig_start(1, NULL);
		load(s);
		registers(1); /* no NXE */
		for (unsigned level = 1; level <= s->levels; level++)
			for (unsigned b = 0; b < ARRAY_SIZE(bits); b++) {
				uint64_t rights[6] = { 0 };

				for (unsigned l = 0; l < 6; l++)
					rights[l] = PTE_W | PTE_U;
				entries(s, rights, 1);
				shadow_rig_load(0);
				shadow_rig_check(0, address(s), MMU_WRITE, 3);
				/* A large page begins where it may. */
				rights[level] |= bits[b];
				entries(s, rights, 1);
				if (bits[b] & PTE_PS && level > 1 && level < 4)
					set(s, level, (uint64_t)PAGE << PAGE_SHIFT | PTE_P | rights[level]);
				shadow_rig_invlpg(0, address(s));
				for (unsigned k = 0; k < 3; k++)
					for (unsigned cpl = 0; cpl <= 3; cpl += 3)
						if (!(level == 3 &&
							    bits[b] ==
								    PTE_PS)) /* 1 GiB: more than there is */
							shadow_rig_check(0, address(s), kinds[k], cpl);
			}
		shadow_rig_stop();
	}
}

/* 18. Flags are set again each time that the guest clears them and flushes: D by a write only. */
static void flags_are_set_again(void **state)
{
	for (const struct shape *s = shapes; s < shapes + ARRAY_SIZE(shapes); s++) {
		uint64_t rights[6];

		for (unsigned l = 0; l < 6; l++)
			rights[l] = PTE_W | PTE_U;
		shadow_rig_start(1, NULL);
		load(s);
		entries(s, rights, 1);
		for (unsigned n = 0; n < 60; n++) {
			unsigned level = 1 + n % s->levels;
			uint64_t e;

			shadow_rig_check(0, address(s), MMU_READ, n & 1 ? 3 : 0);
			for (unsigned l = s->levels; l; l--)
				assert_true(get(s, l) & PTE_A);
			e = get(s, 1);
			/* What the read has found is not dirty, unless it was before. */
			if (n % 3 == 0 && n)
				assert_false(e & PTE_D);
			shadow_rig_check(0, address(s), MMU_WRITE, 0);
			assert_true(get(s, 1) & PTE_D);
			set(s, level, get(s, level) & ~(uint64_t)PTE_A);
			if (n % 3 == 2)
				set(s, 1, get(s, 1) & ~(uint64_t)AD);
			if (n & 1)
				shadow_rig_invlpg(0, address(s));
			else
				shadow_rig_load(0);
		}
		shadow_rig_stop();
	}
}

/* Two entries for the same large page have flags of their own, whatever of ours they share: with CR0.WP and without. */
static void entries_for_one_large_page_have_their_own_flags(void **state)
{
	for (const struct shape *s = shapes; s < shapes + ARRAY_SIZE(shapes); s++)
		for (unsigned n = 0; n < 8; n++) {
			/* The guest's tables lie in it, so it is mapped in small pieces. */
			uint64_t at = align_down(address(s), 1 << 21) + 100 * PAGE_SIZE;
			uint64_t rights[6], other = at + (1ull << (s->narrow ? 22 : 21)), e;

			for (unsigned l = 0; l < 6; l++)
				rights[l] = PTE_W | PTE_U;
			shadow_rig_start(1, NULL);
			load(s);
			entries(s, rights, 2);
			e = PTE_P | PTE_PS | (n & 1 ? PTE_W : 0) | (n & 2 ? PTE_U : 0);
			set(s, 2, e);
			if (s->narrow)
				shadow_rig_entry32(TABLE(2), 2, (uint32_t)e);
			else
				shadow_rig_entry(TABLE(2), 2, e);
			registers(n & 4 ? 9 : 8);
			shadow_rig_check(0, other, MMU_READ, 0);
			shadow_rig_check(0, at, MMU_WRITE, 0);
			shadow_rig_check(0, other, MMU_READ, 0);
			e = s->narrow ? shadow_rig_read(TABLE(2), 1) : shadow_rig_read(TABLE(2), 2);
			assert_int_equal(e & AD, PTE_A);
			shadow_rig_invlpg(0, other);
			shadow_rig_check(0, other, MMU_WRITE, 0);
			e = s->narrow ? shadow_rig_read(TABLE(2), 1) : shadow_rig_read(TABLE(2), 2);
			assert_int_equal(e & PTE_D, (n & 5) == 4 ? 0 : PTE_D);
			shadow_rig_stop();
		}
}

/* Flags cleared by the guest's own stores into a table that it can write to without an exit; and nothing is dirty that was only read. */
static void flags_are_set_again_in_an_unsynchronised_table(void **state)
{
	static const uint64_t gfns[] = { 10, 11, 12, 13, 100 };
	static const unsigned index[] = { 1, 1, 1, 1 };
	uint64_t at, table;

	shadow_rig_start(2, NULL);
	at = shadow_rig_path(gfns, 4, index);
	table = at + 4 * PAGE_SIZE;
	shadow_rig_entry(13, 5, 13ull << PAGE_SHIFT | RWU);
	for (unsigned i = 0; i < 2; i++)
		shadow_rig_mode(i, SHADOW_4, 10 << PAGE_SHIFT);
	for (unsigned n = 0; n < 40; n++) {
		unsigned i = n / 5 % 2;

		shadow_rig_check(i, at, n & 1 ? MMU_READ : MMU_EXEC, 3);
		assert_int_equal(shadow_rig_read(13, 1) & AD, PTE_A);
		shadow_rig_check(i, at, MMU_WRITE, 3);
		assert_int_equal(shadow_rig_read(13, 1) & AD, AD);
		shadow_rig_store(i, table | 8, 100ull << PAGE_SHIFT | RWU | (n & 2 ? PTE_A : 0), 8);
		for (unsigned o = 0; o < 2; o++)
			shadow_rig_invlpg(o, at);
	}
	shadow_rig_stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_level_limits_the_rights),
		cmocka_unit_test(supervisors_without_wp_get_no_more_than_theirs),
		cmocka_unit_test(registers_change_what_is_allowed),
		cmocka_unit_test(smap_stops_implicit_accesses),
		cmocka_unit_test(reserved_bits_are_reported),
		cmocka_unit_test(flags_are_set_again),
		cmocka_unit_test(entries_for_one_large_page_have_their_own_flags),
		cmocka_unit_test(flags_are_set_again_in_an_unsynchronised_table),
	};

	return cmocka_run_group_tests_name("shadow page tables: rights", tests, NULL, NULL);
}
