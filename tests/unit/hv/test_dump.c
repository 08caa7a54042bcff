/* SPDX-License-Identifier: MIT */
/* When a dump says that the image may want a BIOS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/vm/dump_pure.h"
#include "lib/x86.h"

static bool hint(struct dump_facts f)
{
	return dump_hints_at_bios(&f);
}

static void an_end_in_real_mode_hints_at_a_bios(void **state)
{
	assert_true(hint((struct dump_facts){ .boot_vcpu = true }));
	assert_false(hint((struct dump_facts){ .boot_vcpu = false })); /* where a SIPI took it */
}

static void images_of_the_kind_hint_until_paging_is_on(void **state)
{
	struct dump_facts f = { .boot_vcpu = true, .image_may_want_bios = true, .cr0 = CR0_PE };

	assert_true(hint(f));
	f.cr0 |= CR0_PG;
	assert_false(hint(f));
}

static void a_guest_that_calls_a_bios_hints_at_it(void **state)
{
	struct dump_facts f = { .boot_vcpu = true, .bios_calls = 1, .cr0 = CR0_PE };

	assert_true(hint(f));
	f.bios_calls = 0;
	assert_false(hint(f)); /* a multiboot kernel's own fault */
	f.bios_calls = 1;
	f.cr0 |= CR0_PG;
	assert_false(hint(f)); /* it asked, and went on without */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_in_real_mode_hints_at_a_bios),
		cmocka_unit_test(images_of_the_kind_hint_until_paging_is_on),
		cmocka_unit_test(a_guest_that_calls_a_bios_hints_at_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
