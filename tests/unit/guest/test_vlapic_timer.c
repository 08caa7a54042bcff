/* SPDX-License-Identifier: MIT */
/* The local APIC's timer: SDM Vol. 3A 10.5.4. One count is four ticks of the TSC times the divider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define RIG_VCPUS 2
#include "tests/support/rig/device_rig.h"

#define DEADLINE 0x6e0

static void program(uint32_t lvt, uint32_t divide, uint32_t count)
{
	lapic_wr(f, 1, APIC_SVR, 0x1ff);
	lapic_wr(f, 1, APIC_LVT_TIMER, lvt);
	lapic_wr(f, 1, APIC_TIMER_DIV, divide);
	lapic_wr(f, 1, APIC_TIMER_INIT, count);
}

static unsigned irqs_in(uint64_t ticks)
{
	unsigned n = 0;

	for (uint64_t end = f->now + ticks; f->now < end;) {
		fake_vm_advance(f, min(max(platform_next_event(f->p, 1), f->now), end) - f->now);
		if (take_irq(f, 1) >= 0) {
			n++;
			lapic_wr(f, 1, APIC_EOI, 0);
		}
	}
	return n;
}

static void one_shot(void **state)
{
	program(0x40, 0xb, 1000);
	fake_vm_advance(f, 3996);
	assert_int_equal(take_irq(f, 1), -1);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 1);
	fake_vm_advance(f, 4);
	assert_int_equal(take_irq(f, 1), 0x40);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 0);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_INIT), 1000);
	assert_true(platform_next_event(f->p, 1) == TIMER_OFF);
}

static void dividers(void **state)
{
	static const struct {
		uint32_t code, by;
	} table[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		program(0x40, table[i].code, 1000);
		fake_vm_advance(f, 4ul * table[i].by * 400);
		assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 600);
	}
}

static void periodic(void **state)
{
	program(0x20040, 3, 15625); /* 4 x 16 x 15625 = 1 ms */
	assert_in_range(irqs_in(1 * SEC), 999, 1000);
	fake_vm_advance(f, 640);
	assert_in_range(lapic_rd(f, 1, APIC_TIMER_NOW), 15614, 15616);
}

static void late_periods_coalesce(void **state)
{
	program(0x20040, 3, 15625);
	f->now += 1 * SEC; /* the vCPU was away */
	f->events = 0;
	fake_vm_advance(f, 10 * USEC);
	assert_int_equal(f->events, 1);
	assert_int_equal(take_irq(f, 1), 0x40); /* one for all that was missed */
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_int_equal(take_irq(f, 1), -1);
	assert_int_equal(irqs_in(10 * MSEC - 10 * USEC), 10); /* and in step again */
}

static void a_period_of_one_tick_is_rate_limited(void **state)
{
	program(0x20040, 0xb, 1);
	f->events = 0;
	fake_vm_advance(f, 10 * MSEC);
	assert_in_range(f->events, 1, 10 * MSEC / f->p->clock.period_min + 1);
}

static void masked_counts_silently(void **state)
{
	program(0x10040, 0xb, 1000);
	assert_true(platform_next_event(f->p, 1) == TIMER_OFF);
	fake_vm_advance(f, 2000);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 500);
	lapic_wr(f, 1, APIC_LVT_TIMER, 0x40);
	fake_vm_advance(f, 2000);
	assert_int_equal(take_irq(f, 1), 0x40);

	program(0x10040, 0xb, 1000);
	fake_vm_advance(f, 5000);
	lapic_wr(f, 1, APIC_LVT_TIMER, 0x40); /* it ran out while masked: too late */
	fake_vm_advance(f, 5000);
	assert_int_equal(take_irq(f, 1), -1);
}

static void zero_stops(void **state)
{
	program(0x20040, 0xb, 100000);
	lapic_wr(f, 1, APIC_TIMER_INIT, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 0);
	assert_int_equal(irqs_in(10 * MSEC), 0);
}

static void divider_changes_speed_only(void **state)
{
	program(0x40, 0xb, 1000);
	fake_vm_advance(f, 2000);
	lapic_wr(f, 1, APIC_TIMER_DIV, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 500);
	fake_vm_advance(f, 3992);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 1);
	fake_vm_advance(f, 8);
	assert_int_equal(take_irq(f, 1), 0x40);
}

