/* SPDX-License-Identifier: MIT */
#include "hv/vmx/measure.h"

#ifdef MEASURE
#include "hv/vmx/vmcs.h"
#include "lib/exit_reasons.h"
#include "lib/hypercalls.h"
#include "lib/log.h"
#include "lib/x86.h"

uint64_t measure_vmaccesses, measure_msraccesses;
static uint64_t start, entered, left, idling, guest_ticks, idle_ticks;

/* What was done for each exit reason: from the exit to the next entry, less what the CPU idled in between. */
static struct {
	uint64_t exits, ticks, idle_before;
} by_reason[EXIT_REASONS];
static unsigned reason;

void measure_entry(void)
{
	entered = rdtsc();
	if (!start)
		start = entered;
	else
		by_reason[reason].ticks += entered - left - (idle_ticks - by_reason[reason].idle_before);
}

void measure_exit(const struct vmcs *m)
{
	left = rdtsc();
	guest_ticks += left - entered;
	reason = (unsigned)min(vmcs_read(m, VMCS_EXIT_REASON) & 0xffff, EXIT_REASONS - 1ul);
	measure_vmaccesses--; /* this one would not be there */
	by_reason[reason].exits++;
	by_reason[reason].idle_before = idle_ticks;
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
	return (int64_t)(which == COUNTER_MSRACCESSES ? measure_msraccesses : measure_vmaccesses);
}

/* From the first entry to now. Root is what neither the guest nor an idle CPU's halt accounts for. */
void measure_report(uint64_t exits)
{
	uint64_t all = rdtsc() - start;

	log_info("measure all_ticks %lu", all);
	log_info("measure guest_ticks %lu", guest_ticks);
	log_info("measure idle_ticks %lu", idle_ticks);
	log_info("measure root_ticks %lu", all - guest_ticks - idle_ticks);
	log_info("measure exits %lu", exits);
	for (unsigned i = 0; i < EXIT_REASONS; i++)
		if (by_reason[i].exits)
			log_info("measured: %8lu exits, %10lu ticks in root, %6lu each: %s",
				by_reason[i].exits, by_reason[i].ticks,
				by_reason[i].ticks / by_reason[i].exits, exit_name(i));
}
#endif
