/* SPDX-License-Identifier: MIT */
/*
 * A CPU's clock: makes the vCPU that runs leave the guest when something is due, and measures how long root mode lasts.
 *
 *	set              look            look                  due
 *	 |--guest--|root|--guest-|-root-|----guest----|--root--|
 *	 <-- at most CLOCK_LOOK_US -->^ the timer is set anew
 *
 * The VMX-preemption timer counts guest time only: each stretch in root mode makes it late by that stretch. So the clock
 * is looked at after every exit (one RDTSC and a comparison), and once CLOCK_LOOK_US have passed since the timer was set,
 * it is set anew. What is due comes late by at most that time and one exit, whatever the guest does. Where there is no
 * preemption timer that counts right, the local APIC's timer is used, which goes on in root mode.
 */
#pragma once

#include "hv/vm/vcpu.h"
#include "lib/log.h"

#define CLOCK_LOOK_US	90
#define ROOT_STRETCH_US 200 /* no stretch in root mode is to be longer */
#define CLOCK_FRESH_US	30  /* see clock_fresh() */

/* The vCPU is about to enter: has it leave at its next event, when its turn ends, or for the CPU's housekeeping. Its
 * VMCS is current; interrupts are off. */
void clock_arm(struct vcpu *v);
/* True if this stretch in root mode is shorter than CLOCK_FRESH_US so far, so that there is time for long work in it. What is
 * put off stays due, so the next exit comes at once. Where exits are slow, it may never be true. v's VMCS is current. */
bool clock_fresh(const struct vcpu *v, uint64_t now);
/* The slow half of clock_look(). */
void clock_passed(struct vcpu *v);
/* After each exit, handled. Returns what v->last_look is to be at the next entry. */
static inline uint32_t clock_look(struct vcpu *v)
{
	/* The low half of the TSC is enough: it goes round once in a second or two, and the preemption timer ends the guest
	 * at the deadline whatever is seen here. */
	uint32_t since = rdtsc_low() - v->looked;

	if (likely(since < v->look_after))
		return since;
	clock_passed(v);
	return 0;
}

/* The vCPU is about to enter, the clock is armed, and debt of its MMU waits: it leaves the guest within MMU_PAY_PERIOD_US, to
 * pay some. */
void clock_debt(struct vcpu *v);

/* Once, when this CPU begins to run vCPUs. */
void clock_start(struct cpu *c);
/* The vCPU leaves its run loop; its VMCS is still current. */
void clock_leave(struct vcpu *v);
/* This CPU, in root mode: begins to idle, or ends it. */
void clock_idle_begins(struct cpu *c, uint64_t wake);
void clock_idle_ends(struct cpu *c);
/* This CPU has done a piece of longer work, and interrupts and vCPUs get their turn before the next. */
void clock_between_pieces(struct cpu *c);
/* What this CPU does until its next entry, should it turn out to be long. why: lives for ever; NULL: what it was that
 * led to the last exit. */
static inline void clock_reason(struct cpu *c, const char *why)
{
	c->root_why = why;
}
/* The local APIC's timer has fired. */
static inline void clock_fired(struct cpu *c)
{
	c->timer_at = 0;
}
/* Logs the longest stretch of all CPUs so far, and what it was for, at this level. */
void clock_report(enum log_level level);
