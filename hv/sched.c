/* SPDX-License-Identifier: MIT */
/*
 * What each CPU does: its vCPUs in turn; when none can run, a batch of reclaim, then it halts until an interrupt. A vCPU
 * never changes its CPU, so there is nothing to balance and no lock but the queue's, for those that are added.
 *
 * Whose turn it is says hv/host/sched_pure.h. It is asked when the slice ends, when the vCPU that runs halts or spins, and, at
 * the earliest after GRANULE_US, when another wakes: by its timer (others_wake) or by a kick (look_again).
 */
#include "drivers/console/console.h"
#include "drivers/lapic.h"
#include "drivers/power.h"
#include "drivers/time.h"
#include "hv/clock.h"
#include "hv/host/mitigate.h"
#include "hv/host/trap.h"
#include "hv/main.h"
#include "hv/run.h"
#include "hv/vm/mitigate_vcpu.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"
#include "lib/trace.h"

/* Under the queue's lock, which vcpu_kick() does not take. */
static void look_soon(struct vcpu *v)
{
	vcpu_request(v, REQ_EVENTS);
	vcpu_kick(v);
}

void sched_add(struct vcpu *v)
{
	struct cpu *c = v->cpu;
	struct turn *has;

	spin_lock(&c->list_lock);
	queue_add(&c->queue, &v->turn, v->run != VCPU_RUNNING);
	atomic_store(&c->nvcpus, c->nvcpus + 1);
	has = c->queue.has;
	/* The vCPU that runs there had the CPU to itself: from now on its slices end. */
	if (has)
		look_soon(container_of(has, struct vcpu, turn));
	look_soon(v);
	spin_unlock(&c->list_lock);
}

/* v's own CPU. */
static void sched_remove(struct vcpu *v)
{
	struct cpu *c = v->cpu;

	spin_lock(&c->list_lock);
	queue_remove(&c->queue, &v->turn);
	atomic_store(&c->nvcpus, c->nvcpus - 1);
	spin_unlock(&c->list_lock);
}

/* Brings v's state into this CPU. */
static void switch_to(struct cpu *c, struct vcpu *v)
{
	if (c->current == v)
		return;
	if (c->current)
		guest_cpu_save(&c->current->guest);
	c->current = v;
	trace_context[c->id] = (struct trace_context){ (uint16_t)v->vm->id, (uint16_t)v->index };
	atomic_fetch_and(&v->mmu.requests, ~REQ_FLUSH); /* the flush of the switch is one, too */
	mitigate_switch();
	vmcs_load(&v->vmcs);
	if (!v->vmcs.filled) {
		struct vcpu_state s;

		vmcs_init(v);
		guest_cpu_load(&v->guest);
		vcpu_state_power_up(&s, guest_cpuid_features(v->vm->cpuid)->eax);
		vmcs_set_state(v, v->index ? &s : &v->vm->start);
		v->vmcs.filled = true;
		TRACE(TRACE_BOOT, "vm %lu vcpu %lu: first entry, on CPU %lu", v->vm->id, v->index, c->id);
		if (!v->index) {
			life_change(&v->vm->life, LIFE_RUNNING, 0, 0);
			v->vm->started = rdtsc() + v->vm->tsc_offset;
		}
	} else {
		guest_cpu_load(&v->guest);
	}
	mitigate_spec_ctrl(v, v->guest.spec_ctrl);
	vcpu_request(v, REQ_EVENTS);
}

/* Its state leaves this CPU for good. */
static void retire(struct cpu *c, struct vcpu *v)
{
	atomic_store(&v->run, VCPU_STOPPED);
	sched_remove(v);
	if (v->vmcs.filled)
		vmcs_leave(&v->vmcs);
	if (c->current == v)
		c->current = NULL;
	c->last = NULL;
	atomic_fetch_add(&v->vm->stopped, 1); /* last: from here on CPU 0 may take it apart */
}

uint64_t sched_turn_ends(const struct cpu *c)
{
	if (!sched_shared(c))
		return UINT64_MAX;
	return min(c->turn_ends, max(c->others_wake, c->turn_began + c->granule));
}

