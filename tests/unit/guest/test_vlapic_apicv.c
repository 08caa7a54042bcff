/* SPDX-License-Identifier: MIT */
/* The local APIC where the CPU delivers interrupts by itself (APICv: SDM Vol. 3C chapter 29). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/rig/vlapic_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(apicv_sees_irr_and_eoi_exits),
		T(apicv_writes_take_effect),
		T(a_halted_vcpu_that_was_asked_still_gets_rvi),
		T(apicv_status_follows_what_software_changes),
		T(extint_through_apicv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
