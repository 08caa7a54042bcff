/* SPDX-License-Identifier: MIT */
/* Interrupts of a vCPU to itself: with APICv they go into IRR within the WRMSR that causes them, else they are posted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/fakes/fake_vm.h"

#define APIC_BASE 0x1b
#define DEADLINE  0x6e0
#define X2(off)	  (0x800 + ((off) >> 4))
#define SELF	  0x40000

static struct fake_vm *f;
static uint64_t eoi[4];

static int setup(void **state)
{
	uint64_t base;

	f = fake_vm_open(2, NULL);
	memset(eoi, 0, sizeof(eoi));
	platform_apic_rdmsr(f->p, 1, APIC_BASE, &base);
	platform_apic_wrmsr(f->p, 1, APIC_BASE, base | 0x400);
	platform_apic_wrmsr(f->p, 1, X2(APIC_SVR), 0x1ff);
	platform_apic_wrmsr(f->p, 1, X2(APIC_LVT_TIMER), 0x40061);
	return 0;
}
static int teardown(void **state)
{
	fake_vm_close(f);
	return 0;
}
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int sync_apicv(void)
{
	bool extint;

	return platform_irq_sync_apicv(f->p, 1, &extint, eoi);
}
/* What WRMSR answers, and how often the vCPU was asked to look meanwhile. */
static int wrmsr_own(uint32_t msr, uint64_t value, unsigned wakes)
{
	unsigned before = f->wakes[1];
	int answer = platform_apic_wrmsr(f->p, 1, msr, value);

	assert_int_equal(f->wakes[1] - before, wakes);
	return answer;
}
static bool in_irr(uint8_t vector)
{
	const uint32_t *page = f->apic_page[1];

	return page[(APIC_IRR + 16 * (vector >> 5)) / 4] >> (vector & 31) & 1;
}

static void a_self_ipi_is_in_irr_at_once_with_apicv(void **state)
{
	uint64_t icr;

	sync_apicv();
	assert_int_equal(wrmsr_own(X2(APIC_ICR), 5ul << 32 | 0x5000 | SELF | 0x51, 0), 0x51);
	assert_true(in_irr(0x51));
	assert_int_equal(sync_apicv(), -1); /* the caller has raised RVI itself */
	assert_int_equal(platform_apic_rdmsr(f->p, 1, X2(APIC_ICR), &icr), 0);
	assert_true(icr == (5ul << 32 | 0x4000 | SELF | 0x51)); /* the delivery status reads 0 */
}

static void without_apicv_it_is_posted(void **state)
{
	assert_int_equal(wrmsr_own(X2(APIC_ICR), SELF | 0x51, 1), 0);
	assert_false(in_irr(0x51));
	assert_int_equal(take_irq(f, 1), 0x51);
	assert_int_equal(wrmsr_own(DEADLINE, 1, 1), 0);
	assert_int_equal(take_irq(f, 1), 0x61);
}

/* What is not a fixed interrupt to itself, or not valid, or would change the EOI-exit bitmap, goes the long way. */
static void other_messages_are_posted(void **state)
{
	uint32_t *page = f->apic_page[1];

	sync_apicv();
	assert_int_equal(wrmsr_own(X2(APIC_ICR), SELF | 0x0f, 0), 0); /* illegal: ESR */
	assert_int_equal(wrmsr_own(X2(APIC_ICR), 1 << 20 | SELF | 0x52, 0), -E_INVAL);
	assert_int_equal(wrmsr_own(X2(APIC_ICR), SELF | DELIVER_NMI << 8 | 0x52, 0), 0);
	assert_int_equal(f->nmis[1], 0);				   /* SDM table 10-4 */
	assert_int_equal(wrmsr_own(X2(APIC_ICR), 1ul << 32 | 0x53, 1), 0); /* by its number */
	assert_int_equal(wrmsr_own(X2(APIC_ICR), 0x80054, 1), 0);	   /* to all */
	assert_false(in_irr(0x52) || in_irr(0x53) || in_irr(0x54));
	sync_apicv();
	page[(APIC_TMR + 0x20) / 4] = 1u << (0x55 & 31);
	assert_int_equal(wrmsr_own(X2(APIC_ICR), SELF | 0x55, 1), 0);
	platform_apic_wrmsr(f->p, 1, X2(APIC_SVR), 0xff); /* off: dropped */
	assert_int_equal(wrmsr_own(X2(APIC_ICR), SELF | 0x56, 0), 0);
	sync_apicv();
	assert_true(in_irr(0x53) && in_irr(0x54) && in_irr(0x55) && !in_irr(0x56));
}

static void a_pending_init_drops_a_self_ipi(void **state)
{
	sync_apicv();
	lapic_wr(f, 0, APIC_ICR_HIGH, 1 << 24);
	lapic_wr(f, 0, APIC_ICR, 0x4500);
	assert_int_equal(f->inits[1], 1);
	assert_int_equal(platform_apic_wrmsr(f->p, 1, X2(APIC_ICR), SELF | 0x51), 0x51);
	assert_int_equal(sync_apicv(), 0); /* RVI as well */
	assert_false(in_irr(0x51));
}

static void a_deadline_that_is_over_is_in_irr_at_once_with_apicv(void **state)
{
	uint64_t left = 1;

	sync_apicv();
	assert_int_equal(wrmsr_own(DEADLINE, f->now, 0), 0x61);
	assert_true(in_irr(0x61));
	platform_apic_rdmsr(f->p, 1, DEADLINE, &left);
	assert_true(left == 0);
	/* One that is armed is stopped by it, and does not fire again. */
	assert_int_equal(wrmsr_own(DEADLINE, f->now + 1000, 1), 0);
	assert_int_equal(wrmsr_own(DEADLINE, 1, 0), 0x61);
	assert_true(platform_next_event(f->p, 1) == UINT64_MAX);
	assert_int_equal(sync_apicv(), -1);
}

static void a_deadline_that_is_over_obeys_the_lvt_entry(void **state)
{
	sync_apicv();
	platform_apic_wrmsr(f->p, 1, X2(APIC_LVT_TIMER), 0x50061); /* masked */
	assert_int_equal(wrmsr_own(DEADLINE, 1, 0), 0);
	platform_apic_wrmsr(f->p, 1, X2(APIC_LVT_TIMER), 0x00061); /* one-shot: the MSR is ignored */
	assert_int_equal(wrmsr_own(DEADLINE, 1, 0), 0);
	assert_false(in_irr(0x61));
	platform_apic_wrmsr(f->p, 1, X2(APIC_LVT_TIMER), 0x40007); /* an illegal vector: ESR */
	assert_int_equal(wrmsr_own(DEADLINE, 1, 0), 0);
	assert_false(in_irr(7));
	platform_apic_wrmsr(f->p, 1, X2(APIC_ESR), 0);
	assert_true(((uint32_t *)f->apic_page[1])[APIC_ESR / 4] == ESR_RECEIVE_VECTOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_self_ipi_is_in_irr_at_once_with_apicv),
		T(without_apicv_it_is_posted),
		T(other_messages_are_posted),
		T(a_pending_init_drops_a_self_ipi),
		T(a_deadline_that_is_over_is_in_irr_at_once_with_apicv),
		T(a_deadline_that_is_over_obeys_the_lvt_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
