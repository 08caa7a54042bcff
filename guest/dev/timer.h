/* SPDX-License-Identifier: MIT */
/*
 * Virtual time. The one clock is the guest's TSC (struct vclock); devices that tick at other rates convert.
 *
 *	device arms a timer -> the queue of the vCPU that runs it -> `next`, read without a lock before every entry
 *
 * A queue is a short array (a vCPU has one timer, vCPU 0 also those of the devices), so the earliest is found by
 * looking at all of them. A timer fires once and must be armed again: however late a vCPU comes, each timer fires
 * at most once per timers_run(), and a period shorter than vclock.period_min cannot be had. So no guest can make
 * Lethe loop over missed ticks.
 *
 * Times are unsigned, and the arithmetic is right for all of them, including the last, TIMER_OFF. A device arms a timer
 * for a time after now, or with TIMER_OFF for never.
 */
#pragma once

#include "lib/spinlock.h"
#include "lib/types.h"

struct vm_ops;

#define TIMER_OFF	UINT64_MAX
#define TIMERS_PER_VCPU 10

/* The clock of a VM: the guest's TSC, before what each vCPU adds to it (IA32_TSC_ADJUST). */
struct vclock {
	uint64_t (*now)(void *vm); /* ops->clock */
	const struct vm_ops *ops;
	void *vm;
	uint64_t tsc_hz;
	uint64_t period_min; /* in TSC ticks: no timer fires more often */
};
static inline uint64_t vclock_now(const struct vclock *c)
{
	return c->now(c->vm);
}
/* The TSC ticks of so many milliseconds. */
uint64_t vclock_ms(const struct vclock *c, uint64_t ms);

struct vtimer {
	uint64_t due; /* guest TSC, or TIMER_OFF; atomic, written under `lock` */
	struct timer_queue *queue;
	/* Its device's. NULL: of the vCPU's own local APIC, which no other CPU touches. */
	struct spinlock *lock;
	bool long_work; /* fires for tens of microseconds: set after timer_add() */
	/* Called by the queue's vCPU with `lock` held, the timer already off. */
	void (*fire)(struct vtimer *t, uint64_t now);
};

/* The timers that one vCPU runs. Any CPU may arm a timer of a device. `next` is computed under `lock` from all timers,
 * so that none is missed when several CPUs arm timers at the same time. */
struct timer_queue {
	uint64_t next; /* the smallest due; atomic, read by the vCPU without the lock */
	struct spinlock lock;
	const struct vclock *clock;
	unsigned vcpu;
	unsigned n;
	struct vtimer *timer[TIMERS_PER_VCPU];
};

void timer_queue_init(struct timer_queue *q, const struct vclock *clock, unsigned vcpu);
/* Before the VM runs. */
void timer_add(struct timer_queue *q, struct vtimer *t, struct spinlock *lock,
	void (*fire)(struct vtimer *, uint64_t));
/* Both with the timer's lock held; take the queue's. */
void timer_arm(struct vtimer *t, uint64_t due);
void timer_stop(struct vtimer *t);
/* Fires the timers that are due, but at most `most_long` of those marked long_work: the others stay due. Called by the
 * queue's own vCPU, with no lock held. */
void timers_run(struct timer_queue *q, uint64_t now, unsigned most_long);
#define TIMERS_ALL UINT32_MAX
/* Returns `due`, or vclock.period_min after `now` (100 us) if `due` is sooner: so a guest cannot keep Lethe busy with
 * timers. */
uint64_t timer_periodic_due(const struct vclock *c, uint64_t now, uint64_t due);

/* A time `span` after `from`, which may be never. */
static inline uint64_t tsc_after(uint64_t from, uint64_t span)
{
	return span > TIMER_OFF - from ? TIMER_OFF : from + span;
}

/* a * b / c without overflow in between; UINT64_MAX if the result does not fit. c must not be 0. */
uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c);

/* A device clock of `hz`, which must be below tsc_hz: the tick number of a span of TSC ticks, never late, and early by
 * less than span / 2^64 of a tick. */
struct rate {
	uint64_t hz, tsc_hz;
	uint64_t fraction; /* hz / tsc_hz in units of 2^-64, rounded up */
};
void rate_init(struct rate *r, uint64_t hz, uint64_t tsc_hz);
uint64_t rate_ticks(const struct rate *r, uint64_t tsc); /* ticks that are over after `tsc` TSC ticks */
uint64_t rate_tsc(const struct rate *r, uint64_t ticks); /* TSC ticks after which rate_ticks() >= ticks */
