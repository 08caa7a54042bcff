/* SPDX-License-Identifier: MIT */
/* The modes of the local APIC, off, xAPIC and x2APIC, and the registers that each has (SDM Vol. 3A 10.4, 10.12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/rig/vlapic_rig.h"

static void only_legal_mode_changes_are_taken(void **state)
{
	uint64_t v;

	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x400), -E_INVAL); /* x2APIC without enable */
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x801), -E_INVAL); /* reserved bits */
	assert_int_equal(rdmsr_f(1, X2(APIC_ID), &v), -E_INVAL);    /* not in x2APIC mode */
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0xc00), 0);
	assert_int_equal(platform_apic_mode(f->p, 1), APIC_X2APIC);
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x800), -E_INVAL); /* no way back but through off */
	assert_int_equal(wrmsr_f(1, 0x1b, BASE), 0);
	assert_int_equal(platform_apic_mode(f->p, 1), APIC_OFF);
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0xc00), -E_INVAL); /* off to x2APIC */
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x800), 0);
	assert_int_equal(lapic_rd(f, 1, APIC_SVR), 0xff);
}

static void apic_base_reserved_bits(void **state)
{
	uint64_t v;

	for (unsigned bit = 0; bit < 64; bit++) {
		bool reserved = bit < 8 || bit == 9 || bit >= FAKE_MAXPHYADDR;

		assert_int_equal(wrmsr_f(1, 0x1b, 0x800 | BIT(bit)), reserved ? -E_INVAL : 0);
		assert_int_equal(wrmsr_f(1, 0x1b, 0), 0);
		assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x800), 0);
	}
	assert_int_equal(wrmsr_f(1, 0x1b, BASE | 0x900), 0);
	assert_int_equal(rdmsr_f(1, 0x1b, &v), 0);
	assert_true(v == (BASE | 0x800)); /* software does not make it the boot CPU */
}

static void off_means_no_registers(void **state)
{
	struct platform_stats s;

	wrmsr_f(1, 0x1b, BASE);
	assert_int_equal(lapic_rd(f, 1, APIC_VERSION), 0xffffffff);
	platform_stats(f->p, &s);
	assert_int_equal(s.mmio_holes, 1);
}

static void the_page_can_move(void **state)
{
	assert_int_equal(wrmsr_f(1, 0x1b, 0xfed00000 | 0x800), 0);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(0xfed00000 + APIC_VERSION), 4), 0x01050014);
	assert_int_equal(lapic_rd(f, 1, APIC_VERSION), 0xffffffff);
	assert_int_equal(lapic_rd(f, 0, APIC_VERSION), 0x01050014);
}

static void x2apic_registers(void **state)
{
	uint64_t v;

	enter_x2apic(3);
	assert_int_equal(rdmsr_f(3, X2(APIC_ID), &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(rdmsr_f(3, X2(APIC_LDR), &v), 0);
	assert_int_equal(v, 8);
	assert_int_equal(rdmsr_f(3, X2(APIC_EOI), &v), -E_INVAL);
	assert_int_equal(rdmsr_f(3, X2(APIC_DFR), &v), -E_INVAL);
	assert_int_equal(rdmsr_f(3, X2(APIC_ICR_HIGH), &v), -E_INVAL);
	assert_int_equal(rdmsr_f(3, X2(APIC_SELF_IPI), &v), -E_INVAL);
	assert_int_equal(rdmsr_f(3, 0x8ff, &v), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_ID), 1), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_LDR), 1), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_EOI), 1), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_EOI), 0), 0);
	assert_int_equal(wrmsr_f(3, X2(APIC_TPR), 0x100), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_TPR), 1ul << 32), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_ESR), 1), -E_INVAL);
	assert_int_equal(wrmsr_f(3, X2(APIC_ICR), 1ul << 20), -E_INVAL);
	assert_int_equal(lapic_rd(f, 3, APIC_VERSION), 0xffffffff); /* the page is gone */
	assert_int_equal(wrmsr_f(3, X2(APIC_SELF_IPI), 0x99), 0);
	assert_int_equal(take_irq(f, 3), 0x99);
	assert_int_equal(wrmsr_f(3, X2(APIC_ICR), 2ul << 32 | 0x4500), 0);
	assert_int_equal(rdmsr_f(3, X2(APIC_ICR), &v), 0);
	assert_true(v == (2ul << 32 | 0x4500));
}

