/* SPDX-License-Identifier: MIT */
/* The CPU number of a hosted thread: 0 unless the thread sets another. */
#include "tests/support/fakes/cpu_id.h"

_Thread_local unsigned test_cpu_id;

unsigned this_cpu_id(void)
{
	return test_cpu_id;
}
