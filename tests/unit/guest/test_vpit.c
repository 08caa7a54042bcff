/* SPDX-License-Identifier: MIT */
/* The 8254 and port 0x61 against the datasheet. One PIT tick is 838.095 ns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static uint64_t ticks(uint64_t n)
{
	return rate_tsc(&DEV(f, vpit)->rate, n);
}

/* Turns the clock to the given number of PIT ticks after `from`. */
static uint64_t pit_now(void)
{
	return rate_ticks(&DEV(f, vpit)->rate, f->now);
}
static void to_tick(uint64_t n)
{
	fake_vm_advance(f, ticks(n) - f->now);
	assert_int_equal(pit_now(), n);
}

static void program(unsigned channel, unsigned mode, uint16_t count)
{
	outb(f, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	outb(f, (uint16_t)(0x40 + channel), (uint8_t)count);
	outb(f, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static unsigned latched(unsigned channel)
{
	unsigned low;

	outb(f, 0x43, (uint8_t)(channel << 6));
	low = inb(f, (uint16_t)(0x40 + channel));
	return low | (unsigned)inb(f, (uint16_t)(0x40 + channel)) << 8;
}

static uint8_t status_of(unsigned channel)
{
	outb(f, 0x43, (uint8_t)(0xe0 | 2u << channel)); /* read-back: status only */
	return inb(f, (uint16_t)(0x40 + channel));
}

static unsigned irqs_in(uint64_t n)
{
	unsigned count = 0;

	for (uint64_t end = f->now + n; f->now < end;) {
		uint64_t next = platform_next_event(f->p, 0);

		fake_vm_advance(f, min(next, end) - f->now);
		if (take_irq(f, 0) == 0x20) {
			count++;
			outb(f, 0x20, 0x20);
		}
	}
	return count;
}

static void rate_generator_interrupts_at_its_rate(void **state)
{
	pic_setup(f, 0);
	program(0, 2, 1193); /* 1000.15 Hz */
	assert_in_range(irqs_in(1 * SEC), 999, 1001);
	assert_in_range(f->events, 999, 1001);
}

static void square_wave_interrupts_at_its_rate(void **state)
{
	pic_setup(f, 0);
	program(0, 3, 0); /* 65536: 18.2 Hz */
	assert_in_range(irqs_in(10 * SEC), 181, 183);
}

static void one_shot_fires_once(void **state)
{
	pic_setup(f, 0);
	program(0, 0, 1000);
	assert_int_equal(status_of(0) & 0x80, 0);
	assert_int_equal(irqs_in(1 * SEC), 1);
	assert_int_equal(status_of(0) & 0x80, 0x80);
}

/* Between the write that starts the counter and the look at the clock that arms the timer the edge may have passed. */
static void a_one_shot_that_is_over_at_once_fires(void **state)
{
	pic_setup(f, 0xfffe);
	for (uint16_t count = 1; count <= 4; count++) {
		f->per_look = 20 * USEC;
		program(0, 0, count);
		f->per_look = 0;
		assert_int_equal(irqs_in(1 * MSEC), 1);
	}
}

static void software_strobe_fires_once(void **state)
{
	pic_setup(f, 0);
	program(0, 4, 1000);
	assert_int_equal(status_of(0) & 0x80, 0x80);
	assert_int_equal(irqs_in(1 * SEC), 1);
}

static void a_tiny_period_is_rate_limited(void **state)
{
	pic_setup(f, 0);
	program(0, 2, 1);
	f->events = 0;
	fake_vm_advance(f, 10 * MSEC);
	assert_in_range(f->events, 1, 10 * MSEC / f->p->clock.period_min + 1);
}

static void counts_down_and_latches(void **state)
{
	uint64_t t;
	unsigned first;

	program(2, 0, 0x4000);
	outb(f, 0x61, 1); /* gate */
	t = pit_now();
	program(2, 0, 0x4000);
	to_tick(t + 0x1234);
	outb(f, 0x43, 0x80);
	first = 0x4000 - 0x1234;
	to_tick(t + 0x2000);
	assert_int_equal(inb(f, 0x42), first & 0xff); /* the latch holds while the counter goes on */
	assert_int_equal(inb(f, 0x42), first >> 8);
	assert_int_equal(latched(2), 0x2000);
	to_tick(t + 0x4001);
	assert_int_equal(latched(2), 0xffff); /* mode 0 goes on counting below zero */
}

static void second_latch_command_is_ignored(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	program(2, 2, 0x8000);
	outb(f, 0x43, 0x80);
	to_tick(t + 100);
	outb(f, 0x43, 0x80);
	assert_int_equal(inb(f, 0x42), 0x00);
	assert_int_equal(inb(f, 0x42), 0x80);
}

static void read_back_gives_status_then_count(void **state)
{
	outb(f, 0x61, 1);
	outb(f, 0x43, 0xb6); /* channel 2, mode 3, both bytes */
	outb(f, 0x43, 0xe8);
	assert_int_equal(inb(f, 0x42), 0x80 | 0x40 | 0x36); /* OUT high, null count */
	outb(f, 0x42, 0x34);
	outb(f, 0x42, 0x12);
	outb(f, 0x43, 0xc8); /* status and count */
	assert_int_equal(inb(f, 0x42), 0x80 | 0x36);
	assert_int_equal(inb(f, 0x42), 0x34);
	assert_int_equal(inb(f, 0x42), 0x12);
}

static void square_wave_output_halves(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	program(2, 3, 1001);
	to_tick(t + 500);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20); /* high for (n + 1) / 2 */
	to_tick(t + 501);
	assert_int_equal(inb(f, 0x61) & 0x20, 0);
	to_tick(t + 1001);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20);
}

static void rate_generator_is_low_for_one_tick(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	program(2, 2, 100);
	to_tick(t + 98);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20);
	to_tick(t + 99);
	assert_int_equal(inb(f, 0x61) & 0x20, 0);
	to_tick(t + 100);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20);
}

