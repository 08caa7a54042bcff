/* SPDX-License-Identifier: MIT */
/* Which CPU each vCPU is pinned to: machines with and without SMT, with VMs that name CPUs and VMs that do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hv/vm/place_pure.h"
#include "lib/bits.h"

static struct place p;

/* n CPUs, `threads` to a core, numbered as MADTs of small machines have them. */
static void machine(unsigned n, unsigned threads, bool same_vm)
{
	p = (struct place){ .usable = BITS(n - 1, 0), .same_vm = same_vm };
	for (unsigned i = 0; i < CPUS_MAX; i++)
		p.core[i] = i / threads;
}

static void vm(unsigned vcpus, uint64_t cpus)
{
	p.vm[p.nvms++] = (struct place_vm){ .vcpus = vcpus, .cpus = cpus };
}

static void on_cpus(unsigned id, unsigned n, const unsigned *want)
{
	assert_int_equal(p.vm[id].result, PLACE_DONE);
	assert_int_equal(p.vm[id].vcpus, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p.vm[id].cpu[i], want[i]);
}

#define ON(id, ...) on_cpus(id, ARRAY_SIZE(((unsigned[]){ __VA_ARGS__ })), (unsigned[]){ __VA_ARGS__ })

static void vcpus_go_where_there_are_fewest(void **state)
{
	(void)state;
	machine(4, 1, false);
	vm(3, 0);
	vm(2, 0);
	vm(1, 0);
	place_vms(&p);
	ON(0, 0, 1, 2);
	ON(1, 3, 0);
	ON(2, 1);
}

static void cpus_that_are_named_are_taken_in_turn(void **state)
{
	(void)state;
	machine(4, 1, false);
	vm(1, 0);
	vm(5, BIT(1) | BIT(3) | BIT(9));
	vm(1, BIT(9));
	place_vms(&p);
	ON(1, 1, 3, 1, 3, 1);
	ON(0, 0); /* the others were placed before it */
	assert_int_equal(p.vm[2].result, PLACE_NO_CPU);
}

static void cpus_that_cannot_run_guests_get_none(void **state)
{
	(void)state;
	machine(4, 1, false);
	p.usable &= ~BIT(1);
	vm(4, 0);
	vm(2, BITS(1, 0));
	place_vms(&p);
	ON(1, 0, 0);
	ON(0, 2, 3, 2, 3);
}

static void vcpus_spread_over_cores_before_threads(void **state)
{
	(void)state;
	machine(4, 2, false);
	vm(3, 0);
	vm(1, 0);
	place_vms(&p);
	ON(0, 0, 2, 1);
	ON(1, 3);
}

static void a_core_belongs_to_one_vm(void **state)
{
	(void)state;
	machine(4, 2, true);
	vm(1, BIT(0));
	vm(1, BIT(1));
	vm(1, BIT(2));
	vm(2, BITS(3, 2));
	vm(1, BIT(0)); /* the same thread is the same core, too */
	place_vms(&p);
	ON(0, 0);
	assert_true(p.vm[1].result == PLACE_CORE_TAKEN && p.vm[1].clash == 1 && p.vm[1].owner == 0);
	ON(2, 2);
	assert_true(p.vm[3].result == PLACE_CORE_TAKEN && p.vm[3].clash == 2 && p.vm[3].owner == 2);
	assert_true(p.vm[4].result == PLACE_CORE_TAKEN && p.vm[4].owner == 0);
	p.same_vm = false;
	place_vms(&p);
	ON(1, 1);
	ON(3, 2, 3);
}

static void a_vm_that_is_refused_takes_no_core(void **state)
{
	(void)state;
	machine(6, 2, true);
	vm(1, BIT(0));
	vm(2, BIT(2) | BIT(1)); /* CPU 1 is the first's, so CPU 2 is not taken either */
	vm(1, BIT(3));
	place_vms(&p);
	ON(0, 0);
	assert_int_equal(p.vm[1].result, PLACE_CORE_TAKEN);
	ON(2, 3);
}

/* Threads of a core need not have neighbouring numbers. */
static void siblings_are_known_by_their_core(void **state)
{
	(void)state;
	machine(4, 1, true);
	p.core[2] = 0;
	p.core[3] = 1;
	vm(1, BIT(0));
	vm(1, BIT(2));
	vm(2, 0);
	place_vms(&p);
	assert_int_equal(p.vm[1].result, PLACE_CORE_TAKEN);
	ON(2, 1, 3);
}

