/* SPDX-License-Identifier: MIT */
/*
 * What each CPU does: its vCPUs in turn; when none can run, a batch of reclaim, then it halts until an interrupt. A vCPU
 * never changes its CPU, so there is nothing to balance and no lock but the queue's.
 *
 * Whose turn it is says hv/sched_rules.h. It is asked when the slice ends, when the one who runs halts or spins, and when
 * another wakes: by its timer (others_wake) or by somebody's kick (look_again).
 */
#include "drivers/console.h"
#include "drivers/lapic.h"
#include "drivers/power.h"
#include "drivers/time.h"
#include "hv/main.h"
#include "hv/run.h"
#include "hv/trap.h"
#include "hv/vmx_cpu.h"
#include "lib/log.h"
#include "lib/trace.h"

void sched_add(struct vcpu *v)
{
	struct cpu *c = v->cpu;

	spin_lock(&c->list_lock);
	queue_add(&c->queue, &v->turn);
	atomic_store(&c->nvcpus, c->nvcpus + 1);
	/* Who runs there already had the CPU to itself: from now on its slices end. */
	list_for_each (other, &c->queue.turns, struct vcpu, turn.in_queue) {
		vcpu_request(other, REQ_EVENTS);
		vcpu_kick(other);
	}
	spin_unlock(&c->list_lock);
}

void sched_remove(struct vcpu *v)
{
	struct cpu *c = v->cpu;

	spin_lock(&c->list_lock);
	queue_remove(&v->turn);
	atomic_store(&c->nvcpus, c->nvcpus - 1);
	spin_unlock(&c->list_lock);
}

bool sched_shared(const struct cpu *c)
{
	return atomic_load_relaxed(&c->nvcpus) > 1;
}

/* Makes v the one whose state is in this CPU. */
static void switch_to(struct cpu *c, struct vcpu *v)
{
	if (c->current == v)
		return;
	if (c->current)
		guest_cpu_save(&c->current->guest);
	c->current = v;
	trace_context[c->id] = (struct trace_context){ (uint16_t)v->vm->id, (uint16_t)v->index };
	mitigate_switch();
	if (!v->built && !vmclear(v->vmcs)) /* brings a fresh region into the state that VMPTRLD expects */
		panic("VMCLEAR of vm %s vcpu %u failed", v->vm->name, v->index);
	if (!vmptrld(v->vmcs))
		panic("VMPTRLD of vm %s vcpu %u failed", v->vm->name, v->index);
	if (!v->built) {
		vmcs_init(v);
		guest_cpu_load(&v->guest);
		vmcs_set_state(v, &v->vm->start);
		v->built = true;
		TRACE(TRACE_BOOT, "vm %lu vcpu %lu: first entry, on CPU %lu", v->vm->id, v->index, c->id);
		if (!v->index)
			v->vm->started = rdtsc() + v->vm->tsc_offset;
	} else {
		guest_cpu_load(&v->guest);
	}
	v->deadline = 0;
	vcpu_request(v, REQ_EVENTS);
}

/* Its state leaves this CPU for good. */
static void retire(struct cpu *c, struct vcpu *v)
{
	v->run = VCPU_STOPPED;
	sched_remove(v);
	if (v->built)
		vmclear(v->vmcs);
	if (c->current == v)
		c->current = NULL;
	atomic_fetch_add(&v->vm->stopped, 1); /* last: from here on CPU 0 may take it apart */
}

bool vcpu_runnable(struct vcpu *v)
{
	if (atomic_load(&v->mmu.requests) & REQ_ALL & ~REQ_YIELD || v->run == VCPU_RUNNING)
		return true;
	return vcpu_next_event(v) <= rdtsc();
}

void sched_look_again(struct cpu *c)
{
	if (c->current)
		vcpu_request(c->current, REQ_EVENTS | REQ_YIELD);
}

static uint64_t slice(void)
{
	return ns_to_tsc(SLICE_US * 1000ull);
}

static enum turn_state state(struct turn *t, void *arg)
{
	struct vcpu *v = container_of(t, struct vcpu, turn);
	struct cpu *c = arg;

