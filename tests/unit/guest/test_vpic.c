/* SPDX-License-Identifier: MIT */
/* The 8259A pair against its datasheet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static void raise_irq(unsigned irq)
{
	fake_irq(f, irq, false);
	fake_irq(f, irq, true);
}

static void masked_after_reset(void **state)
{
	raise_irq(1);
	assert_int_equal(inb(f, 0x21), 0xff);
	assert_int_equal(inb(f, 0xa1), 0xff);
	assert_int_equal(take_irq(f, 0), -1);
	assert_int_equal(inb(f, 0x20) & 2, 2); /* IRR */
}

static void an_edge_is_delivered_once(void **state)
{
	pic_setup(f, 0);
	raise_irq(4);
	assert_true(platform_irq_waiting(f->p, 0));
	assert_int_equal(take_irq(f, 0), 0x24);
	assert_int_equal(take_irq(f, 0), -1);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), -1); /* the line is still high: no new edge */
	raise_irq(4);
	assert_int_equal(take_irq(f, 0), 0x24);
}

static void priority_and_nesting(void **state)
{
	pic_setup(f, 0);
	raise_irq(5);
	assert_int_equal(take_irq(f, 0), 0x25);
	raise_irq(6);
	assert_int_equal(take_irq(f, 0), -1); /* lower than what is in service */
	raise_irq(3);
	assert_int_equal(take_irq(f, 0), 0x23); /* higher interrupts it */
	outb(f, 0x20, 0x0b);
	assert_int_equal(inb(f, 0x20), 0x28); /* ISR: 5 and 3 */
	outb(f, 0x20, 0x20);		      /* non-specific: ends 3, the highest */
	assert_int_equal(inb(f, 0x20), 0x20);
	outb(f, 0x20, 0x65); /* specific EOI of 5 */
	assert_int_equal(inb(f, 0x20), 0);
	assert_int_equal(take_irq(f, 0), 0x26);
}

static void slave_goes_through_cascade(void **state)
{
	pic_setup(f, 0);
	raise_irq(8);
	assert_int_equal(take_irq(f, 0), 0x28);
	outb(f, 0x20, 0x0b);
	outb(f, 0xa0, 0x0b);
	assert_int_equal(inb(f, 0x20), 0x04);
	assert_int_equal(inb(f, 0xa0), 0x01);
	raise_irq(3);
	assert_int_equal(take_irq(f, 0), -1); /* IR2 in service blocks IR3 */
	outb(f, 0xa0, 0x20);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), 0x23);
}

static void nested_slave_needs_special_fully_nested_mode(void **state)
{
	pic_setup(f, 0);
	raise_irq(12);
	assert_int_equal(take_irq(f, 0), 0x2c);
	raise_irq(9);
	assert_int_equal(take_irq(f, 0), -1); /* the master sees IR2 in service */

	outb(f, 0x20, 0x11);
	outb(f, 0x21, 0x20);
	outb(f, 0x21, 0x04);
	outb(f, 0x21, 0x11); /* ICW4: special fully nested */
	outb(f, 0x21, 0);
	outb(f, 0xa0, 0x20);
	fake_irq(f, 9, false);
	raise_irq(12);
	assert_int_equal(take_irq(f, 0), 0x2c);
	raise_irq(9);
	assert_int_equal(take_irq(f, 0), 0x29);
	raise_irq(3);
	assert_int_equal(take_irq(f, 0), -1); /* but a lower line of the master still waits */
}

static void special_mask_mode_lets_lower_ones_through(void **state)
{
	pic_setup(f, 0);
	raise_irq(3);
	assert_int_equal(take_irq(f, 0), 0x23);
	raise_irq(5);
	assert_int_equal(take_irq(f, 0), -1);
	outb(f, 0x21, 0x08);
	outb(f, 0x20, 0x68);
	assert_int_equal(take_irq(f, 0), 0x25);
	outb(f, 0x20, 0x48); /* off again: IRQ 3 in service blocks */
	raise_irq(6);
	assert_int_equal(take_irq(f, 0), -1);
}

static void rotation_makes_the_served_one_last(void **state)
{
	pic_setup(f, 0);
	raise_irq(1);
	assert_int_equal(take_irq(f, 0), 0x21);
	outb(f, 0x20, 0xa0); /* rotate on non-specific EOI: 1 is the lowest now */
	raise_irq(1);
	raise_irq(7);
	raise_irq(3);
	assert_int_equal(take_irq(f, 0), 0x23);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), 0x27);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), 0x21);
	outb(f, 0x20, 0x20);
	outb(f, 0x20, 0xc0 | 5); /* set priority: 5 lowest, 6 highest */
	raise_irq(0);
	raise_irq(6);
	assert_int_equal(take_irq(f, 0), 0x26);
}

