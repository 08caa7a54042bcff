/* SPDX-License-Identifier: MIT */
/* The number of this CPU, in the hypervisor. A hosted program has tests/support/fakes/cpu_id.c instead. */
#include "lib/cpu_id.h"

unsigned this_cpu_id(void)
{
	unsigned id;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(CPU_ID_AT));
	return id;
}