static void deadline(void **state)
{
	uint64_t v;

	program(0x40040, 0xb, 0);
	assert_int_equal(platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 12345), 0);
	assert_true(platform_next_event(f->p, 1) == f->now + 12345);
	fake_vm_advance(f, 12344);
	assert_int_equal(take_irq(f, 1), -1);
	fake_vm_advance(f, 1);
	assert_int_equal(take_irq(f, 1), 0x40);
	assert_int_equal(platform_apic_rdmsr(f->p, 1, DEADLINE, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 0);
}

static void a_past_deadline_fires_at_once(void **state)
{
	program(0x40040, 0xb, 0);
	platform_apic_wrmsr(f->p, 1, DEADLINE, 1);
	assert_int_equal(take_irq(f, 1), 0x40);
}

static uint64_t deadline_read(void)
{
	uint64_t v = 0;

	assert_int_equal(platform_apic_rdmsr(f->p, 1, DEADLINE, &v), 0);
	return v;
}

static void a_past_deadline_fires_at_once_with_a_large_adjust(void **state)
{
	program(0x40040, 0xb, 0);
	platform_tsc_adjust(f->p, 1, 1ul << 40);
	platform_apic_wrmsr(f->p, 1, DEADLINE, 1000); /* smaller than the adjustment */
	assert_int_equal(take_irq(f, 1), 0x40);
	assert_true(deadline_read() == 0);
}

static void the_deadline_follows_the_tsc_that_the_guest_sees(void **state)
{
	uint64_t seen, at;

	program(0x40040, 0xb, 0);
	platform_tsc_adjust(f->p, 1, 0 - f->now); /* its TSC begins at 0 */
	platform_apic_wrmsr(f->p, 1, DEADLINE, 5000);
	assert_true(platform_next_event(f->p, 1) == f->now + 5000);
	assert_true(deadline_read() == 5000);
	platform_tsc_adjust(
		f->p, 1, 2000 - f->now); /* ... is at 2000 now: less is left, the MSR is as it was */
	assert_true(deadline_read() == 5000);
	assert_true(platform_next_event(f->p, 1) == f->now + 3000);
	fake_vm_advance(f, 2999);
	assert_int_equal(take_irq(f, 1), -1);
	fake_vm_advance(f, 1);
	assert_int_equal(take_irq(f, 1), 0x40);
	assert_true(deadline_read() == 0);
	lapic_wr(f, 1, APIC_EOI, 0);

	seen = f->now + f->p->interrupts.lapic[1].tsc_adjust;
	at = seen + (1ul << 36);
	platform_apic_wrmsr(f->p, 1, DEADLINE, at);
	platform_tsc_adjust(f->p, 1, f->p->interrupts.lapic[1].tsc_adjust + (1ul << 35));
	assert_true(deadline_read() == at);
	assert_int_equal(take_irq(f, 1), -1);
	platform_tsc_adjust(f->p, 1, f->p->interrupts.lapic[1].tsc_adjust + (1ul << 35)); /* moved up to it */
	assert_int_equal(take_irq(f, 1), 0x40);
	assert_true(deadline_read() == 0);
	assert_true(platform_next_event(f->p, 1) == TIMER_OFF);
}

static void periods_go_on_when_the_clock_is_large(void **state)
{
	program(0x20040, 3, 15625);
	f->now = (1ul << 63) + 5 * SEC;
	fake_vm_advance(f, 1);
	take_irq(f, 1);
	lapic_wr(f, 1, APIC_EOI, 0);
	assert_in_range(irqs_in(1 * SEC), 999, 1001);
	assert_in_range(lapic_rd(f, 1, APIC_TIMER_NOW), 1, 15625);
	program(0x40, 0xb, 1000);
	f->now += 3ul << 61; /* it ran out long ago */
	fake_vm_advance(f, 1);
	assert_int_equal(lapic_rd(f, 1, APIC_TIMER_NOW), 0);
}

static void zero_disarms_the_deadline(void **state)
{
	program(0x40040, 0xb, 0);
	platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 1000);
	platform_apic_wrmsr(f->p, 1, DEADLINE, 0);
	fake_vm_advance(f, 5000);
	assert_int_equal(take_irq(f, 1), -1);
}

static void one_shot_and_deadline_modes_do_not_mix(void **state)
{
	uint64_t v;

	program(0x40, 0xb, 1000);
	platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 100); /* ignored in one-shot mode */
	platform_apic_rdmsr(f->p, 1, DEADLINE, &v);
	assert_int_equal(v, 0);
	lapic_wr(f, 1, APIC_LVT_TIMER, 0x40040); /* changing to deadline mode disarms */
	fake_vm_advance(f, 10000);
	assert_int_equal(take_irq(f, 1), -1);
	platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 100);
	lapic_wr(f, 1, APIC_LVT_TIMER, 0x40);
	fake_vm_advance(f, 10000);
	assert_int_equal(take_irq(f, 1), -1);
}

