/* SPDX-License-Identifier: MIT */
/* Whose turn it is on a CPU that vCPUs share. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/host/sched_pure.h"
#include "lib/bits.h"

#define SLICE 1000
#define ALL   960

static struct queue q;
static uint64_t ahead, now; /* as queue_next() said last; TSC */
static struct player {
	struct turn turn;
	enum turn_state state;
	uint64_t had, wakes;
	struct player *roused_in_state;	   /* in the moment in which state_of() has looked at this one ... */
	unsigned looks_before, more_looks; /* ... after so many other looks, in so many more */
} p[ALL];
static unsigned asked, calls; /* how often state_of(), and queue_next() for one choice, were called */

static enum turn_state state_of(struct turn *t, uint64_t *at)
{
	struct player *w = container_of(t, struct player, turn), *other = w->roused_in_state;
	enum turn_state seen = w->state == TURN_SLEEPS && w->wakes <= now ? TURN_WAKES : w->state;

	asked++;
	*at = w->wakes;
	if (other && w->looks_before) {
		w->looks_before--;
	} else if (other) {
		if (!w->more_looks)
			w->roused_in_state = NULL;
		else
			w->more_looks--;
		other->state = TURN_WAKES;
		queue_rouse(&q, &other->turn);
	}
	return seen;
}

static const struct turn_ops ops = { .state = state_of, .slice = SLICE };

static struct player *next(void)
{
	struct turn *t;

	now++;
	asked = 0;
	for (calls = 1; !queue_next(&q, &ops, now, &t, &ahead); calls++)
		assert_in_range(calls, 1, 3 * ALL / QUEUE_PIECE);
	return t ? container_of(t, struct player, turn) : NULL;
}

static void wakes(struct player *w)
{
	w->state = TURN_WAKES;
	queue_rouse(&q, &w->turn);
}

static void runs(struct player *w, uint64_t ticks)
{
	w->state = TURN_GOES_ON;
	w->had += ticks;
	queue_ran(&q, &w->turn, ticks);
}

static int setup(void **state)
{
	q = (struct queue){ 0 };
	now = 1;
	for (unsigned i = 0; i < ALL; i++)
		p[i] = (struct player){ .state = TURN_SLEEPS, .wakes = UINT64_MAX };
	return 0;
}

static void add(unsigned i, enum turn_state state)
{
	queue_add(&q, &p[i].turn, state == TURN_SLEEPS);
	p[i].state = state;
}

static void no_vcpu_runs_where_all_sleep(void **state)
{
	assert_null(next());
	add(0, TURN_SLEEPS);
	assert_null(next());
	wakes(&p[0]);
	assert_ptr_equal(next(), &p[0]);
	queue_remove(&q, &p[0].turn);
	assert_null(next());
}

static void vcpus_that_compute_share_evenly(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		add(i, TURN_GOES_ON);
	for (unsigned n = 0; n < 300; n++)
		runs(next(), SLICE);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(p[i].had, 100 * SLICE);
}

static void among_equals_the_one_that_waits_longest(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		add(i, TURN_GOES_ON);
	for (unsigned n = 0; n < 9; n++)
		assert_ptr_equal(next(), &p[n % 3]);
}

/* It waits for an interrupt, deals with it, waits again: it never waits for the end of another's slice. */
static void a_vcpu_that_wakes_goes_before_one_that_computes(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_SLEEPS);
	for (unsigned n = 0; n < 100; n++) {
		assert_ptr_equal(next(), &p[0]);
		runs(&p[0], 30);
		wakes(&p[1]);
		assert_ptr_equal(next(), &p[1]);
		/* It keeps it until it is done, though it should be asked for in between. */
		runs(&p[1], 10);
		assert_ptr_equal(next(), &p[1]);
		runs(&p[1], 10);
		p[1].state = TURN_SLEEPS;
	}
}

