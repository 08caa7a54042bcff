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
#define ALL   8

static struct queue q;
static uint64_t ahead; /* as queue_next() said last */
static struct player {
	struct turn turn;
	enum turn_state state;
	uint64_t had;
} p[ALL];

static enum turn_state state_of(struct turn *t, void *arg)
{
	(void)arg;
	return container_of(t, struct player, turn)->state;
}

static struct player *next(void)
{
	struct turn *t = queue_next(&q, SLICE, state_of, NULL, &ahead);

	return t ? container_of(t, struct player, turn) : NULL;
}

static void runs(struct player *w, uint64_t ticks)
{
	w->state = TURN_GOES_ON;
	w->had += ticks;
	queue_ran(&w->turn, ticks);
}

static int setup(void **state)
{
	queue_init(&q);
	for (unsigned i = 0; i < ALL; i++)
		p[i] = (struct player){ .state = TURN_SLEEPS };
	return 0;
}

static void add(unsigned i, enum turn_state state)
{
	queue_add(&q, &p[i].turn);
	p[i].state = state;
}

static void no_vcpu_runs_where_all_sleep(void **state)
{
	assert_null(next());
	add(0, TURN_SLEEPS);
	assert_null(next());
	p[0].state = TURN_WAKES;
	assert_ptr_equal(next(), &p[0]);
	queue_remove(&p[0].turn);
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
		p[1].state = TURN_WAKES;
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
		p[1].state = TURN_WAKES;
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
	p[1].state = TURN_WAKES;
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
	p[0].state = TURN_WAKES;
	assert_ptr_equal(next(), &p[1]);
	assert_int_equal(ahead, 300);
	runs(&p[1], 200);
	assert_ptr_equal(next(), &p[1]);
	assert_int_equal(ahead, 100);
	runs(&p[1], 200);
	p[1].state = TURN_WAKES; /* both */
	assert_ptr_equal(next(), &p[0]);
	assert_int_equal(ahead, 100);
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
	p[1].state = TURN_WAKES;
	assert_ptr_equal(next(), &p[1]); /* it interrupts p[0] ... */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[1].turn), &p[1].turn);
	runs(&p[1], SLICE / 2);
	p[1].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[0]); /* ... and goes */
	assert_ptr_equal(queue_pays(&q, &p[1].turn, true, &p[0].turn), &p[1].turn);
	runs(&p[1], SLICE);
	p[1].state = TURN_WAKES;
	assert_ptr_equal(next(), &p[0]); /* it interrupts in vain: it has had more */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[1].turn);
	runs(&p[0], SLICE / 4);
	assert_ptr_equal(next(), &p[0]); /* once a wake-up: what else ends p[0]'s turn is p[0]'s affair */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[0].turn);
	p[1].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[0]);
	p[1].state = TURN_WAKES;
	assert_ptr_equal(next(), &p[0]); /* another wake-up */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, false, &p[0].turn), &p[1].turn);
	runs(&p[0], SLICE);
	p[0].state = TURN_SLEEPS;
	assert_ptr_equal(next(), &p[1]); /* p[0] gives way of its own accord */
	assert_ptr_equal(queue_pays(&q, &p[0].turn, true, &p[1].turn), &p[0].turn);
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
		T(where_no_other_vcpu_can_start_a_vm_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