static void an_earlier_event_wakes_the_vcpu(void **state)
{
	program(0x40040, 0xb, 0);
	f->wakes[1] = 0;
	platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 1000);
	assert_int_equal(f->wakes[1], 1);
	platform_apic_wrmsr(f->p, 1, DEADLINE, f->now + 2000); /* later: no news */
	assert_int_equal(f->wakes[1], 1);
}

static void a_far_deadline_does_not_wrap(void **state)
{
	program(0x40040, 0xb, 0);
	platform_apic_wrmsr(f->p, 1, DEADLINE, UINT64_MAX - 1);
	fake_vm_advance(f, 10 * SEC);
	assert_int_equal(take_irq(f, 1), -1);
	f->now = UINT64_MAX - 100000;
	program(0x20040, 0xa, 0xffffffff);
	f->events = 0;
	fake_vm_advance(f, 50000);
	assert_int_equal(f->events, 0);
}

/* TIMER_OFF is the clock's last value, too. */
static void a_timer_that_is_off_never_fires(void **state)
{
	program(0x40, 0xb, 0);
	f->now = UINT64_MAX;
	platform_run_events(f->p, 0, f->now, TIMERS_ALL);
	platform_run_events(f->p, 1, f->now, TIMERS_ALL);
	assert_int_equal(take_irq(f, 1), -1);
	assert_true(platform_next_event(f->p, 1) == TIMER_OFF);
}

static unsigned fired;

static void count_firing(struct vtimer *t, uint64_t now)
{
	fired++;
}

static void not_sooner(void *vm, unsigned vcpu, uint64_t due)
{
}

static void long_work_waits_for_its_own_look(void **state)
{
	static const struct vm_ops ops = { .sooner = not_sooner };
	static const struct vclock clock = { .ops = &ops, .tsc_hz = FAKE_TSC_HZ, .period_min = 1 };
	struct vtimer t[3] = { 0 };
	struct timer_queue q;

	timer_queue_init(&q, &clock, 0);
	for (unsigned i = 0; i < 3; i++) {
		timer_add(&q, &t[i], NULL, count_firing);
		t[i].long_work = i < 2;
		timer_arm(&t[i], 10);
	}
	fired = 0;
	timers_run(&q, 10, 0);
	assert_int_equal(fired, 1); /* the one that is not long */
	assert_true(t[2].due == TIMER_OFF && q.next == 10);
	timers_run(&q, 11, 1);
	assert_int_equal(fired, 2);
	assert_true(q.next == 10);
	timers_run(&q, 12, TIMERS_ALL);
	assert_int_equal(fired, 3);
	assert_true(q.next == TIMER_OFF);
}

static void rates(void **state)
{
	struct rate r;

	rate_init(&r, 32768, FAKE_TSC_HZ);
	for (uint64_t s = 0; s < 4000000000ul; s = s * 3 + 1) {
		assert_true(rate_ticks(&r, s * SEC) == s * 32768 || rate_ticks(&r, s * SEC) == s * 32768 + 1);
		assert_true(rate_ticks(&r, rate_tsc(&r, s)) >= s);
	}
	assert_true(mul_div(UINT64_MAX, 2, 2) == UINT64_MAX);
	assert_true(mul_div(UINT64_MAX, 3, 2) == UINT64_MAX);
	assert_true(mul_div(1000000007, 1000000009, 1000000007) == 1000000009);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_shot),
		T(dividers),
		T(periodic),
		T(late_periods_coalesce),
		T(a_period_of_one_tick_is_rate_limited),
		T(masked_counts_silently),
		T(zero_stops),
		T(divider_changes_speed_only),
		T(deadline),
		T(a_past_deadline_fires_at_once),
		T(a_past_deadline_fires_at_once_with_a_large_adjust),
		T(the_deadline_follows_the_tsc_that_the_guest_sees),
		T(periods_go_on_when_the_clock_is_large),
		T(zero_disarms_the_deadline),
		T(one_shot_and_deadline_modes_do_not_mix),
		T(an_earlier_event_wakes_the_vcpu),
		T(a_far_deadline_does_not_wrap),
		T(a_timer_that_is_off_never_fires),
		T(long_work_waits_for_its_own_look),
		T(rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
