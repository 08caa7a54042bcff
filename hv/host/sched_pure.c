/* SPDX-License-Identifier: MIT */
#include "hv/host/sched_pure.h"

#include "lib/atomic.h"
#include "lib/bits.h"

static struct turn *turn_of(struct heap_node *n)
{
	return n ? container_of(n, struct turn, node) : NULL;
}

static void turn_into(struct heap *heap, struct turn *t, uint64_t key)
{
	t->heap = heap;
	t->node.key = key;
	heap_insert(heap, &t->node);
}

static void turn_out(struct turn *t)
{
	heap_remove(t->heap, &t->node);
	t->heap = NULL;
}

void queue_add(struct queue *q, struct turn *t, bool sleeps)
{
	t->ran = q->now;
	t->node.order = q->turns++;
	atomic_store(&t->sleeps, sleeps);
	if (sleeps)
		turn_into(&q->asleep, t, UINT64_MAX);
	else
		turn_into(&q->ready, t, t->ran);
}

void queue_remove(struct queue *q, struct turn *t)
{
	if (t->heap)
		turn_out(t);
	if (q->has == t)
		q->has = NULL;
}

/* By the exchange one caller puts t on the list, however many there are, and only once until it sleeps again. The list is taken as a
 * whole, never an element of it, so a head that has come back is no harm. */
void queue_rouse(struct queue *q, struct turn *t)
{
	struct turn *head = atomic_load(&q->roused);

	if (!atomic_load(&t->sleeps) || !atomic_xchg(&t->sleeps, false))
		return;
	do
		t->next = head;
	while (!atomic_cmpxchg(&q->roused, &head, t));
}

/* t, which is in no heap or sleeps, has woken. */
static void turn_wakes(struct queue *q, const struct turn_ops *ops, struct turn *t)
{
	if (t->heap)
		turn_out(t);
	t->ran = max(t->ran, q->now - min(q->now, ops->slice));
	turn_into(&q->woken, t, t->ran);
	q->found_awake[q->found_awake[0] != NULL] = t;
}

/* t, which is in no heap, goes where it belongs. It sleeps before it is asked about: see sched_pure.h. A CPU that rouses it in between
 * puts it on the list, or is about to: then it stays asleep until it is found there. */
static void turn_file(struct queue *q, const struct turn_ops *ops, struct turn *t)
{
	uint64_t at = UINT64_MAX;
	enum turn_state state;

	(void)atomic_xchg(&t->sleeps, true);
	state = ops->state(t, &at);
	if (state != TURN_SLEEPS && !atomic_xchg(&t->sleeps, false)) {
		state = TURN_SLEEPS;
		at = UINT64_MAX;
	}
	if (state == TURN_SLEEPS)
		turn_into(&q->asleep, t, max(at, q->since + 1)); /* not to be looked at twice in a choice */
	else if (state == TURN_WAKES)
		turn_wakes(q, ops, t);
	else
		turn_into(&q->ready, t, t->ran);
}

static void queue_begin(struct queue *q, const struct turn_ops *ops, uint64_t now)
{
	struct turn *had = q->has;

	q->since = now;
	q->found_awake[0] = q->found_awake[1] = NULL;
	q->has = NULL;
	if (had)
		turn_file(q, ops, had);
	q->waking = atomic_xchg(&q->roused, NULL);
}

/* Those that have been roused, or whose time has come, when the choice begins. False: not all yet. */
static bool queue_wake(struct queue *q, const struct turn_ops *ops, unsigned *left)
{
	struct turn *t;

	for (; q->waking; --*left) {
		if (!*left)
			return false;
		t = q->waking;
		q->waking = t->next;
		turn_wakes(q, ops, t);
	}
	for (t = turn_of(q->asleep.first); t && t->node.key <= q->since;
		t = turn_of(q->asleep.first), --*left) {
		if (!*left)
			return false;
		if (atomic_xchg(&t->sleeps, false)) {
			turn_wakes(q, ops, t);
		} else { /* it is on the list, for the next choice */
			turn_out(t);
			turn_into(&q->asleep, t, UINT64_MAX);
		}
	}
	return true;
}

/* The first of both heaps, taken out. False: not yet known. */
static bool queue_take(struct queue *q, const struct turn_ops *ops, unsigned left, struct turn **found)
{
	for (;; left--) {
		struct heap_node *ready = q->ready.first, *woken = q->woken.first;
		bool goes_on = ready && !(woken && heap_before(woken, ready));
		struct turn *t = turn_of(goes_on ? ready : woken);
		uint64_t at;

		*found = t;
		if (!t)
			return true;
		if (!goes_on && !left)
			return false;
		turn_out(t);
		if (goes_on || ops->state(t, &at) != TURN_SLEEPS)
			return true;
		turn_file(q, ops, t);
	}
}

bool queue_next(
	struct queue *q, const struct turn_ops *ops, uint64_t now, struct turn **found, uint64_t *ahead)
{
	unsigned left = QUEUE_PIECE;
	struct turn *t, **awake = q->found_awake;

	if (!q->since)
		queue_begin(q, ops, now);
	if (!queue_wake(q, ops, &left) || !queue_take(q, ops, left, found))
		return false;
	q->since = 0;
	t = q->has = *found;
	*ahead = UINT64_MAX;
	q->in_vain = NULL;
	if (!t)
		return true;
	if (q->woken.first)
		*ahead = q->woken.first->key - t->ran;
	for (unsigned i = 0; i < 2 && !q->in_vain; i++)
		if (awake[i] && awake[i]->heap == &q->woken)
			q->in_vain = awake[i];
	q->now = max(q->now, t->ran);
	t->node.order = q->turns++;
	return true;
}

uint64_t queue_wakes(const struct queue *q)
{
	if (atomic_load(&q->roused))
		return 0;
	return q->asleep.first ? q->asleep.first->key : UINT64_MAX;
}

struct turn *queue_pays(const struct queue *q, struct turn *last, bool last_sleeps, struct turn *next)
{
	if (last && last != next && last_sleeps)
		return last;
	if (last == next && q->in_vain)
		return q->in_vain;
	return next;
}

void queue_ran(struct queue *q, struct turn *t, uint64_t ticks)
{
	t->ran += ticks;
	if (!t->heap || t->heap == &q->asleep)
		return;
	heap_remove(t->heap, &t->node);
	turn_into(t->heap, t, t->ran);
}

unsigned vcpus_given(unsigned wanted, bool others_start)
{
	return others_start ? min(wanted, (unsigned)CPUS_MAX) : 1;
}
