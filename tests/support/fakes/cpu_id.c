/* SPDX-License-Identifier: MIT */
/* Which CPU a hosted thread plays: 0 unless it says otherwise. */
#include "tests/support/fakes/cpu_id.h"

_Thread_local unsigned test_cpu_id;

unsigned this_cpu_id(void)
{
	return test_cpu_id;
}
