/* SPDX-License-Identifier: MIT */
#include "hv/clock.h"

#include "drivers/lapic.h"
#include "drivers/time.h"
#include "hv/exit/exit.h"
#include "hv/run.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"

/*
 * ---- how long root mode lasts ----
 *
 * No clock is read at an exit: what root mode took since the timer was set is all the time less what the preemption timer
 * has counted. That sum holds at most CLOCK_LOOK_US of earlier exits besides the last stretch, so what is recorded is
 * never less than the longest stretch and at most that much more. Without the preemption timer only what happens outside
 * the run loop is measured.
 */
static uint64_t root_so_far(const struct cpu *c, uint64_t now)
{
	uint64_t guest;

	if (!c->armed)
		return now - c->root_from;
	if (!vmx.preemption_timer)
		return 0;
	guest = (c->armed_ticks - vmcs_read(&c->current->vmcs, VMCS_PREEMPTION_TIMER))
		<< vmx.preemption_shift;
	return now - c->armed_at > guest ? now - c->armed_at - guest : 0;
}

/* v: the vCPU that is about to enter; NULL: none. */
static void note_stretch(struct cpu *c, uint64_t ticks, const struct vcpu *v)
{
	if (likely(ticks <= c->stretch_max))
		return;
	c->stretch_max = ticks;
	c->stretch_why = c->root_why || !v ? c->root_why
			 : v->exits	   ? exit_name(v->last_exits[(v->exits - 1) % LAST_EXITS])
					   : "the first entry";
}

void clock_start(struct cpu *c)
{
	c->look_ticks = ns_to_tsc(CLOCK_LOOK_US * 1000ull);
	c->root_from = rdtsc();
	c->root_why = "the first turn";
}

void clock_leave(struct vcpu *v)
{
	struct cpu *c = v->cpu;
	uint64_t now = rdtsc();

	c->root_from = now - root_so_far(c, now);
	c->armed = false;
}

void clock_idle_ends(struct cpu *c)
{
	c->root_from = rdtsc();
	c->root_why = "an idle CPU's turn";
}

void clock_report(void)
{
	const struct cpu *most = cpus[0];

	for (unsigned i = 1; i < ncpus; i++)
		if (cpus[i]->stretch_max > most->stretch_max)
			most = cpus[i];
	log_debug("root: the longest stretch was %lu ticks, on CPU %u: %s", most->stretch_max, most->id,
		most->stretch_why ? most->stretch_why : "none");
}

/* ---- the timer ---- */

static void lapic_timer_set(struct cpu *c, uint64_t at)
{
	if (at == c->timer_at)
		return;
	c->timer_at = at;
	lapic_timer_at(at);
}

void clock_idle_begins(struct cpu *c, uint64_t wake)
{
	note_stretch(c, rdtsc() - c->root_from, NULL);
	lapic_timer_set(c, wake);
}

/* The exits' look at the clock is due at `at`; earlier, where that is too far away for 32 bits. */
static void look_later(struct vcpu *v, uint64_t now, uint64_t at)
{
	v->looked = (uint32_t)now;
	v->look_after = at > now ? (uint32_t)min(at - now, (uint64_t)UINT32_MAX) : 0;
}

static void set_timer(struct vcpu *v, uint64_t now)
{
	struct cpu *c = v->cpu;
	uint64_t ticks;

	note_stretch(c, root_so_far(c, now), v);
	c->root_why = NULL;
	c->armed = true;
	if (!vmx.preemption_timer) {
		lapic_timer_set(c, v->deadline);
		look_later(v, now, v->deadline);
		return;
	}
	ticks = (v->deadline > now ? v->deadline - now : 0) >> vmx.preemption_shift;
	c->armed_at = now;
	c->armed_ticks = min(ticks, (uint64_t)UINT32_MAX);
	vmcs_write(&v->vmcs, VMCS_PREEMPTION_TIMER, c->armed_ticks);
	look_later(v, now, min(v->deadline, now + c->look_ticks));
}

void clock_arm(struct vcpu *v)
{
	uint64_t at = min(vcpu_next_event(v), v->cpu->housekeeping);

	v->deadline = min(at, sched_turn_ends(v->cpu));
	set_timer(v, rdtsc());
}

void __attribute__((noinline)) clock_passed(struct vcpu *v)
{
	uint64_t now = rdtsc();

	if (now >= v->deadline)
		vcpu_request(v,
			REQ_EVENTS); /* what is due is done before the next entry, which sets the timer anew */
	else
		set_timer(v, now);
}
