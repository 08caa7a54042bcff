/* SPDX-License-Identifier: MIT */
/* The CMOS clock against the MC146818A's datasheet. The fake VM starts at 2024-02-28 23:59:50 UTC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static uint8_t rd(uint8_t reg)
{
	outb(f, 0x70, reg);
	return inb(f, 0x71);
}
static void wr(uint8_t reg, uint8_t v)
{
	outb(f, 0x70, reg);
	outb(f, 0x71, v);
}
static bool irq8(void)
{
	return DEV(f, vpic)->chip[1].lines & 1;
}

static void shows_the_start_time_in_bcd(void **state)
{
	static const uint8_t expect[][2] = { { 0, 0x50 }, { 2, 0x59 }, { 4, 0x23 }, { 6, 4 /* Wednesday */ },
		{ 7, 0x28 }, { 8, 0x02 }, { 9, 0x24 }, { 0x32, 0x20 } };

	for (unsigned i = 0; i < ARRAY_SIZE(expect); i++)
		assert_int_equal(rd(expect[i][0]), expect[i][1]);
	assert_int_equal(rd(0x0d), 0x80);
	assert_int_equal(rd(0x0b), 0x02);
}

static void date_passes_29_february(void **state)
{
	fake_vm_advance(f, 11 * SEC);
	assert_int_equal(rd(0), 0x01);
	assert_int_equal(rd(4), 0x00);
	assert_int_equal(rd(7), 0x29);
	assert_int_equal(rd(8), 0x02);
	fake_vm_advance(f, 86400 * SEC);
	assert_int_equal(rd(7), 0x01);
	assert_int_equal(rd(8), 0x03);
	assert_int_equal(rd(6), 6); /* Friday */
}

static void binary_and_twelve_hours(void **state)
{
	wr(0x0b, 0x04); /* binary, 12 h */
	assert_int_equal(rd(0), 50);
	assert_int_equal(rd(4), 0x80 | 11);
	fake_vm_advance(f, 3600 * SEC);
	assert_int_equal(rd(4), 12); /* midnight is 12 AM */
	wr(0x0b, 0x00);
	assert_int_equal(rd(4), 0x12);
}

static void time_can_be_set(void **state)
{
	wr(0x0b, 0x82);
	fake_vm_advance(f, 5 * SEC);
	assert_int_equal(rd(0), 0x50); /* SET stops the update */
	wr(0x00, 0x30);
	wr(0x02, 0x15);
	wr(0x04, 0x08);
	wr(0x07, 0x31);
	wr(0x08, 0x12);
	wr(0x09, 0x99);
	wr(0x32, 0x19);
	wr(0x0b, 0x02);
	fake_vm_advance(f, 86400 * SEC);
	assert_int_equal(rd(0), 0x30);
	assert_int_equal(rd(2), 0x15);
	assert_int_equal(rd(4), 0x08);
	assert_int_equal(rd(7), 0x01);
	assert_int_equal(rd(8), 0x01);
	assert_int_equal(rd(9), 0x00);
	assert_int_equal(rd(0x32), 0x20);
}

static void a_single_field_can_be_set_while_it_runs(void **state)
{
	wr(0x04, 0x10);
	assert_int_equal(rd(4), 0x10);
	assert_int_equal(rd(2), 0x59);
	fake_vm_advance(f, 10 * SEC);
	assert_int_equal(rd(4), 0x11);
}

static void update_in_progress_precedes_each_second(void **state)
{
	bool seen = false, was = rd(0x0a) & 0x80;
	uint8_t second = rd(0);

	for (unsigned i = 0; i < 20000; i++) {
		fake_vm_advance(f, 100 * USEC);
		if (rd(0) != second) {
			assert_true(was); /* never a change without a warning of 244 us */
			second = rd(0);
			seen = true;
		}
		was = rd(0x0a) & 0x80;
	}
	assert_true(seen);
}

