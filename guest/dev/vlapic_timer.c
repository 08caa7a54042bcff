/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer (SDM Vol. 3A 10.5.4). The count is not decremented step by step: it is computed from the time
 * since it was loaded. A masked timer is not armed; when it is unmasked, its count is what it would have been anyway.
 */
#include "guest/dev/irq.h"

#include "guest/dev/platform.h"
#include "lib/bits.h"

#define MODE_ONE_SHOT 0
#define MODE_PERIODIC 1
#define MODE_DEADLINE 2

_Static_assert(PLATFORM_APIC_CLOCK_DIV == 4, "CLOCK_SHIFT is its logarithm");
#define CLOCK_SHIFT 2

static unsigned lapic_timer_mode(const struct vlapic *l)
{
	return (unsigned)bits_get(l->lvt_timer, 18, 17);
}

/* One count is 1 << shift TSC ticks: bits 3, 1, 0 of the divide register, where 7 means 1 (SDM figure 10-10). */
static unsigned lapic_timer_shift(const struct vlapic *l)
{
	unsigned code = (l->divide >> 1 & 4) | (l->divide & 3);

	return CLOCK_SHIFT + (code == 7 ? 0 : code + 1);
}

/* Counts since the load. (The TSCs of two CPUs may be a little apart.) */
static uint64_t lapic_timer_elapsed(const struct vlapic *l, uint64_t now)
{
	return now < l->start ? 0 : (now - l->start) >> lapic_timer_shift(l);
}

/* True if the deadline is over: the LVT entry is to fire. It is compared with the TSC as the guest sees it: SDM Vol. 3A
 * 10.5.4.1, Vol. 3B 17.17.3. */
static bool lapic_timer_arm_deadline(struct vlapic *l, uint64_t now)
{
	uint64_t seen = now + l->tsc_adjust;

	if (l->deadline > seen) {
		timer_arm(&l->timer, tsc_after(now, l->deadline - seen));
		return false;
	}
	timer_stop(&l->timer);
	if (!l->deadline)
		return false;
	l->deadline = 0;
	return true;
}

static void lapic_timer_arm_or_fire(struct vlapic *l, uint64_t now)
{
	if (lapic_timer_arm_deadline(l, now))
		vlapic_local(l, APIC_LVT_TIMER);
}

static void lapic_timer_arm(struct vlapic *l, uint64_t now, bool again)
{
	uint64_t due, counts;

	if (lapic_timer_mode(l) == MODE_DEADLINE) {
		lapic_timer_arm_or_fire(l, now);
		return;
	}
	if (lapic_timer_mode(l) == MODE_ONE_SHOT && l->count && lapic_timer_elapsed(l, now) >= l->count)
		l->count = 0; /* it ran out while masked */
	if (!l->count || (l->lvt_timer & LVT_MASKED) || lapic_timer_mode(l) > MODE_PERIODIC) {
		timer_stop(&l->timer);
		return;
	}
	counts = l->count;
	if (lapic_timer_mode(l) == MODE_PERIODIC)
		counts *= lapic_timer_elapsed(l, now) / l->count + 1;
	due = tsc_after(l->start, counts << lapic_timer_shift(l));
	timer_arm(&l->timer, again ? timer_periodic_due(l->irqs->clock, now, due) : due);
}

static void lapic_timer_fire(struct vtimer *t, uint64_t now)
{
	struct vlapic *l = container_of(t, struct vlapic, timer);

	if (lapic_timer_mode(l) == MODE_DEADLINE)
		l->deadline = 0;
	else if (lapic_timer_mode(l) == MODE_ONE_SHOT)
		l->count = 0;
	vlapic_local(l, APIC_LVT_TIMER);
	lapic_timer_arm(l, now, true);
}

void vlapic_timer_init(struct vlapic *l, struct timer_queue *timers)
{
	timer_add(timers, &l->timer, NULL, lapic_timer_fire);
}

void vlapic_timer_reset(struct vlapic *l)
{
	l->count = 0;
	l->deadline = 0;
	l->lvt_timer = LVT_MASKED;
	l->divide = 0;
	timer_stop(&l->timer);
}

void vlapic_timer_start(struct vlapic *l, uint32_t count)
{
	if (lapic_timer_mode(l) == MODE_DEADLINE)
		return; /* the register holds the value, the timer ignores it */
	l->start = vclock_now(l->irqs->clock);
	l->count = count;
	lapic_timer_arm(l, l->start, false);
}

void vlapic_timer_divide(struct vlapic *l, uint32_t dcr)
{
	uint64_t now = vclock_now(l->irqs->clock), done = lapic_timer_elapsed(l, now);

	if (l->count)
		done = lapic_timer_mode(l) == MODE_PERIODIC ? done % l->count : min(done, l->count);
	l->divide = dcr;
	/* What is counted stays counted; only the speed changes. */
	l->start = now - min(now, done << lapic_timer_shift(l));
	lapic_timer_arm(l, now, false);
}

void vlapic_timer_lvt(struct vlapic *l, uint32_t now_lvt)
{
	uint32_t before = l->lvt_timer;
	bool was = bits_get(before, 18, 17) == MODE_DEADLINE, is;

	l->lvt_timer = now_lvt;
	is = lapic_timer_mode(l) == MODE_DEADLINE;
	if (was != is) {
		l->count = 0;
		l->deadline = 0;
	}
	if ((before ^ now_lvt) & ~0xffu)
		lapic_timer_arm(l, vclock_now(l->irqs->clock), false);
}

uint32_t vlapic_timer_current(const struct vlapic *l)
{
	uint64_t done;

	if (!l->count || lapic_timer_mode(l) == MODE_DEADLINE)
		return 0;
	done = lapic_timer_elapsed(l, vclock_now(l->irqs->clock));
	if (lapic_timer_mode(l) == MODE_PERIODIC)
		return (uint32_t)(l->count - done % l->count);
	return done >= l->count ? 0 : (uint32_t)(l->count - done);
}

uint64_t vlapic_timer_deadline(const struct vlapic *l)
{
	return lapic_timer_mode(l) == MODE_DEADLINE ? l->deadline : 0;
}

bool vlapic_timer_set_deadline(struct vlapic *l, uint64_t tsc)
{
	if (lapic_timer_mode(l) != MODE_DEADLINE)
		return false;
	l->deadline = tsc;
	return lapic_timer_arm_deadline(l, vclock_now(l->irqs->clock));
}

void vlapic_timer_tsc_adjust(struct vlapic *l, uint64_t adjust)
{
	l->tsc_adjust = adjust;
	if (lapic_timer_mode(l) == MODE_DEADLINE)
		lapic_timer_arm_or_fire(l, vclock_now(l->irqs->clock));
}