	if (v->run == VCPU_RUNNING)
		return TURN_GOES_ON;
	if (vcpu_runnable(v))
		return TURN_WAKES;
	c->others_wake = min(c->others_wake, vcpu_next_event(v));
	return TURN_SLEEPS;
}

/* The one whose turn it is; NULL if none can run. */
static struct vcpu *pick(struct cpu *c)
{
	struct turn *t;

	c->others_wake = UINT64_MAX;
	spin_lock(&c->list_lock);
	t = queue_next(&c->queue, slice(), state, c);
	spin_unlock(&c->list_lock);
	return t ? container_of(t, struct vcpu, turn) : NULL;
}

/* Debt of VMs whose vCPUs sleep is paid by whoever idles. */
static bool reclaim_one(void)
{
	for (unsigned i = 0; i < nvms; i++)
		if (vms[i] && mmu_reclaim_waiting(vms[i]->mmu) &&
			mmu_reclaim(vms[i]->mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES))
			return true;
	return false;
}

static void idle(struct cpu *c)
{
	uint64_t wake = c->housekeeping;

	/* The others may be taking a VM apart: only CPU 0, which does that, looks into VMs here. */
	if (!c->id && reclaim_one())
		return;
	mmu_cpu_idle(c->id);
	/* The exchange comes before the last look at the requests: whoever asks later sees us idle, and interrupts. */
	(void)atomic_xchg(&c->idle, true);
	spin_lock(&c->list_lock);
	list_for_each (v, &c->queue.turns, struct vcpu, turn.in_queue) {
		if (vcpu_runnable(v))
			wake = 0;
		wake = min(wake, vcpu_next_event(v));
	}
	spin_unlock(&c->list_lock);
	if (wake > rdtsc()) {
		lapic_timer_at(wake);
		/* STI holds interrupts back for one instruction: none can come between it and HLT. */
		measure_idle(true);
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		measure_idle(false);
	}
	atomic_store(&c->idle, false);
	mmu_cpu_quiescent(c->id);
}

static bool ended(const struct vm *vm)
{
	return vm && atomic_load(&vm->ending) && atomic_load(&vm->stopped) == vm->nvcpus;
}

static void reap(void)
{
	unsigned live = 0;

	for (unsigned i = 0; i < nvms; i++) {
		struct vm *vm = vms[i];

		if (ended(vm)) {
			vms[i] = NULL;
			vm_destroy(vm);
		}
		live += vms[i] != NULL;
	}
	if (!live)
		machine_end();
}

bool housekeeping(struct cpu *c)
{
	c->housekeeping = c->id ? UINT64_MAX : rdtsc() + ns_to_tsc(HOUSEKEEPING_US * 1000ull);
	if (c->id)
		return false;
	console_poll();
	vm_console_poll();
	host_nmi_report();
	for (unsigned i = 0; i < nvms; i++)
		if (ended(vms[i]))
			return true;
	return false;
}

void cpu_main(struct cpu *c)
{
	if (vmx_enter_root(c)) {
		if (!c->id)
			panic("CPU 0 cannot run guests (the line above says why)");
		log_warn("CPU %u cannot run guests", c->id);
		atomic_store(&c->refused, true);
		for (;;)
			cpu_halt();
	}
	atomic_store(&c->ready, true);
	c->housekeeping = c->id ? UINT64_MAX : 0;
	if (!c->id)
		machine_ready();
	for (;;) {
		struct vcpu *v;
		uint64_t from;

		mmu_cpu_quiescent(c->id);
		if (rdtsc() >= c->housekeeping)
			housekeeping(c);
		if (!c->id)
			reap();
		v = pick(c);
		if (!v) {
			idle(c);
			continue;
		}
		switch_to(c, v);
		from = rdtsc();
		v->slice_end = from + slice();
		if (!atomic_load(&v->vm->ending))
			vcpu_run(v);
		queue_ran(&v->turn, rdtsc() - from);
		if (atomic_load(&v->vm->ending))
			retire(c, v);
	}
}
