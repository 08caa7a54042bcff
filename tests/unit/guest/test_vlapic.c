/* SPDX-License-Identifier: MIT */
/* The local APIC against SDM Vol. 3A chapter 10: registers in xAPIC mode, delivery, priorities, EOI, INIT. (Modes:
 * test_vlapic_modes.c. With APICv: test_vlapic_apicv.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/vlapic_rig.h"

static void state_after_power_up(void **state)
{
	uint64_t base;

	assert_int_equal(rdmsr_f(0, 0x1b, &base), 0);
	assert_true(base == (BASE | 0x900));
	assert_int_equal(rdmsr_f(1, 0x1b, &base), 0);
	assert_true(base == (BASE | 0x800));
	assert_int_equal(lapic_rd(f, 3, APIC_ID), 3 << 24);
	assert_int_equal(lapic_rd(f, 1, APIC_VERSION), 0x01050014);
	assert_int_equal(lapic_rd(f, 1, APIC_SVR), 0xff);
	assert_int_equal(lapic_rd(f, 1, APIC_DFR), 0xffffffff);
	for (unsigned off = APIC_LVT_TIMER; off <= APIC_LVT_ERROR; off += 16)
		assert_int_equal(lapic_rd(f, 1, off), 0x10000);
	assert_int_equal(lapic_rd(f, 0, APIC_LVT_LINT0), 0x700); /* virtual wire */
	assert_int_equal(lapic_rd(f, 0, APIC_LVT_LINT1), 0x400);
	assert_int_equal(platform_apic_mode(f->p, 1), APIC_XAPIC);
}

static void registers_lie_in_the_page(void **state)
{
	uint32_t *page = f->apic_page[2];

	lapic_wr(f, 2, APIC_TPR, 0x30);
	assert_int_equal(page[APIC_TPR / 4], 0x30);
	page[APIC_TPR / 4] = 0x40; /* as a TPR shadow does */
	assert_int_equal(platform_cr8_read(f->p, 2), 4);
	platform_cr8_write(f->p, 2, 9);
	assert_int_equal(lapic_rd(f, 2, APIC_TPR), 0x90);
	assert_int_equal(lapic_rd(f, 2, APIC_PPR), 0x90);
}

static void deliver_ack_eoi(void **state)
{
	enable(1);
	self(1, 0x41);
	assert_int_equal(platform_irq_sync(f->p, 1), 0x41);
	assert_int_equal(lapic_rd(f, 1, APIC_IRR + 0x20), 2);
	assert_int_equal(take_irq(f, 1), 0x41);
	assert_int_equal(lapic_rd(f, 1, APIC_IRR + 0x20), 0);
	assert_int_equal(lapic_rd(f, 1, APIC_ISR + 0x20), 2);
	assert_int_equal(lapic_rd(f, 1, APIC_PPR), 0x40);
	self(1, 0x41);
	assert_int_equal(take_irq(f, 1), -1);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), 0x41);
}

static void priority_classes(void **state)
{
	enable(1);
	self(1, 0x55);
	self(1, 0x93);
	assert_int_equal(take_irq(f, 1), 0x93);
	self(1, 0x9f); /* the same class waits */
	assert_int_equal(take_irq(f, 1), -1);
	self(1, 0xa0);
	assert_int_equal(take_irq(f, 1), 0xa0);
	lapic_wr(f, 1, APIC_EOI, 0);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), 0x9f);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), 0x55);
}

static void tpr_holds_back_and_the_threshold_is_the_held_class(void **state)
{
	enable(1);
	lapic_wr(f, 1, APIC_TPR, 0x50);
	self(1, 0x55);
	assert_int_equal(take_irq(f, 1), -1);
	assert_false(platform_irq_waiting(f->p, 1));
	assert_int_equal(platform_irq_tpr_threshold(f->p, 1), 5);
	self(1, 0x61);
	assert_int_equal(take_irq(f, 1), 0x61);
	lapic_wr(f, 1, APIC_TPR, 0);
	platform_irq_sync(f->p, 1);
	assert_int_equal(platform_irq_tpr_threshold(f->p, 1), 0); /* ISR holds it back, TPR has no say */
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), 0x55);
}

