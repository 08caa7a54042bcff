/* SPDX-License-Identifier: MIT */
/* Interrupt messages (SDM Vol. 3A 10.6, 10.12) and the I/O APIC (82093AA datasheet), with 20 vCPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define RIG_VCPUS 20
#include "tests/support/rig/device_rig.h"

#define X2(off) (0x800 + ((off) >> 4))

static void enable_all(void)
{
	for (unsigned i = 0; i < 20; i++)
		lapic_wr(f, i, APIC_SVR, 0x1ff);
}

/* Returns the set of vCPUs that have the vector. Takes and ends it. */
static uint32_t takers(int vector)
{
	uint32_t set = 0;

	for (unsigned i = 0; i < 20; i++) {
		uint64_t base;

		if (take_irq(f, i) != vector)
			continue;
		set |= 1u << i;
		platform_apic_rdmsr(f->p, i, 0x1b, &base);
		if (base & 0x400)
			platform_apic_wrmsr(f->p, i, X2(APIC_EOI), 0);
		else
			lapic_wr(f, i, APIC_EOI, 0);
	}
	return set;
}

static void send(unsigned from, uint32_t dest, uint32_t low)
{
	lapic_wr(f, from, APIC_ICR_HIGH, dest << 24);
	lapic_wr(f, from, APIC_ICR, low);
}

static void physical(void **state)
{
	enable_all();
	send(0, 7, 0x4050);
	assert_int_equal(takers(0x50), 1u << 7);
	assert_true(f->wakes[7] > 0);
	send(0, 0xff, 0x4051);
	assert_int_equal(takers(0x51), 0xfffff);
	send(0, 99, 0x4052);
	assert_int_equal(takers(0x52), 0);
}

static void shorthands(void **state)
{
	enable_all();
	send(3, 9, 0x44050);
	assert_int_equal(takers(0x50), 1u << 3);
	send(3, 9, 0x84051);
	assert_int_equal(takers(0x51), 0xfffff);
	send(3, 9, 0xc4052);
	assert_int_equal(takers(0x52), 0xfffff & ~(1u << 3));
	send(3, 9, 0xc4400); /* NMI to the others */
	assert_int_equal(f->nmis[3], 0);
	assert_int_equal(f->nmis[2], 1);
	send(3, 9, 0x84500); /* INIT to all including self is not a thing: the sender is spared */
	assert_int_equal(f->inits[3], 0);
	assert_int_equal(f->inits[4], 1);
}

static void flat_logical(void **state)
{
	enable_all();
	for (unsigned i = 0; i < 8; i++)
		lapic_wr(f, i, APIC_LDR, 1u << (24 + i));
	send(0, 0x86, 0x4850);
	assert_int_equal(takers(0x50), 0x86);
}

static void cluster_logical(void **state)
{
	enable_all();
	for (unsigned i = 0; i < 20; i++) {
		lapic_wr(f, i, APIC_DFR, 0);
		lapic_wr(f, i, APIC_LDR, ((i / 4) << 4 | 1u << i % 4) << 24);
	}
	send(0, 0x25, 0x4850); /* cluster 2, members 0 and 2 */
	assert_int_equal(takers(0x50), 1u << 8 | 1u << 10);
}

static void x2apic_physical_and_cluster(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		platform_apic_wrmsr(f->p, i, 0x1b, 0xfee00c00);
		platform_apic_wrmsr(f->p, i, X2(APIC_SVR), 0x1ff);
	}
	platform_apic_wrmsr(f->p, 0, X2(APIC_ICR), 17ul << 32 | 0x4050);
	assert_int_equal(takers(0x50), 1u << 17);
	platform_apic_wrmsr(f->p, 0, X2(APIC_ICR), 0x1000aul << 32 | 0x4851); /* cluster 1, members 1 and 3 */
	assert_int_equal(takers(0x51), 1u << 17 | 1u << 19);
	platform_apic_wrmsr(f->p, 0, X2(APIC_ICR), 0xfffffffful << 32 | 0x4052);
	assert_int_equal(takers(0x52), 0xfffff);
	platform_apic_wrmsr(f->p, 0, X2(APIC_ICR), 0xfful << 32 | 0x4053); /* 255 is no broadcast here */
	assert_int_equal(takers(0x53), 0);
}

static void lowest_priority_takes_turns_and_respects_tpr(void **state)
{
	uint32_t seen = 0;

	enable_all();
	for (unsigned i = 0; i < 4; i++)
		lapic_wr(f, i, APIC_LDR, 1u << (24 + i));
	for (unsigned i = 0; i < 4; i++) {
		uint32_t set;

		send(0, 0x0f, 0x4950);
		set = takers(0x50);
		assert_true(set && !(set & (set - 1)));
		seen |= set;
	}
	assert_int_equal(seen, 0x0f);
	lapic_wr(f, 0, APIC_TPR, 0x80);
	lapic_wr(f, 1, APIC_TPR, 0x80);
	lapic_wr(f, 3, APIC_TPR, 0x80);
	for (unsigned i = 0; i < 4; i++) {
		send(0, 0x0f, 0x4950);
		assert_int_equal(takers(0x50), 1u << 2);
	}
}

static void a_post_from_elsewhere_is_never_lost(void **state)
{
	enable_all();
	for (unsigned v = 0x20; v < 0x100; v++)
		send(1, 5, 0x4000 | v);
	for (int v = 0xff; v >= 0x20; v--) {
		assert_int_equal(take_irq(f, 5), v);
		lapic_wr(f, 5, APIC_EOI, 0);
	}
	assert_int_equal(take_irq(f, 5), -1);
}

/* ---- I/O APIC ---- */