static void gate_pauses_mode_0_and_restarts_mode_3(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	program(2, 0, 1000);
	to_tick(t + 400);
	outb(f, 0x61, 0);
	to_tick(t + 5000);
	assert_int_equal(latched(2), 600);
	outb(f, 0x61, 1);
	to_tick(t + 5100);
	assert_int_equal(latched(2), 500);

	t = pit_now();
	program(2, 3, 1000);
	to_tick(t + 600);
	outb(f, 0x61, 0);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20); /* gate low forces OUT high */
	outb(f, 0x61, 1);
	to_tick(t + 700);
	assert_int_equal(latched(2), 800); /* a new period, by twos */
}

static void gate_triggers_mode_1(void **state)
{
	uint64_t t;

	program(2, 1, 100);
	fake_vm_advance(f, 1 * MSEC);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20);
	t = pit_now();
	outb(f, 0x61, 1);
	assert_int_equal(inb(f, 0x61) & 0x20, 0);
	to_tick(t + 60);
	outb(f, 0x61, 0);
	outb(f, 0x61, 1); /* retrigger */
	to_tick(t + 120);
	assert_int_equal(inb(f, 0x61) & 0x20, 0);
	to_tick(t + 160);
	assert_int_equal(inb(f, 0x61) & 0x20, 0x20);
}

static void new_count_waits_for_the_end_of_the_period(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	program(2, 2, 1000);
	to_tick(t + 300);
	outb(f, 0x42, 500 & 0xff);
	outb(f, 0x42, 500 >> 8);
	assert_int_equal(latched(2), 700);
	to_tick(t + 1100);
	assert_int_equal(latched(2), 400);
}

static void bcd(void **state)
{
	uint64_t t;

	outb(f, 0x61, 1);
	t = pit_now();
	outb(f, 0x43, 0xb5); /* mode 2, BCD */
	outb(f, 0x42, 0x00);
	outb(f, 0x42, 0x20);
	to_tick(t + 1);
	assert_int_equal(latched(2), 0x1999);
	to_tick(t + 2001);
	assert_int_equal(latched(2), 0x1999);
}

static void single_byte_accesses(void **state)
{
	outb(f, 0x61, 1);
	outb(f, 0x43, 0x94); /* channel 2, low byte, mode 2 */
	outb(f, 0x42, 0x80);
	assert_int_equal(inb(f, 0x42), 0x80);
	outb(f, 0x43, 0xa4); /* high byte */
	outb(f, 0x42, 0x12);
	assert_int_equal(inb(f, 0x42), 0x12);
}

static void refresh_bit_toggles(void **state)
{
	unsigned changes = 0;
	uint8_t before = inb(f, 0x61) & 0x10;

	for (unsigned i = 0; i < 1000; i++) {
		fake_vm_advance(f, 1 * USEC);
		changes += (inb(f, 0x61) & 0x10) != before;
		before = inb(f, 0x61) & 0x10;
	}
	assert_in_range(changes, 64, 68); /* every 15.1 us */
}

static void loading_again_and_again_is_bounded(void **state)
{
	for (unsigned i = 0; i < 1000; i++) {
		program(0, i % 6, (uint16_t)i);
		f->events = 0;
		fake_vm_advance(f, 1 * MSEC);
		assert_in_range(f->events, 0, 25);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rate_generator_interrupts_at_its_rate),
		T(square_wave_interrupts_at_its_rate),
		T(one_shot_fires_once),
		T(a_one_shot_that_is_over_at_once_fires),
		T(software_strobe_fires_once),
		T(a_tiny_period_is_rate_limited),
		T(counts_down_and_latches),
		T(second_latch_command_is_ignored),
		T(read_back_gives_status_then_count),
		T(square_wave_output_halves),
		T(rate_generator_is_low_for_one_tick),
		T(gate_pauses_mode_0_and_restarts_mode_3),
		T(gate_triggers_mode_1),
		T(new_count_waits_for_the_end_of_the_period),
		T(bcd),
		T(single_byte_accesses),
		T(refresh_bit_toggles),
		T(loading_again_and_again_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
