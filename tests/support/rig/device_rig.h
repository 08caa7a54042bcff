/* SPDX-License-Identifier: MIT */
/* A rig for the tests of one device: a VM of RIG_VCPUS vCPUs without memory, made anew for each test. */
#pragma once

#include <cmocka.h>

#include "tests/support/fakes/fake_vm.h"

#ifndef RIG_VCPUS
#define RIG_VCPUS 1
#endif

static struct fake_vm *f;

static inline int setup(void **state)
{
	f = fake_vm_open(RIG_VCPUS, NULL);
	return 0;
}

static inline int teardown(void **state)
{
	fake_vm_close(f);
	return 0;
}
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
