/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU runs next on a CPU. Pure (hv/host/sched_pure.c).
 *
 * The next turn goes to the vCPU that has had the CPU for the least time. Sleep saves up no more than a slice: a vCPU that wakes
 * counts as having had as much as the one that runs now, less a slice. So a vCPU that mostly waits for interrupts gets the CPU at
 * once when one comes, and keeps it until it has dealt with it. A vCPU that computes, but sleeps a moment now and then
 * to be woken, gets no more than its share.
 *
 *	A |==========|          |=====|    A computes, B wakes twice, for a short while
 *	B            |--|             |---|
 */
#pragma once

#include "lib/cpu_id.h"
#include "lib/list.h"
#include "lib/types.h"

struct turn {
	struct list in_queue;
	uint64_t ran; /* TSC ticks that it has had the CPU for; more, if it has slept */
	bool waits;   /* it has woken, and has had no turn since */
};

struct queue {
	struct list turns;
	uint64_t now; /* `ran` of the last one to get a turn when it began; only goes up */
	/* The one that has woken since the choice before the last one, and was not chosen; NULL: none. */
	struct turn *woken;
};

enum turn_state { TURN_SLEEPS, TURN_WAKES, TURN_GOES_ON };

void queue_init(struct queue *q);
/* The new one counts as having woken. */
void queue_add(struct queue *q, struct turn *t);
void queue_remove(struct turn *t);
/* Whose turn it is; NULL if all sleep. `state` is asked about each, in any order. Of those that have had the CPU equally
 * long, the one whose turn was longest ago. slice: TSC ticks. *ahead: the ticks after which the one found has had as much
 * as another that wakes now; UINT64_MAX if none does. */
struct turn *queue_next(struct queue *q, uint64_t slice, enum turn_state (*state)(struct turn *t, void *arg),
	void *arg, uint64_t *ahead);
/* Returns the turn that is to be charged with what queue_next() and the switch to its choice cost: `last` had the CPU before
 * (NULL: none), `next` was chosen.
 *
 *	last sleeps, another is next	last: a vCPU that wakes and sleeps all the time pays for both ways
 *	last goes on			the one that has woken and must wait: its wake-up ended the turn; once a wake-up
 *	else				next: it has woken, or has waited for its turn
 */
struct turn *queue_pays(const struct queue *q, struct turn *last, bool last_sleeps, struct turn *next);
/* Charges t with so many ticks of CPU time. */
static inline void queue_ran(struct turn *t, uint64_t ticks)
{
	t->ran += ticks;
}

/* How many vCPUs a VM gets that asks for `wanted`; 1, if there is no way in which others start (hv/vm/place.c). */
unsigned vcpus_given(unsigned wanted, bool others_start);