static enum turn_state state(struct turn *t, uint64_t *at)
{
	struct vcpu *v = container_of(t, struct vcpu, turn);

	if (v->run == VCPU_RUNNING)
		return TURN_GOES_ON;
	if (vcpu_runnable(v))
		return TURN_WAKES;
	*at = v->run == VCPU_WAIT_SIPI ? UINT64_MAX : vcpu_next_event(v);
	return TURN_SLEEPS;
}

/* Chooses the vCPU that has the next turn; *v: NULL if none can run. False: it is not done yet (queue_next()). */
static bool pick(struct cpu *c, struct vcpu **v)
{
	const struct turn_ops ops = { .state = state, .slice = c->slice };
	struct turn *t;
	uint64_t now = rdtsc(), ahead;
	bool done;

	spin_lock(&c->list_lock);
	done = queue_next(&c->queue, &ops, now, &t, &ahead);
	c->others_wake = queue_wakes(&c->queue);
	spin_unlock(&c->list_lock);
	if (!done)
		return false;
	if (ahead != UINT64_MAX)
		c->others_wake = min(c->others_wake, rdtsc() + ahead);
	*v = t ? container_of(t, struct vcpu, turn) : NULL;
	return true;
}

/* The first VM that has ended, as its place in vms[]; nvms: none. */
static unsigned ended(void)
{
	unsigned i = 0;

	while (i < nvms &&
		!(vms[i] && life_ended(&vms[i]->life) && atomic_load(&vms[i]->stopped) == vms[i]->nvcpus))
		i++;
	return i;
}

/* Held by an idle CPU that reclaims for a VM, which need not have a vCPU on it, and by CPU 0 where it takes a VM apart. */
static struct spinlock apart_lock = SPINLOCK_INIT;

/* An idle CPU gives back a batch of obsolete pages, of any VM. False: there is none that may be given back now, or another CPU
 * is at it. */
