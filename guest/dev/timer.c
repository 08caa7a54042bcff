/* SPDX-License-Identifier: MIT */
/* Timers of the virtual platform, and conversion between clocks. */
#include "guest/dev/timer.h"

#include "guest/dev/platform.h"
#include "lib/assert.h"
#include "lib/atomic.h"

uint64_t vclock_ms(const struct vclock *c, uint64_t ms)
{
	return mul_div(c->tsc_hz, ms, 1000);
}

static void timer_queue_refresh(struct timer_queue *q)
{
	uint64_t next = TIMER_OFF, before;

	spin_lock(&q->lock);
	before = q->next;
	for (unsigned i = 0; i < q->n; i++)
		next = min(next, atomic_load_relaxed(&q->timer[i]->due));
	atomic_store(&q->next, next);
	spin_unlock(&q->lock);
	/* The vCPU sleeps or runs until the old time at most, so it is told of an earlier time only. */
	if (next < before)
		q->clock->ops->sooner(q->clock->vm, q->vcpu, next);
}

void timer_queue_init(struct timer_queue *q, const struct vclock *clock, unsigned vcpu)
{
	*q = (struct timer_queue){ .next = TIMER_OFF, .clock = clock, .vcpu = vcpu };
}

void timer_add(struct timer_queue *q, struct vtimer *t, struct spinlock *lock,
	void (*fire)(struct vtimer *, uint64_t))
{
	ASSERT(q->n < TIMERS_PER_VCPU);
	t->due = TIMER_OFF;
	t->queue = q;
	t->lock = lock;
	t->fire = fire;
	q->timer[q->n++] = t;
}

void timer_arm(struct vtimer *t, uint64_t due)
{
	atomic_store_relaxed(&t->due, due);
	timer_queue_refresh(t->queue);
}

void timer_stop(struct vtimer *t)
{
	if (t->due == TIMER_OFF)
		return;
	timer_arm(t, TIMER_OFF);
}

static bool timer_is_due(const struct vtimer *t, uint64_t now)
{
	uint64_t due = atomic_load_relaxed(&t->due);

	return due <= now && due != TIMER_OFF;
}

static void timer_fire(struct vtimer *t, uint64_t now)
{
	atomic_store_relaxed(&t->due, TIMER_OFF);
	t->fire(t, now);
	/* A timer is never due again at once, even if its device asks for that. */
	if (unlikely(t->due <= now))
		atomic_store_relaxed(&t->due, tsc_after(now, t->queue->clock->period_min));
}

void __attribute__((noinline)) timers_run(struct timer_queue *q, uint64_t now, unsigned most_long)
{
	for (unsigned i = 0; i < q->n; i++) {
		struct vtimer *t = q->timer[i];

		if (!timer_is_due(t, now))
			continue;
		if (t->long_work) {
			if (!most_long)
				continue;
			most_long--;
		}
		if (t->lock)
			spin_lock(t->lock);
		if (timer_is_due(t, now)) /* still: another vCPU may have stopped it or armed it anew */
			timer_fire(t, now);
		if (t->lock)
			spin_unlock(t->lock);
	}
	timer_queue_refresh(q);
}

uint64_t timer_periodic_due(const struct vclock *c, uint64_t now, uint64_t due)
{
	return max(due, tsc_after(now, c->period_min));
}

uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product, rest;

	if (high >= c)
		return UINT64_MAX;
	/* C's 128-bit division would call the compiler's library, which is not linked in. */
	__asm__("divq %4" : "=a"(low), "=d"(rest) : "0"(low), "1"(high), "rm"(c) : "cc");
	return low;
}

void rate_init(struct rate *r, uint64_t hz, uint64_t tsc_hz)
{
	uint64_t quotient = 0, rest;

	ASSERT(hz && hz < tsc_hz);
	__asm__("divq %4" : "=a"(quotient), "=d"(rest) : "0"(quotient), "1"(hz), "rm"(tsc_hz) : "cc");
	/* Rounded up, so that a whole second has all of its ticks. */
	*r = (struct rate){ .hz = hz, .tsc_hz = tsc_hz, .fraction = quotient + 1 };
}

uint64_t rate_ticks(const struct rate *r, uint64_t tsc)
{
	return (uint64_t)(((unsigned __int128)tsc * r->fraction) >> 64);
}

uint64_t rate_tsc(const struct rate *r, uint64_t ticks)
{
	uint64_t tsc = mul_div(ticks, r->tsc_hz, r->hz);

	if (tsc >= UINT64_MAX - 2)
		return UINT64_MAX;
	/* The division rounds down by less than one tick: the answer is at most a step or two away. */
	while (rate_ticks(r, tsc) < ticks)
		tsc++;
	return tsc;
}