static void each_vm_gets_a_core_of_its_own(void **state)
{
	(void)state;
	machine(4, 2, true);
	vm(4, 0);
	vm(1, 0);
	vm(1, 0);
	place_vms(&p);
	ON(0, 0, 1, 0, 1);
	ON(1, 2);
	assert_int_equal(p.vm[2].result, PLACE_NO_CORE);
}

static void free_cores_go_to_the_vm_with_the_most_vcpus_for_each(void **state)
{
	(void)state;
	machine(10, 2, true);
	vm(1, 0);
	vm(4, 0);
	vm(3, 0);
	place_vms(&p); /* cores 0, 1, 2; then 3 to the second, 4 to the third */
	ON(0, 0);
	ON(1, 2, 6, 3, 7);
	ON(2, 4, 8, 5);
}

static void vms_that_name_cpus_choose_first(void **state)
{
	(void)state;
	machine(4, 2, true);
	vm(2, 0);
	vm(1, BIT(1));
	place_vms(&p);
	ON(0, 2, 3);
	ON(1, 1);
}

/* A core without siblings (an E-core, or one whose sibling is parked) is shared in time. */
static void lone_cpus_serve_any_vm(void **state)
{
	(void)state;
	machine(4, 2, true);
	p.usable = BITS(2, 0);
	vm(1, 0);
	vm(1, 0);
	vm(1, 0);
	vm(1, BIT(2));
	place_vms(&p);
	ON(0, 0);
	ON(1, 2);
	ON(2, 2);
	ON(3, 2);
}

/* Whatever lethe.conf says, on any machine: no two VMs on one core of several threads, and no VM without a reason. */
static void no_two_vms_share_a_core(void **state)
{
	(void)state;
	srand(3);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)rand() % 24;

		machine(n, 1 + (unsigned)rand() % 3, true);
		for (unsigned i = 1; i < 24; i++)
			if (!(rand() % 4))
				p.usable &= ~BIT(i);
		for (unsigned i = (unsigned)rand() % CONF_VMS_MAX; i; i--) {
			uint64_t pinned = BIT(rand() % 24);

			pinned |= BIT(rand() % 24);
			vm(1 + (unsigned)rand() % 7, rand() % 3 ? 0 : pinned);
		}
		place_vms(&p);
		for (unsigned a = 0; a < p.nvms; a++) {
			assert_true(p.vm[a].cpus ? p.vm[a].result != PLACE_NO_CORE
						 : p.vm[a].result == PLACE_DONE ||
							   p.vm[a].result == PLACE_NO_CORE);
			for (unsigned i = 0; p.vm[a].result == PLACE_DONE && i < p.vm[a].vcpus; i++) {
				unsigned c = p.vm[a].cpu[i], threads = 0;

				assert_true(p.usable & BIT(c));
				assert_true(!p.vm[a].cpus || p.vm[a].cpus & BIT(c));
				for (unsigned t = 0; t < CPUS_MAX; t++)
					threads += (p.usable & BIT(t)) && p.core[t] == p.core[c];
				for (unsigned b = 0; threads > 1 && b < a; b++)
					for (unsigned j = 0;
						p.vm[b].result == PLACE_DONE && j < p.vm[b].vcpus; j++)
						assert_int_not_equal(p.core[p.vm[b].cpu[j]], p.core[c]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vcpus_go_where_there_are_fewest),
		cmocka_unit_test(cpus_that_are_named_are_taken_in_turn),
		cmocka_unit_test(cpus_that_cannot_run_guests_get_none),
		cmocka_unit_test(vcpus_spread_over_cores_before_threads),
		cmocka_unit_test(a_core_belongs_to_one_vm),
		cmocka_unit_test(a_vm_that_is_refused_takes_no_core),
		cmocka_unit_test(siblings_are_known_by_their_core),
		cmocka_unit_test(each_vm_gets_a_core_of_its_own),
		cmocka_unit_test(free_cores_go_to_the_vm_with_the_most_vcpus_for_each),
		cmocka_unit_test(vms_that_name_cpus_choose_first),
		cmocka_unit_test(lone_cpus_serve_any_vm),
		cmocka_unit_test(no_two_vms_share_a_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