static void automatic_eoi(void **state)
{
	pic_setup(f, 0);
	outb(f, 0x20, 0x11);
	outb(f, 0x21, 0x20);
	outb(f, 0x21, 0x04);
	outb(f, 0x21, 0x03);
	outb(f, 0x21, 0);
	raise_irq(4);
	assert_int_equal(take_irq(f, 0), 0x24);
	outb(f, 0x20, 0x0b);
	assert_int_equal(inb(f, 0x20), 0);
	raise_irq(6);
	assert_int_equal(take_irq(f, 0), 0x26);
}

static void level_lines_follow_elcr(void **state)
{
	pic_setup(f, 0);
	outb(f, 0x4d0, 0xff);
	outb(f, 0x4d1, 0xff);
	assert_int_equal(inb(f, 0x4d0), 0xf8); /* 0, 1 and 2 cannot be levels */
	assert_int_equal(inb(f, 0x4d1), 0xde);
	fake_irq(f, 10, true);
	assert_int_equal(take_irq(f, 0), 0x2a);
	outb(f, 0xa0, 0x20);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), 0x2a); /* still asserted: again */
	fake_irq(f, 10, false);
	outb(f, 0xa0, 0x20);
	outb(f, 0x20, 0x20);
	assert_int_equal(take_irq(f, 0), -1);
}

static void a_line_that_falls_takes_its_request_back(void **state)
{
	pic_setup(f, 0);
	raise_irq(4);
	assert_int_equal(platform_irq_sync(f->p, 0), 0x24);
	fake_irq(f, 4, false);
	assert_int_equal(
		platform_irq_ack(f->p, 0, 0x24), -1);	/* INTR is low: the CPU never starts the cycle */
	assert_int_equal(vpic_ack(DEV(f, vpic)), 0x27); /* had it started, the answer would be IR7 ... */
	outb(f, 0x20, 0x0b);
	assert_int_equal(inb(f, 0x20), 0); /* ... and nothing in service: that is how kernels know */
}

static void another_line_may_answer_the_acknowledge(void **state)
{
	pic_setup(f, 0);
	raise_irq(4);
	assert_int_equal(platform_irq_sync(f->p, 0), 0x24);
	raise_irq(1);
	assert_int_equal(platform_irq_ack(f->p, 0, 0x24), 0x21);
}

static void poll_command(void **state)
{
	pic_setup(f, 0);
	outb(f, 0x20, 0x0c);
	assert_int_equal(inb(f, 0x20), 0);
	raise_irq(6);
	outb(f, 0x20, 0x0c);
	assert_int_equal(inb(f, 0x20), 0x86);
	outb(f, 0x20, 0x0b);
	assert_int_equal(inb(f, 0x20), 0x40); /* the read was the acknowledge */
	assert_int_equal(take_irq(f, 0), -1);
}

static void no_interrupt_during_initialisation(void **state)
{
	pic_setup(f, 0);
	outb(f, 0x20, 0x11);
	raise_irq(1);
	assert_int_equal(take_irq(f, 0), -1);
	outb(f, 0x21, 0x40);
	outb(f, 0x21, 0x04);
	outb(f, 0x21, 0x01);
	assert_int_equal(take_irq(f, 0), 0x41);
}

static void only_the_vcpu_with_extint_takes_it(void **state)
{
	fake_vm_close(f);
	f = fake_vm_open(2, NULL);
	pic_setup(f, 0);
	f->wakes[0] = f->wakes[1] = 0;
	raise_irq(1);
	assert_true(f->wakes[0] && !f->wakes[1]);
	assert_int_equal(take_irq(f, 1), -1);
	lapic_wr(f, 0, APIC_LVT_LINT0, LVT_MASKED);
	assert_int_equal(take_irq(f, 0), -1);
	lapic_wr(f, 0, APIC_LVT_LINT0, DELIVER_EXTINT << 8);
	assert_int_equal(take_irq(f, 0), 0x21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(masked_after_reset),
		T(an_edge_is_delivered_once),
		T(priority_and_nesting),
		T(slave_goes_through_cascade),
		T(nested_slave_needs_special_fully_nested_mode),
		T(special_mask_mode_lets_lower_ones_through),
		T(rotation_makes_the_served_one_last),
		T(automatic_eoi),
		T(level_lines_follow_elcr),
		T(a_line_that_falls_takes_its_request_back),
		T(another_line_may_answer_the_acknowledge),
		T(poll_command),
		T(no_interrupt_during_initialisation),
		T(only_the_vcpu_with_extint_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
