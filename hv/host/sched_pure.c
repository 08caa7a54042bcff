/* SPDX-License-Identifier: MIT */
#include "hv/host/sched_pure.h"

#include "lib/bits.h"

void queue_init(struct queue *q)
{
	list_init(&q->turns);
	q->now = 0;
	q->woken = NULL;
}

void queue_add(struct queue *q, struct turn *t)
{
	t->ran = q->now;
	t->waits = false;
	list_add_tail(&q->turns, &t->in_queue);
}

void queue_remove(struct turn *t)
{
	list_del(&t->in_queue);
}

struct turn *queue_next(struct queue *q, uint64_t slice, enum turn_state (*state)(struct turn *t, void *arg),
	void *arg, uint64_t *ahead)
{
	struct turn *found = NULL, *waker = NULL,
		    *second = NULL; /* of those that wake: the two that have had least */
	struct turn *woken[2] = { NULL };

	list_for_each (t, &q->turns, struct turn, in_queue) {
		switch (state(t, arg)) {
		case TURN_SLEEPS:
			t->waits = false;
			continue;
		case TURN_WAKES:
			if (!t->waits)
				woken[woken[0] != NULL] = t;
			t->waits = true;
			t->ran = max(t->ran, q->now - min(q->now, slice));
			if (!waker || t->ran < waker->ran) {
				second = waker;
				waker = t;
			} else if (!second || t->ran < second->ran) {
				second = t;
			}
			break;
		case TURN_GOES_ON:
			break;
		}
		if (!found || t->ran < found->ran)
			found = t;
	}
	if (waker == found)
		waker = second;
	q->woken = woken[0] == found ? woken[1] : woken[0];
	*ahead = UINT64_MAX;
	if (found) {
		if (waker)
			*ahead = waker->ran - found->ran;
		q->now = max(q->now, found->ran);
		found->waits = false;
		list_del(&found->in_queue);
		list_add_tail(&q->turns, &found->in_queue);
	}
	return found;
}

struct turn *queue_pays(const struct queue *q, struct turn *last, bool last_sleeps, struct turn *next)
{
	if (last && last != next && last_sleeps)
		return last;
	if (last == next && q->woken)
		return q->woken;
	return next;
}

unsigned vcpus_given(unsigned wanted, bool others_start)
{
	return others_start ? min(wanted, (unsigned)CPUS_MAX) : 1;
}
