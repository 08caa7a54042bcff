/* SPDX-License-Identifier: MIT */
#include "hv/vm/sched_pure.h"

#include "lib/bits.h"

void queue_init(struct queue *q)
{
	list_init(&q->turns);
	q->now = 0;
}

void queue_add(struct queue *q, struct turn *t)
{
	t->ran = q->now;
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

	list_for_each (t, &q->turns, struct turn, in_queue) {
		switch (state(t, arg)) {
		case TURN_SLEEPS:
			continue;
		case TURN_WAKES:
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
	*ahead = UINT64_MAX;
	if (found) {
		if (waker)
			*ahead = waker->ran - found->ran;
		q->now = max(q->now, found->ran);
		list_del(&found->in_queue);
		list_add_tail(&q->turns, &found->in_queue);
	}
	return found;
}

unsigned vcpus_given(unsigned wanted, bool unrestricted)
{
	return unrestricted ? min(wanted, (unsigned)CPUS_MAX) : 1;
}
