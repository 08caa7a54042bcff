/* SPDX-License-Identifier: MIT */
/*
 * What `make bench` asks of the hypervisor itself. Compiled in with MEASURE=1 only: counting costs instructions on the
 * very paths that are measured, so tick figures come from a normal build, and counts from this one.
 */
#pragma once

#include "lib/types.h"

struct vmcs;

#ifdef MEASURE
/* VMREADs and VMWRITEs since the start; one CPU. (RDMSRs and WRMSRs: lib/x86.h) */
extern uint64_t measure_vmaccesses;
/* right before a VM entry, right after an exit, around an idle CPU's HLT */
void measure_entry(void);
void measure_exit(const struct vmcs *m);
void measure_idle(bool begin);
void measure_report(uint64_t exits); /* lines "measure NAME VALUE" */
/* HYPERCALL_COUNTER: accesses so far. which: enum hypercall_counter. */
int64_t measure_read(uint64_t which);
#define MEASURE_VMACCESS() (measure_vmaccesses++)
#else
#define MEASURE_VMACCESS() ((void)0)
static inline void measure_entry(void)
{
}
static inline void measure_exit(const struct vmcs *m)
{
}
static inline void measure_idle(bool begin)
{
}
static inline void measure_report(uint64_t exits)
{
}
static inline int64_t measure_read(uint64_t which)
{
	return -E_NOSUP;
}
#endif
