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
 *
 * A choice must not take longer the more vCPUs there are, so it looks only at those to which something has happened:
 *
 *	         turn ends, it can go on
 *	has  ----------------------------------> ready	\ by the time
 *	the  ----------------------------------> woken	/ that they have had
 *	CPU    turn ends, it has halted, but    |
 *	 |     what ends that is there already  | its time has come,
 *	 |                                      | or it is roused
 *	 +------------------------------------> asleep	by the time at which they are to wake
 *	       turn ends, it sleeps
 *
 * `ready`, `woken` and `asleep` are heaps. A CPU that has something for a vCPU that may sleep rouses it (queue_rouse()):
 *
 *	1. here: what it is for; a locked instruction; does it sleep?
 *	2. queue_next(): it sleeps; a locked instruction; what is there for it?
 *
 * So at least one of the two sees what the other has written. The first to find that it sleeps puts it on a list of its CPU. It stays
 * asleep until the next choice begins, which takes the list. Whether one that woke still can run is asked when it would have its turn.
 */
#pragma once

#include "lib/cpu_id.h"
#include "lib/heap.h"
#include "lib/types.h"

enum turn_state { TURN_SLEEPS, TURN_WAKES, TURN_GOES_ON };

struct turn {
	struct heap_node node; /* in `heap`; key: `ran`, of one that sleeps the TSC at which it is to wake */
	struct heap *heap;     /* NULL: it has the CPU */
	uint64_t ran;	       /* TSC ticks that it has had the CPU for; more, if it has slept */
	struct turn *next;     /* on the list of those that were roused */
	bool sleeps;	       /* ... and is not on that list (atomic) */
};

struct queue {
	struct heap asleep, woken, ready;
	struct turn *has;    /* has the CPU; NULL: none */
	struct turn *roused; /* a list: sleep no more, and are to be looked at (atomic) */
	uint64_t now;	     /* `ran` of the last one to get a turn when it began; only goes up */
	uint64_t turns;	     /* ever given */
	/* A choice that is not finished: since when (TSC; 0: there is none); roused before; the first two that it found to wake. */
	uint64_t since;
	struct turn *waking, *found_awake[2];
	/* The one that has woken since the choice before the last one, and was not chosen; NULL: none. */
	struct turn *in_vain;
};

/* What queue_next() asks. */
struct turn_ops {
	/* *at: if it sleeps, the TSC at which it is to wake, UINT64_MAX for never. Called with the queue's lock held. */
	enum turn_state (*state)(struct turn *t, uint64_t *at);
	uint64_t slice; /* TSC ticks */
};

#define QUEUE_PIECE 16 /* vCPUs that wake, or do not after all, in one call of queue_next() */

/* All zero is an empty queue. All but queue_rouse() under the queue's lock, if others may add to it. The new one counts as having
 * woken. */
void queue_add(struct queue *q, struct turn *t, bool sleeps);
/* t has the CPU, or nothing rouses it any more. */
void queue_remove(struct queue *q, struct turn *t);
/* t sleeps no more, or if it does, there is something for it. Any CPU, without a lock. */
void queue_rouse(struct queue *q, struct turn *t);
/* Whose turn it is. False: not yet known; the caller is to let interrupts in, and call again. *found: NULL if all sleep. Of those
 * that have had the CPU equally long, the one whose turn was longest ago. now: TSC. *ahead: the ticks after which the one
 * found has had as much as another that has woken; UINT64_MAX if none has. */
bool queue_next(
	struct queue *q, const struct turn_ops *ops, uint64_t now, struct turn **found, uint64_t *ahead);
/* When the first that sleeps is to be looked at (TSC; UINT64_MAX: never; 0: now). */
uint64_t queue_wakes(const struct queue *q);
/* Returns the turn that is to be charged with what queue_next() and the switch to its choice cost: `last` had the CPU before
 * (NULL: none), `next` was chosen.
 *
 *	last sleeps, another is next	last: a vCPU that wakes and sleeps all the time pays for both ways
 *	last goes on			the one that has woken and must wait: its wake-up ended the turn; once a wake-up
 *	else				next: it has woken, or has waited for its turn
 */
struct turn *queue_pays(const struct queue *q, struct turn *last, bool last_sleeps, struct turn *next);
/* Charges t, of q, with so many ticks of CPU time. */
void queue_ran(struct queue *q, struct turn *t, uint64_t ticks);

/* How many vCPUs a VM gets that asks for `wanted`; 1, if there is no way in which others start (hv/vm/place.c). */
unsigned vcpus_given(unsigned wanted, bool others_start);