/* Most of its time it computes; that it sleeps for an instant before each slice's end gives it no more than half. */
static void sleeping_for_an_instant_gains_nothing(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_GOES_ON);
	for (unsigned n = 0; n < 1000; n++) {
		struct player *w = next();

		runs(w, w == &p[1] ? SLICE - 1 : SLICE);
		wakes(&p[1]);
	}
	assert_in_range(p[1].had, p[0].had - 2 * SLICE, p[0].had + 2 * SLICE);
}

/* Neither one that has slept for an hour nor one that is new has the CPU to itself then. */
static void a_long_sleep_saves_up_no_time(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_SLEEPS);
	for (unsigned n = 0; n < 1000; n++)
		runs(next(), SLICE);
	add(2, TURN_GOES_ON);
	wakes(&p[1]);
	for (unsigned n = 0; n < 30; n++)
		runs(next(), SLICE);
	assert_in_range(p[0].had, 1008 * SLICE, 1011 * SLICE);
	assert_in_range(p[1].had, 9 * SLICE, 12 * SLICE);
	assert_in_range(p[2].had, 9 * SLICE, 11 * SLICE);
}

/* One that woke, but has had more: it comes as soon as the one that runs has had as much, not at the end of the slice. */
static void a_vcpu_that_wakes_and_had_more_waits_for_the_difference(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_GOES_ON);
	runs(next(), 300);
	assert_int_equal(ahead, UINT64_MAX); /* those that compute wait for the slice's end */
	wakes(&p[0]);
	assert_ptr_equal(next(), &p[1]);
	assert_int_equal(ahead, 300);
	runs(&p[1], 200);
	assert_ptr_equal(next(), &p[1]);
	assert_int_equal(ahead, 100);
	runs(&p[1], 200);
	wakes(&p[1]); /* both */
	assert_ptr_equal(next(), &p[0]);
	assert_int_equal(ahead, 100);
	runs(&p[0], 150);
	assert_ptr_equal(next(), &p[1]);
	p[1].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[0]);
	assert_int_equal(ahead, UINT64_MAX);
}

/* The vCPU that flooded the CPU with wake-ups pays for each switch to it and back, and for interrupting in vain. */
static void each_switch_is_billed_to_its_cause(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_SLEEPS);
	assert_ptr_equal(next(), &p[0]);
	assert_ptr_equal(queue_pays(&q, NULL, false, &p[0].turn), &p[0].turn);
	runs(&p[0], SLICE);
	wakes(&p[1]);
	assert_ptr_equal(next(), &p[1]); /* it interrupts p[0] ... */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[1].turn), &p[1].turn);
	runs(&p[1], SLICE / 2);
	p[1].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[0]); /* ... and goes */
	assert_ptr_equal(queue_pays(&q, &p[1].turn, true, &p[0].turn), &p[1].turn);
	runs(&p[1], SLICE);
	wakes(&p[1]);
	assert_ptr_equal(next(), &p[0]); /* it interrupts in vain: it has had more */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[1].turn);
	runs(&p[0], SLICE / 4);
	assert_ptr_equal(next(), &p[0]); /* once a wake-up: what else ends p[0]'s turn is p[0]'s affair */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[0].turn);
	runs(&p[0], SLICE);
	assert_ptr_equal(next(), &p[1]);
	runs(&p[1], SLICE);
	p[1].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[0]);
	wakes(&p[1]);
	assert_ptr_equal(next(), &p[0]); /* another wake-up */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[1].turn);
	runs(&p[0], SLICE);
	p[0].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[1]); /* p[0] gives way of its own accord */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, true, &p[1].turn), &p[0].turn);
}

/* Each is woken by one way: roused, or its time has come. None is asked about but those to which something happened. */
static void a_choice_looks_only_at_what_has_changed(void **state)
{
	for (unsigned i = 0; i < ALL; i++)
		add(i, i % 2 ? TURN_SLEEPS : TURN_GOES_ON);
	for (unsigned n = 0; n < 2000; n++) {
		runs(next(), SLICE);
		assert_in_range(asked, 0, 1); /* the one that had the CPU */
		assert_int_equal(calls, 1);
	}
	for (unsigned i = 0; i < ALL; i += 2)
		assert_in_range(p[i].had, 4 * SLICE, 5 * SLICE);
}

