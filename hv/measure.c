/* SPDX-License-Identifier: MIT */
#include "hv/measure.h"

#ifdef MEASURE
#include "hv/vm.h"
#include "lib/log.h"

uint64_t measure_vmaccesses, measure_msraccesses;
static uint64_t start, entered, idling, guest_ticks, idle_ticks;

void measure_entry(void)
{
	entered = rdtsc();
	if (!start)
		start = entered;
}

void measure_exit(void)
{
	guest_ticks += rdtsc() - entered;
}

void measure_idle(bool begin)
{
	if (begin)
		idling = rdtsc();
	else
		idle_ticks += rdtsc() - idling;
}

int64_t measure_read(uint64_t which)
{
	return (int64_t)(which ? measure_msraccesses : measure_vmaccesses);
}

/* From the first entry to now. Root is what neither the guest nor an idle CPU's halt accounts for. */
void measure_report(const struct vm *vm)
{
	uint64_t all = rdtsc() - start, exits = 0;

	for (unsigned i = 0; i < vm->nvcpus; i++)
		exits += vm->vcpu[i]->exits;
	log_info("measure all_ticks %lu", all);
	log_info("measure guest_ticks %lu", guest_ticks);
	log_info("measure idle_ticks %lu", idle_ticks);
	log_info("measure root_ticks %lu", all - guest_ticks - idle_ticks);
	log_info("measure exits %lu", exits);
}
#endif
