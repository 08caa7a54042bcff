/* SPDX-License-Identifier: MIT */
/* Exceptions within the delivery of exceptions, and error codes where VM entry requires them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/vm/events_pure.h"
#include "hv/vmx/vmx.h"

static uint32_t exception(unsigned vector)
{
	return exception_info(vector, true);
}

static void an_exception_on_nothing_is_delivered_unchanged(void **state)
{
	for (unsigned v = 0; v < 32; v++)
		assert_int_equal(exception_on(0, v), v);
}

static void only_exceptions_make_double_faults(void **state)
{
	assert_int_equal(exception_on(INTR_VALID | INTR_EXTERNAL | 0x30, VEC_PF), VEC_PF);
	assert_int_equal(exception_on(INTR_VALID | INTR_SOFTWARE | VEC_GP, VEC_GP), VEC_GP);
	assert_int_equal(exception_on(INTR_VALID | INTR_NMI | VEC_NMI, VEC_GP), VEC_GP);
	assert_int_equal(exception_on((uint32_t)(exception(VEC_GP) & ~INTR_VALID), VEC_GP), VEC_GP);
}

/* SDM Vol. 3A table 6-5. */
static void double_faults_by_the_table(void **state)
{
	assert_int_equal(exception_on(exception(VEC_DB), VEC_PF), VEC_PF);
	assert_int_equal(exception_on(exception(VEC_GP), VEC_PF), VEC_PF);
	assert_int_equal(exception_on(exception(VEC_GP), VEC_NP), VEC_DF);
	assert_int_equal(exception_on(exception(VEC_DE), VEC_SS), VEC_DF);
	assert_int_equal(exception_on(exception(VEC_PF), VEC_GP), VEC_DF);
	assert_int_equal(exception_on(exception(VEC_PF), VEC_PF), VEC_DF);
	assert_int_equal(exception_on(exception(VEC_PF), VEC_AC), VEC_AC);
	assert_int_equal(exception_on(exception(VEC_DF), VEC_GP), EXCEPTION_TRIPLE);
	assert_int_equal(exception_on(exception(VEC_DF), VEC_PF), EXCEPTION_TRIPLE);
	assert_int_equal(exception_on(exception(VEC_DF), VEC_DB), VEC_DB);
}

static void error_codes_in_protected_mode_only(void **state)
{
	for (unsigned v = 0; v < 32; v++) {
		bool has = v == 8 || (v >= 10 && v <= 14) || v == 17;

		assert_int_equal(exception_info(v, true),
			INTR_VALID | INTR_HARDWARE | v | (has ? INTR_ERROR_CODE : 0));
		assert_int_equal(exception_info(v, false), INTR_VALID | INTR_HARDWARE | v);
	}
}

/* SDM Vol. 3A table 6-1: RF = 1 goes with faults, not with traps (#DB, #BP, #OF), NMI and aborts (#DF, 9, #MC). */
static void only_faults_push_rf(void **state)
{
	for (unsigned v = 0; v < 40; v++) {
		bool fault = v == 0 || (v >= 5 && v <= 7) || (v >= 10 && v <= 14) || v == 16 || v == 17 ||
			     (v >= 19 && v <= 21);

		assert_int_equal(exception_is_fault(v), fault);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exception_on_nothing_is_delivered_unchanged),
		cmocka_unit_test(only_exceptions_make_double_faults),
		cmocka_unit_test(double_faults_by_the_table),
		cmocka_unit_test(error_codes_in_protected_mode_only),
		cmocka_unit_test(only_faults_push_rf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