static void route(unsigned pin, uint32_t low, uint8_t dest)
{
	ioapic_wr(f, 0x10 + 2 * pin + 1, (uint32_t)dest << 24);
	ioapic_wr(f, 0x10 + 2 * pin, low);
}
static uint32_t entry(unsigned pin)
{
	return ioapic_rd(f, 0x10 + 2 * pin);
}

static void ioapic_registers(void **state)
{
	assert_int_equal(ioapic_rd(f, 1), 0x00170020);
	ioapic_wr(f, 0, 0xff000000);
	assert_int_equal(ioapic_rd(f, 0), 0x0f000000);
	assert_int_equal(entry(23), 0x10000);
	ioapic_wr(f, 0x3e, 0xffffffff);
	assert_int_equal(entry(23), 0x1afff); /* status and remote IRR are read-only */
	assert_int_equal(ioapic_rd(f, 0x40), 0);
	assert_int_equal(ioapic_rd(f, 0xff), 0);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(LAYOUT_IOAPIC + 0x10), 1), 0);
}

static void timer_interrupt_arrives_at_pin_2(void **state)
{
	enable_all();
	route(2, 0x30, 0);
	outb(f, 0x43, 0x34);
	outb(f, 0x40, 0xa9);
	outb(f, 0x40, 0x04);
	for (unsigned i = 0; i < 10; i++) {
		fake_vm_advance(f, 1 * MSEC + 1 * USEC);
		assert_int_equal(takers(0x30), 1);
	}
}

static void edges_are_delivered_once_and_lost_while_masked(void **state)
{
	enable_all();
	fake_irq_pulse(f, 4);
	route(4, 0x34, 2);
	assert_int_equal(takers(0x34), 0); /* an edge on a masked pin is lost */
	fake_irq_pulse(f, 4);
	assert_int_equal(takers(0x34), 1u << 2);
	assert_int_equal(takers(0x34), 0);
	assert_int_equal(entry(4), 0x34);
}

static void levels_hold_remote_irr_until_eoi(void **state)
{
	enable_all();
	route(20, 0x8000 | 0x60, 3);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(entry(20), 0xc060);
	assert_int_equal(take_irq(f, 3), 0x60);
	assert_int_equal(lapic_rd(f, 3, APIC_TMR + 0x30), 1);
	vioapic_set(DEV(f, vioapic), 20, false);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(take_irq(f, 3), -1);
	lapic_wr(f, 3, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 3), 0x60); /* still asserted */
	vioapic_set(DEV(f, vioapic), 20, false);
	lapic_wr(f, 3, APIC_EOI, 0);
	assert_int_equal(entry(20), 0x8060);
	assert_int_equal(take_irq(f, 3), -1);
}

static void masked_level_comes_when_unmasked(void **state)
{
	enable_all();
	route(20, 0x18060, 3);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(take_irq(f, 3), -1);
	route(20, 0x8060, 3);
	assert_int_equal(take_irq(f, 3), 0x60);
}

static void eoi_register_and_suppressed_broadcast(void **state)
{
	enable_all();
	lapic_wr(f, 3, APIC_SVR, 0x11ff);
	route(20, 0x8060, 3);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(take_irq(f, 3), 0x60);
	lapic_wr(f, 3, APIC_EOI, 0);
	assert_int_equal(entry(20), 0xc060);
	vioapic_set(DEV(f, vioapic), 20, false);
	platform_mmio_write(f->p, 3, gpa(LAYOUT_IOAPIC + 0x40), 4, 0x60);
	assert_int_equal(entry(20), 0x8060);
}

static void making_a_pin_an_edge_clears_remote_irr(void **state)
{
	enable_all();
	route(20, 0x8060, 3);
	vioapic_set(DEV(f, vioapic), 20, true);
	take_irq(f, 3);
	route(20, 0x10060, 3);
	route(20, 0x18060, 3);
	assert_int_equal(entry(20), 0x18060);
}

static void a_level_for_an_apic_that_is_off_does_not_get_stuck(void **state)
{
	route(20, 0x8060, 3); /* vCPU 3's APIC is still off */
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(entry(20), 0x8060);
}

static void nmi_and_extint_through_the_ioapic(void **state)
{
	enable_all();
	route(20, 0x400, 6);
	vioapic_set(DEV(f, vioapic), 20, true);
	assert_int_equal(f->nmis[6], 1);
	route(21, 0x700, 6);
	vioapic_set(DEV(f, vioapic), 21, true); /* refused with a line in the log */
	assert_int_equal(take_irq(f, 6), -1);
}

static void a_message_of_a_device(void **state)
{
	enable_all();
	irq_msi(&f->p->interrupts, 0xfee00000 | 5 << 12, 0x4071);
	assert_int_equal(takers(0x71), 1u << 5);
	irq_msi(&f->p->interrupts, 0xdee00000 | 5 << 12, 0x4071); /* not an interrupt's address */
	assert_int_equal(takers(0x71), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(physical),
		T(shorthands),
		T(flat_logical),
		T(cluster_logical),
		T(x2apic_physical_and_cluster),
		T(lowest_priority_takes_turns_and_respects_tpr),
		T(a_post_from_elsewhere_is_never_lost),
		T(ioapic_registers),
		T(timer_interrupt_arrives_at_pin_2),
		T(edges_are_delivered_once_and_lost_while_masked),
		T(levels_hold_remote_irr_until_eoi),
		T(masked_level_comes_when_unmasked),
		T(eoi_register_and_suppressed_broadcast),
		T(making_a_pin_an_edge_clears_remote_irr),
		T(a_level_for_an_apic_that_is_off_does_not_get_stuck),
		T(nmi_and_extint_through_the_ioapic),
		T(a_message_of_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
