/* SPDX-License-Identifier: MIT */
/* Writes of CR0, CR4, EFER and XCR0: which raise #GP, by the manual's own list of reasons; and what the CPU is given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/vm/guest_cr_pure.h"
#include "lib/x86.h"

#define PROTECTED (CR0_PE | CR0_ET | CR0_NE)
#define PAGED	  (PROTECTED | CR0_PG)
#define ALLOWED	  (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_FSGSBASE | CR4_OSXSAVE)

static struct cr_state flat(void)
{
	return (struct cr_state){ .cr0 = PROTECTED, .cr4_allowed = ALLOWED };
}

static struct cr_state pae(void)
{
	return (struct cr_state){ .cr0 = PAGED, .cr3 = 0x1000, .cr4 = CR4_PAE, .cr4_allowed = ALLOWED };
}

static struct cr_state long_mode(void)
{
	struct cr_state s = pae();

	s.efer = EFER_LME | EFER_LMA;
	s.cs_l = true;
	return s;
}

static void cr0_reserved_and_contradictory_bits(void **state)
{
	struct cr_state s = flat();

	assert_true(cr0_ok(&s, PROTECTED));
	assert_true(cr0_ok(&s, 0));
	assert_true(cr0_ok(&s, PROTECTED | BIT(15))); /* reserved bits of the lower half are ignored */
	for (unsigned bit = 32; bit < 64; bit++)
		assert_false(cr0_ok(&s, PROTECTED | BIT(bit)));
	assert_false(cr0_ok(&s, CR0_PG));
	assert_false(cr0_ok(&s, PROTECTED | CR0_NW));
	assert_true(cr0_ok(&s, PROTECTED | CR0_NW | CR0_CD));
}

static void ways_into_and_out_of_long_mode(void **state)
{
	struct cr_state s = flat();

	s.efer = EFER_LME;
	assert_false(cr0_ok(&s, PAGED)); /* no PAE */
	s.cr4 = CR4_PAE;
	assert_true(cr0_ok(&s, PAGED));
	assert_false(cr0_loads_pdptes(&s, PAGED));
	s.cs_l = true;
	assert_false(cr0_ok(&s, PAGED));
	s.cs_l = false;
	s.tss16 = true;
	assert_false(cr0_ok(&s, PAGED));
	s.efer = 0;
	assert_true(cr0_ok(&s, PAGED)); /* PAE paging minds neither */
	assert_true(cr0_loads_pdptes(&s, PAGED));

	s = long_mode();
	assert_false(cr0_ok(&s, PROTECTED)); /* from 64-bit code */
	s.cs_l = false;
	assert_true(cr0_ok(&s, PROTECTED)); /* from compatibility mode */
	s.cr4 |= CR4_PCIDE;
	assert_false(cr0_ok(&s, PROTECTED));
	assert_true(cr0_ok(&s, PAGED | CR0_TS));
}

static void cr4_rules(void **state)
{
	struct cr_state s = pae();

	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(cr4_ok(&s, CR4_PAE ^ BIT(bit)), (ALLOWED & ~CR4_PCIDE) >> bit & 1);
	assert_true(cr4_loads_pdptes(&s, CR4_PAE | CR4_PGE));
	assert_true(cr4_loads_pdptes(&s, CR4_PAE | CR4_PSE));
	assert_true(cr4_loads_pdptes(&s, CR4_PAE | CR4_SMEP));
	assert_false(cr4_loads_pdptes(&s, CR4_PAE | CR4_FSGSBASE));
	assert_false(cr4_loads_pdptes(&s, CR4_PGE));
	s.cr4 = 0;
	assert_true(cr4_loads_pdptes(&s, CR4_PAE));
	s.cr0 = PROTECTED;
	assert_false(cr4_loads_pdptes(&s, CR4_PAE));

	s = long_mode();
	assert_false(cr4_ok(&s, 0)); /* PAE stays */
	assert_true(cr4_ok(&s, CR4_PAE | CR4_PCIDE));
	assert_false(cr4_loads_pdptes(&s, CR4_PAE | CR4_PGE));
	s.cr3 |= 1;
	assert_false(cr4_ok(&s, CR4_PAE | CR4_PCIDE)); /* only from PCID 0 */
	s.cr4 |= CR4_PCIDE;
	assert_true(cr4_ok(&s, CR4_PAE | CR4_PCIDE | CR4_PGE)); /* kept is not set */
	assert_true(cr4_ok(&s, CR4_PAE));
}