static void a_disabled_apic_takes_nothing(void **state)
{
	self(1, 0x41);
	assert_int_equal(take_irq(f, 1), -1);
	enable(1);
	assert_int_equal(take_irq(f, 1), -1);
	lapic_wr(f, 1, APIC_LVT_ERROR, 0x50);
	lapic_wr(f, 1, APIC_SVR, 0xff);
	assert_int_equal(lapic_rd(f, 1, APIC_LVT_ERROR), 0x10050); /* software-disabled: masked */
	lapic_wr(f, 1, APIC_LVT_ERROR, 0x50);
	assert_int_equal(lapic_rd(f, 1, APIC_LVT_ERROR), 0x10050); /* and stays so */
}

static void eoi_without_service_is_harmless(void **state)
{
	enable(1);
	lapic_wr(f, 1, APIC_EOI, 0);
	self(1, 0x41);
	assert_int_equal(take_irq(f, 1), 0x41);
}

static void error_status(void **state)
{
	enable(1);
	lapic_wr(f, 1, APIC_LVT_ERROR, 0xfe);
	self(1, 0x05);				       /* illegal vector to send */
	assert_int_equal(lapic_rd(f, 1, APIC_ESR), 0); /* latched by a write only */
	assert_int_equal(take_irq(f, 1), 0xfe);
	lapic_wr(f, 1, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_ESR), ESR_SEND_VECTOR);
	lapic_wr(f, 1, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_ESR), 0);
	assert_int_equal(lapic_rd(f, 1, 0x040), 0); /* no such register */
	lapic_wr(f, 1, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_ESR), ESR_REGISTER);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
	enable(1);
	lapic_wr(f, 1, APIC_LVT_ERROR, 0x03);
	self(1, 0x05);
	lapic_wr(f, 1, APIC_ESR, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_ESR), ESR_SEND_VECTOR | ESR_RECEIVE_VECTOR);
	assert_int_equal(take_irq(f, 1), -1);
}

static void read_only_and_reserved_bits(void **state)
{
	enable(1);
	lapic_wr(f, 1, APIC_ID, 0x77000000);
	assert_int_equal(lapic_rd(f, 1, APIC_ID), 1 << 24);
	lapic_wr(f, 1, APIC_TIMER_DIV, 0xffffffff);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_DIV), 0x0b);
	lapic_wr(f, 1, APIC_LVT_LINT0, 0xffffffff);
	assert_int_equal(lapic_rd(f, 1, APIC_LVT_LINT0), 0x1a7ff);
	lapic_wr(f, 1, APIC_DFR, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_DFR), 0x0fffffff);
	lapic_wr(f, 1, APIC_LDR, 0xffffffff);
	assert_int_equal(lapic_rd(f, 1, APIC_LDR), 0xff000000);
}

static void odd_accesses_do_nothing_bad(void **state)
{
	enable(1);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(BASE + APIC_VERSION + 1), 1), 0);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(BASE + APIC_VERSION), 1), 0x14);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(BASE + APIC_VERSION + 2), 2), 0x0105);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(BASE + APIC_VERSION + 4), 4), 0);
	assert_int_equal(platform_mmio_read(f->p, 1, gpa(BASE + 0xff8), 8), 0);
	platform_mmio_write(f->p, 1, gpa(BASE + APIC_TPR + 1), 1, 0xff);
	platform_mmio_write(f->p, 1, gpa(BASE + APIC_TPR + 4), 4, 0xff);
	assert_int_equal(lapic_rd(f, 1, APIC_TPR), 0);
}

