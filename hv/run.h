/* SPDX-License-Identifier: MIT */
/* The run loop and the scheduler around it. */
#pragma once

#include "hv/vm/vm.h"

/* Runs v on this CPU until it halts, stops, or its time slice ends. Interrupts off. */
void vcpu_run(struct vcpu *v);
/* Would vcpu_run() enter the guest, or end? Its own CPU; not while it runs. */
bool vcpu_runnable(struct vcpu *v);
/* TSC of the host at which it wants to be looked at again; UINT64_MAX: only if it is asked to. */
uint64_t vcpu_next_event(const struct vcpu *v);

/* hv/sched.c */
/* Where a CPU lives from its start on. */
void cpu_main(struct cpu *c) __noreturn;
void sched_add(struct vcpu *v); /* CPU 0; any time */
/* Debt of some VM's MMU waits, and this CPU runs guests: wakes one that idles, at most once in MMU_PAY_PERIOD_US. */
void sched_debt(struct cpu *c);
/* Host TSC at which the turn of the vCPU that runs on this CPU ends; UINT64_MAX where it has the CPU to itself. */
uint64_t sched_turn_ends(const struct cpu *c);
/* What a CPU does at the host's timer besides: the console. True if there is something for cpu_main(): a VM to be
 * taken apart. */
bool housekeeping(struct cpu *c);

#define SLICE_US	10000
#define GRANULE_US	200 /* a turn is not cut shorter for another that wakes: switching costs */
#define HOUSEKEEPING_US 10000
#define REAP_US		10  /* of taking a VM apart between two turns */
#define REAP_EVERY_US	400 /* from one such stretch to the next, if a vCPU wants to run in between */