static void efer_rules(void **state)
{
	struct cr_state s = flat();

	for (unsigned bit = 0; bit < 64; bit++)
		assert_int_equal(
			efer_ok(&s, BIT(bit)), (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) >> bit & 1);
	s = pae();
	assert_false(efer_ok(&s, EFER_LME));
	assert_true(efer_ok(&s, EFER_NXE));
	s = long_mode();
	assert_false(efer_ok(&s, EFER_NXE)); /* LME stays while paging is on */
	assert_true(efer_ok(&s, EFER_LME));
}

static void xcr0_rules(void **state)
{
	const uint64_t all = BITS(2, 0) | BITS(7, 5);

	for (uint64_t x = 0; x < 1024; x++) {
		uint64_t high = x >> 5 & 7;
		bool good = x & 1 && !(x & ~all) && (!(x & 4) || x & 2) && (!high || (high == 7 && x & 4));

		assert_int_equal(xcr0_ok(x, all), good);
		assert_int_equal(xcr0_ok(x, 3), x == 1 || x == 3);
	}
	assert_false(xcr0_ok(BIT(63) | 1, all));
}

static const enum cr_paging ways[] = { CR_UNRESTRICTED, CR_RESTRICTED, CR_HIDDEN, CR_SHADOW };

static uint64_t real_cr4(enum cr_paging how, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	struct cr_state s = { .cr0 = cr0, .cr4 = cr4, .efer = efer };

	return cr4_real(how, &s);
}

/* MCE is always on, whatever the guest has written; the guest reads its own value from the shadow. */
static void cr4_mce_is_on_and_the_guest_sees_its_own(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		assert_true(real_cr4(ways[i], PAGED, 0, 0) & CR4_MCE);
		assert_true(real_cr4(ways[i], PAGED, CR4_MCE | CR4_PAE, 0) & CR4_MCE);
		assert_true(cr4_mask(ways[i], ALLOWED | CR4_MCE) & CR4_MCE);
	}
	assert_int_equal(real_cr4(CR_RESTRICTED, PAGED, CR4_PAE | CR4_PGE, 0), CR4_PAE | CR4_PGE | CR4_MCE);
	assert_int_equal(
		real_cr4(CR_HIDDEN, PROTECTED, CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP, 0),
		CR4_PSE | CR4_PGE | CR4_MCE);
	assert_true(cr4_mask(CR_UNRESTRICTED, ALLOWED) == (~(uint64_t)ALLOWED | CR4_MCE));
	assert_true(cr4_mask(CR_RESTRICTED, ALLOWED) == (~(uint64_t)ALLOWED | CR4_MCE));
	assert_true(cr4_mask(CR_HIDDEN, ALLOWED) == ~0ull);
}

/* The CPU's CR0 keeps VMX's rules, and a bit that it has otherwise than the guest wrote it is one that the guest reads from the
 * shadow. */
static void cr0_is_what_vmx_wants_and_the_guest_sees_its_own(void **state)
{
	static const uint64_t values[] = { CR0_ET, PROTECTED, PAGED, PAGED | CR0_WP | CR0_AM,
		PROTECTED | CR0_CD | CR0_NW, PROTECTED | CR0_TS | CR0_MP };

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(values); j++) {
			uint64_t real = cr0_real(ways[i], values[j]);

			assert_true(real & CR0_NE && !(real & (CR0_CD | CR0_NW)));
			assert_true(ways[i] == CR_UNRESTRICTED || (real & CR0_PE && real & CR0_PG));
			assert_int_equal((real ^ values[j]) & ~cr0_mask(ways[i]), 0);
		}
	assert_false(cr0_real(CR_UNRESTRICTED, PROTECTED) & CR0_PG);
	assert_false(cr0_mask(CR_RESTRICTED) & CR0_WP);
	assert_false(cr0_real(CR_RESTRICTED, PAGED) & CR0_WP);
	assert_true(cr0_real(CR_SHADOW, PAGED) & CR0_WP);
	assert_true(cr0_mask(CR_SHADOW) & CR0_WP);
}