/* Of all that sleep, one is woken at a time, by its time or by another; it is found, and no other is. */
static void a_woken_vcpu_is_found(void **state)
{
	for (unsigned i = 0; i < ALL; i++)
		add(i, TURN_SLEEPS);
	assert_null(next());
	for (unsigned n = 0; n < 3000; n++) {
		struct player *w = &p[n * 271 % ALL];

		wakes(w);
		assert_int_equal(queue_wakes(&q), 0); /* an idle CPU does not halt */
		assert_ptr_equal(next(), w);
		queue_ran(&q, &w->turn, n % 7);
		w->state = TURN_SLEEPS;
		w->wakes = n % 3 ? UINT64_MAX : now + 3;
		assert_null(next());
		assert_int_equal(asked, 1);
		assert_int_equal(queue_wakes(&q), w->wakes);
		if (n % 3)
			continue;
		assert_null(next());
		assert_ptr_equal(next(), w);
		w->wakes = UINT64_MAX;
		assert_null(next());
	}
}

/* A timer is set sooner while its vCPU sleeps: the CPU looks again, and sleeps until the new time. */
static void a_timer_that_becomes_sooner_is_not_late(void **state)
{
	add(0, TURN_GOES_ON);
	assert_ptr_equal(next(), &p[0]);
	p[0].state = TURN_SLEEPS;
	p[0].wakes = 1000;
	assert_null(next());
	assert_int_equal(queue_wakes(&q), 1000);
	p[0].wakes = 500;
	queue_rouse(&q, &p[0].turn);
	assert_int_equal(queue_wakes(&q), 0);
	assert_null(next());
	assert_int_equal(queue_wakes(&q), 500);
	p[0].wakes = 2000; /* later needs no rousing: it is looked at once in vain */
	now = 499;
	assert_null(next());
	assert_int_equal(asked, 2);
	assert_int_equal(queue_wakes(&q), 2000);
	now = 1999;
	assert_ptr_equal(next(), &p[0]);
}

/* What another CPU does between the look at a vCPU that goes to sleep and the end of the choice. */
static void a_vcpu_roused_while_it_goes_to_sleep_is_not_lost(void **state)
{
	add(0, TURN_GOES_ON);
	add(1, TURN_SLEEPS);
	for (unsigned n = 0; n < 10; n++) {
		wakes(&p[0]);
		assert_ptr_equal(next(), &p[0]);
		p[0].state = TURN_SLEEPS;
		p[0].roused_in_state = &p[0]; /* too late for this look */
		assert_ptr_equal(next(), &p[0]);
		p[0].state = TURN_GOES_ON;
		p[0].roused_in_state = &p[0]; /* it can go on, but is found on the list */
		assert_ptr_equal(next(), &p[0]);
		p[0].state = TURN_SLEEPS;
		p[0].roused_in_state = &p[1];
		assert_ptr_equal(next(), &p[1]);
		p[1].state = TURN_SLEEPS;
		assert_null(next());
	}
	assert_int_equal(queue_wakes(&q), UINT64_MAX);
}

/* One that is on the list, or is about to be put there, is nowhere else: it could end meanwhile. */
static void a_vcpu_on_the_list_gets_no_turn_until_it_is_found_there(void **state)
{
	add(0, TURN_SLEEPS);
	queue_rouse(&q, &p[0].turn); /* for nothing, as the first look finds */
	p[0].roused_in_state = &p[0];
	p[0].looks_before = 1;
	assert_null(next());
	assert_int_equal(queue_wakes(&q), 0);
	assert_ptr_equal(next(), &p[0]);
	queue_remove(&q, &p[0].turn);
	assert_null(next());
	assert_int_equal(queue_wakes(&q), UINT64_MAX);

	/* The same, but the second look finds what it was roused for. */
	add(1, TURN_SLEEPS);
	queue_rouse(&q, &p[1].turn);
	p[1].roused_in_state = &p[1];
	p[1].more_looks = 1;
	assert_null(next());
	assert_ptr_equal(next(), &p[1]);
	queue_remove(&q, &p[1].turn);
	assert_null(next());
	assert_int_equal(queue_wakes(&q), UINT64_MAX);
}

