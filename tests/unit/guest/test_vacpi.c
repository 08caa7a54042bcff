/* SPDX-License-Identifier: MIT */
/* The reset register and ACPI's fixed hardware: power-off, PM timer, power button. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static void reset_register(void **state)
{
	outb(f, 0xcf9, 0x02);
	assert_int_equal(f->ended, 0);
	outb(f, 0xcf9, 0x06);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->end, VM_END_RESET);
	assert_int_equal(inb(f, 0xcf9), 0x02);
}

static void soft_off(void **state)
{
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM1_CONTROL, 2), 1);
	platform_pio_write(f->p, 0, VACPI_PM1_CONTROL, 2, 1 << 10 | 1 << 13); /* S1 is not offered */
	assert_int_equal(f->ended, 0);
	platform_pio_write(f->p, 0, VACPI_PM1_CONTROL, 2, VACPI_S5 << 10);
	assert_int_equal(f->ended, 0);
	platform_pio_write(f->p, 0, VACPI_PM1_CONTROL, 2, VACPI_S5 << 10 | 1 << 13);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->end, VM_END_POWER_OFF);
}

static void soft_off_by_a_byte(void **state)
{
	outb(f, VACPI_PM1_CONTROL + 1, VACPI_S5 << 2 | 1 << 5);
	assert_int_equal(f->end, VM_END_POWER_OFF);
	assert_int_equal(f->ended, 1);
}

static void pm_timer_runs_at_3_58_mhz(void **state)
{
	uint32_t t0 = platform_pio_read(f->p, 0, VACPI_PM_TIMER, 4), t1;

	fake_vm_advance(f, 1 * SEC);
	t1 = platform_pio_read(f->p, 0, VACPI_PM_TIMER, 4);
	assert_in_range(t1 - t0, 3579544, 3579546);
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM_TIMER + 1, 1), t1 >> 8 & 0xff);
	platform_pio_write(f->p, 0, VACPI_PM_TIMER, 4, 0);
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM_TIMER, 4), t1);
}

static bool sci(void)
{
	return DEV(f, vioapic)->lines & 1 << 9;
}

static void pm_timer_carry_interrupts(void **state)
{
	platform_pio_write(f->p, 0, VACPI_PM1_EVENT + 2, 2, 1);
	fake_vm_advance(f, 601 * SEC); /* bit 31 changes every 600 s */
	assert_true(sci());
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM1_EVENT, 2), 1);
	platform_pio_write(f->p, 0, VACPI_PM1_EVENT, 2, 1);
	assert_false(sci());
	f->events = 0;
	fake_vm_advance(f, 601 * SEC);
	assert_true(sci());
	assert_int_equal(f->events, 1);
}

static void power_button(void **state)
{
	platform_pio_write(f->p, 0, VACPI_PM1_EVENT + 2, 2, 0xffff);
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM1_EVENT + 2, 2), 0x521);
	platform_power_button(f->p);
	assert_true(sci());
	assert_int_equal(platform_pio_read(f->p, 0, VACPI_PM1_EVENT, 4), 0x05210100);
	platform_pio_write(f->p, 0, VACPI_PM1_EVENT, 2, 0x100);
	assert_false(sci());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reset_register),
		T(soft_off),
		T(soft_off_by_a_byte),
		T(pm_timer_runs_at_3_58_mhz),
		T(pm_timer_carry_interrupts),
		T(power_button),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