/* mm/shadow/shadow.h: entries of 8 bytes in every mode of the guest's; SMEP and SMAP while its paging is on. */
static void on_shadow_tables_the_cpu_has_none_of_the_guests_paging(void **state)
{
	const uint64_t paging = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57;
	const uint64_t lm = EFER_LME | EFER_LMA;

	assert_int_equal(cr4_mask(CR_SHADOW, ~0ull) & paging, paging);
	assert_int_equal(real_cr4(CR_SHADOW, PROTECTED, paging | CR4_TSD, 0), CR4_PAE | CR4_TSD | CR4_MCE);
	assert_int_equal(real_cr4(CR_SHADOW, PROTECTED, 0, EFER_LME), CR4_PAE | CR4_MCE);
	assert_int_equal(real_cr4(CR_SHADOW, PAGED, paging, 0), CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_MCE);
	assert_int_equal(real_cr4(CR_SHADOW, PAGED, CR4_PSE, 0), CR4_PAE | CR4_MCE);
	assert_int_equal(
		real_cr4(CR_SHADOW, PAGED, paging, lm), CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_LA57 | CR4_MCE);
	assert_int_equal(real_cr4(CR_SHADOW, PAGED, CR4_PAE, lm), CR4_PAE | CR4_MCE);
}

/* With paging on, VM entry wants LME to be what LMA is. */
static void efer_of_the_cpu(void **state)
{
	const uint64_t lm = EFER_LME | EFER_LMA;

	assert_int_equal(efer_real(CR_UNRESTRICTED, EFER_SCE | EFER_LME), EFER_SCE | EFER_LME);
	assert_int_equal(efer_real(CR_RESTRICTED, EFER_NXE | lm), EFER_NXE | lm);
	assert_int_equal(efer_real(CR_HIDDEN, EFER_SCE | EFER_LME), EFER_SCE);
	assert_int_equal(efer_real(CR_SHADOW, EFER_SCE | EFER_LME), EFER_SCE | EFER_NXE);
	assert_int_equal(efer_real(CR_SHADOW, lm), lm | EFER_NXE);
	assert_int_equal(efer_real(CR_SHADOW, 0), EFER_NXE);
}

/* Each bit that the tables depend on, or whose change drops translations, and no other. */
static void changes_that_shadow_tables_must_hear_of(void **state)
{
	const uint64_t cr4 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57;

	for (unsigned bit = 0; bit < 64; bit++) {
		struct cr_state from = long_mode(), to = from;

		assert_false(cr_reloads(&from, &to));
		to.cr0 ^= BIT(bit);
		assert_int_equal(cr_reloads(&from, &to), (CR0_PG | CR0_WP) >> bit & 1);
		to = from;
		to.cr4 ^= BIT(bit);
		assert_int_equal(cr_reloads(&from, &to), cr4 >> bit & 1);
		to = from;
		to.efer ^= BIT(bit);
		assert_int_equal(cr_reloads(&from, &to), (EFER_NXE | EFER_LME | EFER_LMA) >> bit & 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cr0_reserved_and_contradictory_bits),
		cmocka_unit_test(ways_into_and_out_of_long_mode),
		cmocka_unit_test(cr4_rules),
		cmocka_unit_test(efer_rules),
		cmocka_unit_test(xcr0_rules),
		cmocka_unit_test(cr4_mce_is_on_and_the_guest_sees_its_own),
		cmocka_unit_test(cr0_is_what_vmx_wants_and_the_guest_sees_its_own),
		cmocka_unit_test(on_shadow_tables_the_cpu_has_none_of_the_guests_paging),
		cmocka_unit_test(efer_of_the_cpu),
		cmocka_unit_test(changes_that_shadow_tables_must_hear_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