/* However many wake at once, by either way and in vain, a call looks at a few; together they find the one that has had least. */
static void many_that_wake_are_looked_at_in_pieces(void **state)
{
	for (unsigned way = 0; way < 3; way++) {
		setup(state);
		for (unsigned i = 0; i < ALL; i++) {
			add(i, TURN_GOES_ON);
			p[i].turn.ran = 500 + (i + 77) * 271 % ALL;
		}
		for (unsigned i = 0; i < ALL; i++) {
			struct player *w = next();

			w->state = TURN_SLEEPS;
			w->wakes = way == 1 ? 10000 : UINT64_MAX;
		}
		assert_null(next());
		for (unsigned i = 0; i < ALL && way != 1; i++) {
			if (way == 0)
				wakes(&p[i]);
			else
				queue_rouse(&q, &p[i].turn); /* for nothing */
		}
		now = 10000;
		if (way == 2) {
			assert_null(next());
			assert_in_range(calls, ALL / QUEUE_PIECE, 2 * ALL / QUEUE_PIECE + 1);
			continue;
		}
		for (unsigned i = 0; i < ALL; i++) {
			struct player *w = next();

			assert_in_range(calls, 1, ALL / QUEUE_PIECE + 1);
			assert_int_equal(w->turn.ran, 500 + i);
			w->state = TURN_SLEEPS;
			w->wakes = UINT64_MAX;
		}
		assert_null(next());
	}
}

/* What a wake-up in vain cost is charged to a vCPU that waits: its place changes by that. */
static void a_charge_moves_the_one_that_waits(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		add(i, TURN_SLEEPS);
	for (unsigned i = 0; i < 3; i++)
		wakes(&p[i]);
	queue_ran(&q, &p[2].turn, 5); /* asleep still, by its place */
	assert_ptr_equal(next(), &p[0]);
	queue_ran(&q, &p[1].turn, 10);
	runs(&p[0], 20);
	assert_ptr_equal(next(), &p[2]);
	runs(&p[2], 20);
	assert_ptr_equal(next(), &p[1]);
	runs(&p[1], 20);
	queue_ran(&q, &p[0].turn, 8); /* it waits, but does not wake */
	assert_ptr_equal(next(), &p[2]);
}

/* Neither a SIPI nor the wakeup mailbox starts others. */
static void where_no_other_vcpu_can_start_a_vm_has_one(void **state)
{
	assert_int_equal(vcpus_given(1, true), 1);
	assert_int_equal(vcpus_given(2, true), 2);
	assert_int_equal(vcpus_given(CPUS_MAX, true), CPUS_MAX);
	assert_int_equal(vcpus_given(CPUS_MAX + 1, true), CPUS_MAX);
	assert_int_equal(vcpus_given(1, false), 1);
	assert_int_equal(vcpus_given(2, false), 1);
	assert_int_equal(vcpus_given(CPUS_MAX, false), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(no_vcpu_runs_where_all_sleep),
		T(vcpus_that_compute_share_evenly),
		T(a_vcpu_that_wakes_and_had_more_waits_for_the_difference),
		T(among_equals_the_one_that_waits_longest),
		T(a_vcpu_that_wakes_goes_before_one_that_computes),
		T(sleeping_for_an_instant_gains_nothing),
		T(a_long_sleep_saves_up_no_time),
		T(each_switch_is_billed_to_its_cause),
		T(a_choice_looks_only_at_what_has_changed),
		T(a_woken_vcpu_is_found),
		T(a_timer_that_becomes_sooner_is_not_late),
		T(a_vcpu_roused_while_it_goes_to_sleep_is_not_lost),
		T(a_vcpu_on_the_list_gets_no_turn_until_it_is_found_there),
		T(many_that_wake_are_looked_at_in_pieces),
		T(a_charge_moves_the_one_that_waits),
		T(where_no_other_vcpu_can_start_a_vm_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
