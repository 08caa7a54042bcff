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
 * No clock is read when an exit begins. What root mode took since the timer was set is all the time less what the preemption
 * timer has counted; that sum holds earlier exits besides the last one. The last exit came after the look at the clock
 * before it, so it took no longer than the time since then, either. The smaller of the two is recorded: never less than the
 * stretch. Without the preemption timer only what happens outside the run loop is measured, and a stretch in the loop counts as fresh.
 */
static uint64_t root_since_armed(const struct cpu *c, uint64_t now)
{
	uint64_t guest = (c->armed_ticks - vmcs_read(&c->current->vmcs, VMCS_PREEMPTION_TIMER))
			 << vmx.preemption_shift;

	return now - c->armed_at > guest ? now - c->armed_at - guest : 0;
}

/* How long this stretch has lasted, at most. */
static uint64_t root_stretch(const struct vcpu *v, uint64_t now)
{
	const struct cpu *c = v->cpu;
	uint32_t since_look = (uint32_t)now - v->looked - v->last_look;
	uint64_t ticks;

	if (!c->armed)
		return now - c->root_from;
	if (!vmx.preemption_timer)
		return 0;
	ticks = root_since_armed(c, now);
	return now - c->armed_at <= UINT32_MAX ? min(ticks, (uint64_t)since_look) : ticks;
}

bool clock_fresh(const struct vcpu *v, uint64_t now)
{
	return root_stretch(v, now) < v->cpu->fresh_ticks;
}

static const char *last_reason(const struct vcpu *v)
{
	return v->exits ? exit_name(v->last_exits[(v->exits - 1) % LAST_EXITS]) : "the first entry";
}

/* v: the vCPU that is about to enter; NULL: none. */
static void note_stretch(struct cpu *c, uint64_t ticks, const struct vcpu *v)
{
	if (likely(ticks <= c->stretch_max))
		return;
	c->stretch_max = ticks;
	c->stretch_why = c->root_why || !v ? c->root_why : last_reason(v);
}

void clock_start(struct cpu *c)
{
	c->fresh_ticks = ns_to_tsc(CLOCK_FRESH_US * 1000ull);
	c->look_ticks = ns_to_tsc(CLOCK_LOOK_US * 1000ull);
	c->debt_ticks = ns_to_tsc(MMU_PAY_PERIOD_US * 1000ull);
	c->root_from = rdtsc();
	c->root_why = "the first turn";
}

void clock_leave(struct vcpu *v)
{
	struct cpu *c = v->cpu;
	uint64_t now = rdtsc();

	c->root_from = now - root_stretch(v, now);
	c->armed = false;
	if (!c->root_why)
		c->root_why = last_reason(v);
}

void clock_between_pieces(struct cpu *c)
{
	note_stretch(c, rdtsc() - c->root_from, NULL);
	c->root_from = rdtsc();
	c->root_why = "a turn's beginning";
}

void clock_idle_ends(struct cpu *c)
{
	c->root_from = rdtsc();
	c->root_why = "an idle CPU's turn";
}

void clock_report(enum log_level level)
{
	const struct cpu *most = cpus[0];

	for (unsigned i = 1; i < ncpus; i++)
		if (cpus[i]->stretch_max > most->stretch_max)
			most = cpus[i];
	log_at(level, "root stretch: at most %lu ticks, %lu us (%s, CPU %u)", most->stretch_max,
		tsc_to_ns(most->stretch_max) / 1000, most->stretch_why ? most->stretch_why : "none",
		most->id);
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
	v->last_look = 0;
	v->look_after = at > now ? (uint32_t)min(at - now, (uint64_t)UINT32_MAX) : 0;
}

static void set_timer(struct vcpu *v, uint64_t now)
{
	struct cpu *c = v->cpu;
	uint64_t ticks;

	note_stretch(c, root_stretch(v, now), v);
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

/* When v is to leave the guest, which has been out now. */
static uint64_t debt_deadline(const struct vcpu *v, uint64_t now)
{
	return mmu_reclaim_waiting(v->vm->mmu) ? min(v->due, now + v->cpu->debt_ticks) : v->due;
}

void clock_arm(struct vcpu *v)
{
	uint64_t at = min(vcpu_next_event(v), v->cpu->housekeeping), now = rdtsc();

	if (!v->cpu->armed)
		v->cpu->turn_entered = now;
	v->due = min(at, sched_turn_ends(v->cpu));
	v->deadline = debt_deadline(v, now);
	set_timer(v, now);
}

void clock_debt(struct vcpu *v)
{
	uint64_t now = rdtsc(), at = debt_deadline(v, now);

	if (v->deadline <= at)
		return;
	v->deadline = at;
	set_timer(v, now);
}

void __attribute__((noinline)) clock_passed(struct vcpu *v)
{
	uint64_t now = rdtsc();

	/* For debt alone it need not be brought out again so soon: this exit has just paid, be it a part of what was due. */
	if (now < v->due && !atomic_load(&v->mmu.requests)) {
		v->deadline = debt_deadline(v, now);
		set_timer(v, now);
		return;
	}
	/* What is due, or asked for, is done before the next entry, which sets the timer anew: this stretch goes on. */
	vcpu_request(v, REQ_EVENTS);
}