static void init_resets_the_apic_when_the_vcpu_takes_it(void **state)
{
	enable(2);
	lapic_wr(f, 2, APIC_LVT_TIMER, 0x20030);
	lapic_wr(f, 2, APIC_TIMER_INIT, 1000);
	self(2, 0x61);
	lapic_wr(f, 0, APIC_ICR_HIGH, 2 << 24);
	lapic_wr(f, 0, APIC_ICR, 0x4500);
	assert_int_equal(f->inits[2], 1);
	platform_apic_init(f->p, 2); /* as its own CPU does when it takes the INIT */
	assert_true(platform_next_event(f->p, 2) == TIMER_OFF);
	lapic_wr(f, 0, APIC_ICR, 0x8500); /* level de-assert: nothing */
	assert_int_equal(f->inits[2], 1);
	lapic_wr(f, 0, APIC_ICR, 0x4608);
	assert_int_equal(f->sipis[2], 1);
	assert_int_equal(f->sipi_vector[2], 8);
	assert_int_equal(take_irq(f, 2), -1);
	assert_int_equal(lapic_rd(f, 2, APIC_SVR), 0xff);
	assert_int_equal(lapic_rd(f, 2, APIC_LVT_TIMER), 0x10000);
	assert_int_equal(lapic_rd(f, 2, APIC_ID), 2 << 24);
}

/* Only the registers, not the page: it would take too long. A register lies every 16 bytes; ICR of x2APIC has a second half. */
static void init_leaves_no_register_as_it_was(void **state)
{
	uint32_t *page = f->apic_page[2], fresh[PAGE_SIZE / 4];

	memcpy(fresh, page, PAGE_SIZE);
	for (unsigned off = 0; off <= APIC_SELF_IPI; off += 16)
		page[off / 4] = 0xffffffff;
	page[APIC_ICR / 4 + 1] = 0xffffffff;
	lapic_wr(f, 0, APIC_ICR_HIGH, 2 << 24);
	lapic_wr(f, 0, APIC_ICR, 0x4500);
	platform_apic_init(f->p, 2);
	assert_memory_equal(page, fresh, PAGE_SIZE);
}

static void lint0_as_fixed_interrupt_and_nmi(void **state)
{
	pic_setup(f, 0);
	enable(0);
	lapic_wr(f, 0, APIC_LVT_LINT0, 0x66);
	fake_irq_pulse(f, 1);
	assert_int_equal(take_irq(f, 0), 0x66);
	lapic_wr(f, 0, APIC_LVT_LINT0, 0x400);
	vpic_ack(DEV(f, vpic));
	outb(f, 0x20, 0x20);
	fake_irq_pulse(f, 1);
	assert_int_equal(f->nmis[0], 1);
}

/* What hv/ asks when a vCPU halts: what does not end that need not kick it. */
static void ppr_is_the_tpr_or_what_is_in_service(void **state)
{
	enable(1);
	assert_int_equal(platform_irq_ppr(f->p, 1), 0);
	lapic_wr(f, 1, APIC_TPR, 0x4a);
	assert_int_equal(platform_irq_ppr(f->p, 1), 0x4a);
	assert_int_equal(platform_irq_ppr(f->p, 2), 0);
	self(1, 0x85);
	assert_int_equal(take_irq(f, 1), 0x85);
	assert_int_equal(platform_irq_ppr(f->p, 1), 0x80);
	lapic_wr(f, 1, APIC_TPR, 0x8a);
	assert_int_equal(platform_irq_ppr(f->p, 1), 0x8a);
}

static void statistics_count_what_was_delivered(void **state)
{
	struct platform_stats s;

	enable(1);
	self(1, 0x41);
	take_irq(f, 1);
	take_irq(f, 1);
	platform_stats(f->p, &s);
	assert_int_equal(s.irqs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(state_after_power_up),
		T(registers_lie_in_the_page),
		T(deliver_ack_eoi),
		T(priority_classes),
		T(tpr_holds_back_and_the_threshold_is_the_held_class),
		T(a_disabled_apic_takes_nothing),
		T(eoi_without_service_is_harmless),
		T(error_status),
		T(an_illegal_error_vector_does_not_recurse),
		T(read_only_and_reserved_bits),
		T(odd_accesses_do_nothing_bad),
		T(init_resets_the_apic_when_the_vcpu_takes_it),
		T(init_leaves_no_register_as_it_was),
		T(lint0_as_fixed_interrupt_and_nmi),
		T(ppr_is_the_tpr_or_what_is_in_service),
		T(statistics_count_what_was_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