/* SDM Vol. 3A table 10-6, both directions, over all MSRs that are the x2APIC's; and no refusal shows in the ESR. */
static void x2apic_mode_has_these_registers_and_no_others(void **state)
{
	uint64_t v;

	enter_x2apic(3);
	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		bool rw = msr == 0x808 || msr == 0x80f || msr == 0x828 || msr == 0x830 ||
			  (msr >= 0x832 && msr <= 0x838) || msr == 0x83e;
		bool ro = msr == 0x802 || msr == 0x803 || msr == 0x80a || msr == 0x80d ||
			  (msr >= 0x810 && msr <= 0x827) || msr == 0x839;
		bool wo = msr == 0x80b || msr == 0x83f;

		assert_int_equal(platform_x2apic_register(msr, false), rw || ro);
		assert_int_equal(platform_x2apic_register(msr, true), rw || wo);
		assert_int_equal(rdmsr_f(3, msr, &v), rw || ro ? 0 : -E_INVAL);
		if (rw && msr != 0x80f)
			assert_int_equal(wrmsr_f(3, msr, msr == 0x830 || msr == 0x828 ? 0 : v), 0);
		else if (!rw && !wo)
			assert_int_equal(wrmsr_f(3, msr, 0), -E_INVAL);
	}
	assert_int_equal(wrmsr_f(3, X2(APIC_ESR), 0), 0);
	assert_int_equal(rdmsr_f(3, X2(APIC_ESR), &v), 0);
	assert_int_equal(v, ESR_SEND_VECTOR); /* of the ICR written with vector 0 above; not ESR_REGISTER */
}

/* In each register the bits that the manual's figures leave blank raise #GP; status bits are read-only and ignored. */
static void x2apic_reserved_bits(void **state)
{
	static const struct {
		unsigned off;
		uint64_t writable;
	} r[] = {
		{ APIC_TPR, 0xff },
		{ APIC_EOI, 0 },
		{ APIC_SVR, 0x13ff },
		{ APIC_ESR, 0 },
		{ APIC_LVT_TIMER, 0x710ff },
		{ APIC_LVT_THERMAL, 0x117ff },
		{ APIC_LVT_PERF, 0x117ff },
		{ APIC_LVT_LINT0, 0x1f7ff },
		{ APIC_LVT_LINT1, 0x1f7ff },
		{ APIC_LVT_ERROR, 0x110ff },
		{ APIC_TIMER_INIT, 0xffffffff },
		{ APIC_TIMER_DIV, 0xb },
		{ APIC_SELF_IPI, 0xff },
	};
	uint64_t v;

	enter_x2apic(1);
	for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
		for (unsigned bit = 0; bit < 64; bit++)
			assert_int_equal(
				wrmsr_f(1, X2(r[i].off), BIT(bit)), r[i].writable & BIT(bit) ? 0 : -E_INVAL);
	assert_int_equal(wrmsr_f(1, X2(APIC_LVT_LINT0), 0x15700), 0);
	assert_int_equal(rdmsr_f(1, X2(APIC_LVT_LINT0), &v), 0);
	assert_int_equal(v, 0x10700);
}

static void a_refused_access_shows_in_the_esr_of_xapic_mode(void **state)
{
	enable(2);
	lapic_rd(f, 2, 0x3f0);
	lapic_wr(f, 2, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 2, APIC_ESR), ESR_REGISTER);
	lapic_wr(f, 2, APIC_VERSION, 0);
	lapic_wr(f, 2, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 2, APIC_ESR), ESR_REGISTER);
	lapic_wr(f, 2, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 2, APIC_ESR), 0);
}

static void init_in_x2apic_mode_stays_there(void **state)
{
	uint64_t v;

	enter_x2apic(2);
	lapic_wr(f, 0, APIC_ICR_HIGH, 2 << 24);
	lapic_wr(f, 0, APIC_ICR, 0x4500);
	platform_irq_sync(f->p, 2);
	assert_int_equal(platform_apic_mode(f->p, 2), APIC_X2APIC);
	assert_int_equal(rdmsr_f(2, X2(APIC_ID), &v), 0);
	assert_int_equal(v, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_legal_mode_changes_are_taken),
		T(apic_base_reserved_bits),
		T(off_means_no_registers),
		T(the_page_can_move),
		T(x2apic_registers),
		T(x2apic_mode_has_these_registers_and_no_others),
		T(x2apic_reserved_bits),
		T(a_refused_access_shows_in_the_esr_of_xapic_mode),
		T(init_in_x2apic_mode_stays_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
