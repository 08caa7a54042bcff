/* SPDX-License-Identifier: MIT */
/* The local APIC against SDM Vol. 3A chapter 10: registers, delivery, priorities, EOI, modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/fakes/fake_vm.h"

static struct fake_vm *f;

static int setup(void **state)
{
	f = fake_vm_open(4, NULL);
	return 0;
}
static int teardown(void **state)
{
	fake_vm_close(f);
	return 0;
}
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define X2(off) (0x800 + ((off) >> 4))
#define BASE	0xfee00000ul

static int rdmsr_f(unsigned vcpu, uint32_t msr, uint64_t *v)
{
	return platform_apic_rdmsr(f->p, vcpu, msr, v);
}
static int wrmsr_f(unsigned vcpu, uint32_t msr, uint64_t v)
{
	return platform_apic_wrmsr(f->p, vcpu, msr, v);
}
static void enable(unsigned vcpu)
{
	lapic_wr(f, vcpu, APIC_SVR, 0x1ff);
}
static void enter_x2apic(unsigned vcpu)
{
	uint64_t base;

	assert_int_equal(rdmsr_f(vcpu, 0x1b, &base), 0);
	assert_int_equal(wrmsr_f(vcpu, 0x1b, base | 0x400), 0);
	assert_int_equal(wrmsr_f(vcpu, X2(APIC_SVR), 0x1ff), 0);
}
static void self(unsigned vcpu, uint8_t vector)
{
	lapic_wr(f, vcpu, APIC_ICR, 0x40000 | vector);
}

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

/* ---- modes ---- */

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

/* ---- INIT, SIPI, APICv ---- */

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

static void apicv_sees_irr_and_eoi_exits(void **state)
{
	uint64_t eoi[4] = { 0 };
	uint32_t *page = f->apic_page[1];
	bool extint = true;

	enable(1);
	ioapic_wr(f, 0x10 + 2 * 20 + 1, 1 << 24);
	ioapic_wr(f, 0x10 + 2 * 20, 0x8000 | 0x77); /* level */
	self(1, 0x41);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0x77);
	assert_false(extint);
	assert_true(eoi[1] == 1ull << (0x77 - 64) && !eoi[0] && !eoi[2] && !eoi[3]);
	assert_true(platform_irq_waiting(f->p, 1));

	/* What the CPU does: delivers 0x77 and ends it. */
	page[(APIC_IRR + 0x30) / 4] = 0;
	page[(APIC_ISR + 0x30) / 4] = 1u << (0x77 & 31);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), -1); /* RVI became 0x41 by itself */
	assert_false(platform_irq_waiting(f->p, 1));			      /* 0x77 in service */
	page[(APIC_ISR + 0x30) / 4] = 0;
	platform_apicv_eoi(f->p, 1, 0x77);
	/* A halted vCPU is asked first whether anything waits: that must not take the news away from the sync. */
	assert_true(platform_irq_waiting(f->p, 1));
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0x77); /* the line is still up */
	vioapic_set(DEV(f, vioapic), 20, false);

	/* Back to software delivery: the page is the truth. */
	assert_int_equal(take_irq(f, 1), 0x77);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), 0x41);
}

static void apicv_writes_take_effect(void **state)
{
	uint32_t *page = f->apic_page[1];

	page[APIC_SVR / 4] = 0x1ff;
	platform_apicv_write(f->p, 1, APIC_SVR);
	page[APIC_ID / 4] = 0x55000000;
	platform_apicv_write(f->p, 1, APIC_ID);
	assert_int_equal(page[APIC_ID / 4], 1 << 24);
	page[APIC_LVT_TIMER / 4] = 0xfffe0044;
	platform_apicv_write(f->p, 1, APIC_LVT_TIMER);
	assert_int_equal(page[APIC_LVT_TIMER / 4], 0x60044);
	page[APIC_ICR / 4] = 0x40042;
	platform_apicv_write(f->p, 1, APIC_ICR);
	assert_int_equal(take_irq(f, 1), 0x42);
}

static void a_halted_vcpu_that_was_asked_still_gets_rvi(void **state)
{
	uint64_t eoi[4] = { 0 };
	bool extint;

	enable(1);
	platform_irq_sync_apicv(f->p, 1, &extint, eoi);
	self(1, 0xfb);
	assert_true(platform_irq_waiting(f->p, 1));
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0xfb);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), -1);
}

/* An EOI that exits instead of being virtualised, an INIT, a mode that the CPU does not virtualise: RVI and SVI follow. */
static void apicv_status_follows_what_software_changes(void **state)
{
	uint64_t eoi[4] = { 0 };
	bool extint;

	enable(1);
	self(1, 0x41);
	assert_int_equal(take_irq(f, 1), 0x41); /* by software */
	self(1, 0x92);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0x4192);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0x0092);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), -1);
	lapic_wr(f, 0, APIC_ICR_HIGH, 1 << 24);
	lapic_wr(f, 0, APIC_ICR, 0x4500);
	assert_int_equal(platform_irq_sync_apicv(f->p, 1, &extint, eoi), 0);
}

static void extint_through_apicv(void **state)
{
	uint64_t eoi[4] = { 0 };
	bool extint;

	pic_setup(f, 0);
	fake_irq_pulse(f, 1);
	platform_irq_sync_apicv(f->p, 0, &extint, eoi);
	assert_true(extint);
	assert_int_equal(platform_irq_ack(f->p, 0, -1), 0x21);
	platform_irq_sync_apicv(f->p, 0, &extint, eoi);
	assert_false(extint);
	assert_int_equal(platform_irq_ack(f->p, 0, -1), -1);
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

/* What hv/ asks about a vCPU that halts before it kicks it. */
static void an_interrupt_is_above_what_is_in_service_and_the_tpr(void **state)
{
	enable(1);
	assert_true(platform_irq_above(f->p, 1, 0x10));
	lapic_wr(f, 1, APIC_TPR, 0x40);
	assert_false(platform_irq_above(f->p, 1, 0x4f));
	assert_true(platform_irq_above(f->p, 1, 0x50));
	assert_true(platform_irq_above(f->p, 2, 0x10));
	self(1, 0x80);
	assert_int_equal(take_irq(f, 1), 0x80);
	assert_false(platform_irq_above(f->p, 1, 0x8f));
	assert_true(platform_irq_above(f->p, 1, 0x90));
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
		T(only_legal_mode_changes_are_taken),
		T(apic_base_reserved_bits),
		T(off_means_no_registers),
		T(the_page_can_move),
		T(x2apic_registers),
		T(x2apic_mode_has_these_registers_and_no_others),
		T(x2apic_reserved_bits),
		T(a_refused_access_shows_in_the_esr_of_xapic_mode),
		T(init_resets_the_apic_when_the_vcpu_takes_it),
		T(init_in_x2apic_mode_stays_there),
		T(apicv_sees_irr_and_eoi_exits),
		T(apicv_writes_take_effect),
		T(a_halted_vcpu_that_was_asked_still_gets_rvi),
		T(apicv_status_follows_what_software_changes),
		T(extint_through_apicv),
		T(lint0_as_fixed_interrupt_and_nmi),
		T(an_interrupt_is_above_what_is_in_service_and_the_tpr),
		T(statistics_count_what_was_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