static void periodic_interrupt_at_1024_hz(void **state)
{
	unsigned n = 0;

	wr(0x0b, 0x42);
	for (unsigned i = 0; i < 20000; i++) {
		fake_vm_advance(f, 100 * USEC);
		if (irq8()) {
			assert_int_equal(rd(0x0c) & 0xc0, 0xc0);
			assert_false(irq8());
			n++;
		}
	}
	assert_in_range(n, 2046, 2050);
}

static void the_line_stays_until_c_is_read(void **state)
{
	wr(0x0b, 0x42);
	f->events = 0;
	fake_vm_advance(f, 1 * SEC);
	assert_true(irq8());
	assert_int_equal(f->events, 1); /* and costs nothing meanwhile */
	assert_int_equal(rd(0x0c) & 0xc0, 0xc0);
	assert_int_equal(rd(0x0c), 0);
}

static void alarm_at_a_time(void **state)
{
	wr(1, 0x05);
	wr(3, 0x00);
	wr(5, 0x00);
	wr(0x0b, 0x22);
	fake_vm_advance(f, 14 * SEC);
	assert_false(irq8());
	fake_vm_advance(f, 2 * SEC);
	assert_true(irq8());
	assert_int_equal(rd(0x0c) & 0xa0, 0xa0);
	fake_vm_advance(f, 86000 * SEC);
	assert_false(irq8());
	fake_vm_advance(f, 400 * SEC);
	assert_true(irq8());
}

static void alarm_with_wildcards(void **state)
{
	unsigned n = 0;

	wr(1, 0x30);
	wr(3, 0xff);
	wr(5, 0xff);
	wr(0x0b, 0x22);
	for (unsigned i = 0; i < 600; i++) {
		fake_vm_advance(f, 1 * SEC);
		n += irq8();
		rd(0x0c);
	}
	assert_int_equal(n, 10);
}

/* The next alarm by a look at each second: SDM and data sheets know no more than "all three agree". */
static uint64_t next_alarm(uint64_t t, const unsigned *alarm)
{
	for (unsigned n = 0; n <= 86400; n++, t++)
		if ((alarm[0] == 0xff || alarm[0] == t / 3600 % 24) &&
			(alarm[1] == 0xff || alarm[1] == t / 60 % 60) &&
			(alarm[2] == 0xff || alarm[2] == t % 60))
			return t;
	return UINT64_MAX;
}

/* With every mixture of times and wildcards, from times at which a second, a minute or an hour is about to end, or is not. */
static void alarms_come_when_all_three_agree(void **state)
{
	static const unsigned times[] = { 0, 1, 30, 58, 59 }, waits[] = { 0xff, 0, 1, 30, 59, 60 },
			      hours[] = { 0xff, 0, 1, 12, 23, 24 };
	unsigned n = 0;

	wr(0x0b, 0x86);
	for (unsigned i = 0; i < 125; i++)
		for (unsigned j = 0; j < 216; j++) {
			const unsigned now[] = { i % 25 ? i / 25 % 24 : 23, times[i / 5 % 5], times[i % 5] };
			const unsigned alarm[] = { hours[j / 36], waits[j / 6 % 6], waits[j % 6] };
			uint64_t begin = now[0] * 3600ull + now[1] * 60 + now[2], due, event;

			if ((i * 216 + j) % 7)
				continue;
			wr(4, (uint8_t)now[0]);
			wr(2, (uint8_t)now[1]);
			wr(0, (uint8_t)now[2]);
			wr(5, (uint8_t)alarm[0]);
			wr(3, (uint8_t)alarm[1]);
			wr(1, (uint8_t)alarm[2]);
			rd(0x0c);
			wr(0x0b, 0x26); /* binary, 24 hours, alarm: it goes on from there */
			due = next_alarm(begin + 1, alarm);
			event = platform_next_event(f->p, 0);
			if (due == UINT64_MAX) {
				assert_true(event == TIMER_OFF);
			} else {
				due = f->now + (due - begin) * SEC;
				assert_in_range(event, due - MSEC, due + MSEC);
			}
			wr(0x0b, 0x86);
			n++;
		}
	assert_in_range(n, 3000, 4000);
}