static bool reclaim_one(void)
{
	bool any = false;

	if (!spin_trylock(&apart_lock))
		return false;
	for (unsigned i = 0; i < nvms && !any; i++)
		any = vms[i] && !life_ended(&vms[i]->life) && mmu_reclaim_waiting(vms[i]->mmu) &&
		      mmu_reclaim(vms[i]->mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
	spin_unlock(&apart_lock);
	return any;
}

void sched_debt(struct cpu *c)
{
	uint64_t now = rdtsc();

	if (now - c->debt_called < c->debt_ticks)
		return;
	c->debt_called = now;
	for (unsigned i = 0; i < ncpus; i++)
		if (atomic_load(&cpus[i]->idle)) {
			lapic_ipi(cpus[i]->apic_id, VEC_KICK);
			return;
		}
}

/* Between two pieces of work in root mode: interrupts that have come are taken, and the next stretch begins. */
static void let_interrupts_in(struct cpu *c)
{
	clock_between_pieces(c);
	__asm__ volatile("sti; nop; cli" ::: "memory");
}

static void idle(struct cpu *c)
{
	uint64_t wake = c->housekeeping;

	/* Only CPU 0 takes VMs apart. */
	if ((!c->id && ended() < nvms) || reclaim_one()) {
		mitigate_other_vm();
		let_interrupts_in(c);
		return;
	}
	mmu_cpu_idle(c->id);
	/* The exchange comes before the last look at those that were roused: a CPU that rouses one later sees this one idle, and
	 * interrupts it. */
	(void)atomic_xchg(&c->idle, true);
	spin_lock(&c->list_lock);
	wake = min(wake, queue_wakes(&c->queue));
	spin_unlock(&c->list_lock);
	if (wake > rdtsc()) {
		clock_idle_begins(c, wake);
		/* STI holds interrupts back for one instruction: none can come between it and HLT. */
		measure_idle(true);
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		measure_idle(false);
		clock_idle_ends(c);
	}
	atomic_store(&c->idle, false);
	mmu_cpu_quiescent(c->id);
}

/*
 * Takes apart what has ended, one VM after the other, for REAP_US at a time. As long as there is more to do, the vCPU that
 * runs on CPU 0 is interrupted for it every REAP_EVERY_US.
 */
static void reap(struct cpu *c)
{
	uint64_t slice = ns_to_tsc(REAP_US * 1000ull), start;
	unsigned i = ended(), live = 0;
	const char *piece;

	if (i < nvms) {
		mitigate_other_vm();
		let_interrupts_in(c);
	}
	start = rdtsc();
	while (i < nvms && rdtsc() - start < slice) {
		/* Another CPU may be in the midst of a batch. */
		if (!spin_trylock(&apart_lock)) {
			cpu_relax();
			continue;
		}
		if (vm_take_apart(vms[i], &piece)) {
			vms[i] = NULL;
			i = ended();
			clock_report(LOG_DEBUG);
		}
		spin_unlock(&apart_lock);
		clock_reason(c, piece);
	}
	if (i < nvms)
		c->housekeeping = min(c->housekeeping, rdtsc() + ns_to_tsc(REAP_EVERY_US * 1000ull));
	while (live < nvms && !vms[live])
		live++;
	if (live == nvms)
		machine_end();
}

bool housekeeping(struct cpu *c)
{
	c->housekeeping = c->id ? UINT64_MAX : rdtsc() + ns_to_tsc(HOUSEKEEPING_US * 1000ull);
	if (c->id)
		return false;
	mitigate_other_vm();
	console_poll();
	c->housekeeping = min(c->housekeeping, console_draw_due());
	vm_console_poll();
	host_nmi_report();
	return ended() < nvms;
}

/* Gives the next vCPU its turn. What it costs to choose it and to bring its state here, flushes included, is charged to its
 * cause (queue_pays()). So is what the turn takes, whatever its vCPU does, before the first entry and after the last exit: the least
 * that any turn has. The rest of that time may be the vCPU's own work, its timers for instance. */
static void take_turn(struct cpu *c)
{
	struct vcpu *last = c->last, *v;
	uint64_t asked = rdtsc(), began;
	uint64_t frame = c->turn_frame, ended;
	struct turn *payer;

	if (!pick(c, &v)) {
		c->choosing += rdtsc() - asked;
		return;
	}
	asked -= c->choosing;
	c->choosing = 0;
	c->last = v;
	if (!v) {
		idle(c);
		return;
	}
	if (c->current == v && sched_shared(c))
		mitigate_other_vm(); /* pick() has looked at the others */
	switch_to(c, v);
	if (atomic_fetch_and(&v->mmu.requests, ~REQ_FLUSH) & REQ_FLUSH)
		mitigate_flush();
	began = rdtsc();
	c->turn_began = began;
	c->turn_entered = 0;
	c->turn_ends = began + c->slice;
	spin_lock(&c->list_lock);
	payer = queue_pays(&c->queue, last ? &last->turn : NULL, last && last->run != VCPU_RUNNING, &v->turn);
	queue_ran(&c->queue, payer, began - asked + frame);
	spin_unlock(&c->list_lock);
	if (!life_ended(&v->vm->life))
		vcpu_run(v);
	ended = rdtsc();
	queue_ran(&c->queue, &v->turn, ended - began - min(frame, ended - began));
	if (c->turn_entered) {
		uint64_t ends = c->turn_entered - began + ended - c->served_at;

		c->turn_frame = frame ? min(frame, ends) : ends;
	}
	if (life_ended(&v->vm->life))
		retire(c, v);
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
	c->slice = ns_to_tsc(SLICE_US * 1000ull);
	c->granule = ns_to_tsc(GRANULE_US * 1000ull);
	if (!c->id)
		machine_ready();
	clock_start(c);
	for (;;) {
		mmu_cpu_quiescent(c->id);
		if (rdtsc() >= c->housekeeping)
			housekeeping(c);
		if (!c->id)
			reap(c);
		let_interrupts_in(c);
		take_turn(c);
	}
}