static void impossible_alarm_never_comes(void **state)
{
	wr(1, 0x99);
	wr(0x0b, 0x22);
	assert_true(platform_next_event(f->p, 0) == TIMER_OFF);
	fake_vm_advance(f, 200000 * SEC);
	assert_false(irq8());
	assert_int_equal(rd(0x0c) & 0x20, 0);
}

static void flags_without_interrupts(void **state)
{
	rd(0x0c);
	fake_vm_advance(f, 2 * SEC);
	assert_int_equal(rd(0x0c), 0x50); /* PF and UF, but no IRQF */
	assert_false(irq8());
}

static void update_ended_interrupt(void **state)
{
	wr(0x0b, 0x12);
	fake_vm_advance(f, 1 * SEC);
	assert_true(irq8());
	assert_int_equal(rd(0x0c) & 0x90, 0x90);
}

static void memory_sizes_and_checksum(void **state)
{
	unsigned sum = 0;

	assert_int_equal(rd(0x15) | rd(0x16) << 8, 640);
	assert_int_equal(rd(0x30) | rd(0x31) << 8, 63 * 1024);
	assert_int_equal(rd(0x34) | rd(0x35) << 8, 48 * 16);
	for (uint8_t i = 0x10; i <= 0x2d; i++)
		sum += rd(i);
	assert_int_equal(rd(0x2e) << 8 | rd(0x2f), sum);
}

static void invalid_dates_stay_within_the_calendar(void **state)
{
	for (unsigned i = 0; i < 256; i++) {
		wr(0x0b, (uint8_t)(i & 7));
		for (uint8_t reg = 0; reg < 0x0a; reg++)
			wr(reg, (uint8_t)(i * 7 + reg * 31));
		wr(0x32, (uint8_t)(i * 3));
		fake_vm_advance(f, 1 * SEC);
		assert_in_range(rd(8), 1, 0x12);
	}
}

static void reset_keeps_the_time(void **state)
{
	fake_vm_advance(f, 3 * SEC);
	wr(0x40, 0x55);
	platform_reset(f->p);
	assert_int_equal(rd(0), 0x53);
	assert_int_equal(rd(0x40), 0);
}

/* Its timer was armed for one and the same time again and again. */
static void interrupts_go_on_when_the_clock_is_large(void **state)
{
	wr(0x0a, 0x26); /* 1024 Hz */
	wr(0x0b, 0x42);
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = 0;

		f->now += i < 2 ? 3ul << 61 : 1ul << 61;
		fake_vm_advance(f, 1);
		rd(0x0c);
		for (uint64_t end = f->now + SEC, next; f->now < end;) {
			next = platform_next_event(f->p, 0);
			assert_true(next > f->now);
			fake_vm_advance(f, min(next, end) - f->now);
			n += rd(0x0c) >> 6 & 1;
		}
		assert_in_range(n, 1022, 1026);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shows_the_start_time_in_bcd),
		T(date_passes_29_february),
		T(binary_and_twelve_hours),
		T(time_can_be_set),
		T(a_single_field_can_be_set_while_it_runs),
		T(update_in_progress_precedes_each_second),
		T(periodic_interrupt_at_1024_hz),
		T(the_line_stays_until_c_is_read),
		T(alarm_at_a_time),
		T(alarm_with_wildcards),
		T(alarms_come_when_all_three_agree),
		T(impossible_alarm_never_comes),
		T(flags_without_interrupts),
		T(update_ended_interrupt),
		T(memory_sizes_and_checksum),
		T(invalid_dates_stay_within_the_calendar),
		T(reset_keeps_the_time),
		T(interrupts_go_on_when_the_clock_is_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
