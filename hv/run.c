/* SPDX-License-Identifier: MIT */
/*
 * The run loop: the spine of the system. Each time round:
 *
 *	enter the guest				(the handshake with the MMU decides whether it may)
 *	    or serve what was asked of this vCPU	(requests: events, INIT, stop; reload of the MMU's root)
 *	handle the exit
 *	give back some obsolete pages, if any wait
 *	look at the clock		(hv/clock.h: the guest's exits must not stop it)
 *
 * Interrupts stay off in root mode. One that comes here waits in the local APIC and ends the guest's next stretch
 * at once, so nothing is lost between the last look at the requests and the entry.
 */
#include "hv/run.h"

#include "hv/clock.h"
#include "hv/exit/exit.h"
#include "hv/host/mitigate.h"
#include "hv/vm/events.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"

#define PUT_OFF_MOST 2 /* exits in a row in which long work is put off */

/* hv/vmx/vmx_entry.asm: keeps no register but RSP, RBP and RBX, for the compiler knows better which of them are in use.
 * True if the entry failed before it began. */
static inline bool vmx_enter(struct vcpu *v)
{
	struct cpu_regs *regs = &v->regs;
	uint64_t *host_rsp = &v->vmcs.host_rsp;
	uint64_t launched = v->vmcs.launched;
	bool failed;

	__asm__ volatile("call vmx_enter"
			 : "=@ccc"(failed), "+D"(regs), "+S"(host_rsp), "+d"(launched)
			 :
			 : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
	return failed;
}

static uint64_t guest_tsc(const struct vcpu *v, uint64_t host_tsc)
{
	return host_tsc + v->vm->tsc_offset;
}

/* Does an event end its HLT? RFLAGS.IF and the blocking of NMIs are as HLT found them. */
static bool vcpu_halt_ends(struct vcpu *v)
{
	return v->event_pending || (v->nmi_pending && v->halt_nmis_open) ||
	       (v->halt_irqs_open && platform_irq_waiting(v->vm->platform, v->index));
}

bool vcpu_runnable(struct vcpu *v)
{
	uint32_t r = atomic_load(&v->mmu.requests);

	if (v->run == VCPU_RUNNING || r & REQ_STOP)
		return true;
	/* Taken before it is looked what has come: what comes later sets the bit again and kicks (hv/vm/vm_ops.c). */
	if (r & REQ_EVENTS)
		atomic_fetch_and(&v->mmu.requests, ~REQ_EVENTS);
	if (v->run == VCPU_WAIT_SIPI)
		return r & REQ_SIPI;
	return r & REQ_INIT || (r & REQ_NMI && v->halt_nmis_open) || vcpu_halt_ends(v) ||
	       vcpu_next_event(v) <= rdtsc();
}

uint64_t vcpu_next_event(const struct vcpu *v)
{
	return host_tsc(v->vm, platform_next_event(v->vm->platform, v->index));
}

static void init_vcpu(struct vcpu *v)
{
	struct vcpu_state s;

	/* The boot processor does not wait for a SIPI: it starts the firmware again (SDM Vol. 3A 8.4.2). */
	if (!v->index) {
		vm_end(v->vm, VM_END_RESET, 0);
		return;
	}
	vmcs_get_state(v, &s);
	vcpu_state_init(&s, guest_cpuid_features(v->vm->cpuid)->eax);
	vmcs_set_state(v, &s);
	atomic_store(&v->run, VCPU_WAIT_SIPI);
	v->nmi_pending = false;
	platform_apic_init(v->vm->platform, v->index);
}

/*
 * By the wakeup mailbox, which is obeyed after an INIT, too. The vCPU has no IDT, so an exception shuts it down. A vector that is
 * not canonical does so here, since no VM entry takes it.
 */
static void start_vcpu_by_mailbox(struct vcpu *v)
{
	struct vcpu_state s;

	vcpu_state_wakeup(&s, atomic_load(&v->wakeup_vector), LAYOUT_WAKEUP);
	vmcs_set_state(v, &s);
	if (!is_canonical(s.regs.rip, 48)) {
		dump_take(v, "triple fault: its wakeup vector, %#lx, is not canonical", s.regs.rip);
		vm_end(v->vm, VM_END_TRIPLE_FAULT, 0);
		return;
	}
	atomic_store(&v->run, VCPU_RUNNING);
}

static void start_vcpu(struct vcpu *v)
{
	struct vcpu_state s;

	if (v->run != VCPU_WAIT_SIPI)
		return; /* ignored (SDM Vol. 3A 8.4.3) */
	if (v->vm->policy.layout.wakeup_gib) {
		start_vcpu_by_mailbox(v);
		return;
	}
	/* An INIT that was asked for meanwhile (hv/vm/vm_ops.c) wants its SIPI. */
	(void)atomic_xchg(&v->sipi_wanted, false);
	if (atomic_load(&v->mmu.requests) & REQ_INIT)
		atomic_store(&v->sipi_wanted, true);
	vmcs_get_state(v, &s);
	vcpu_state_sipi(&s, v->sipi_vector);
	vmcs_set_state(v, &s);
	atomic_store(&v->run, VCPU_RUNNING);
}

/*
 * Does the CPU's housekeeping or runs the vCPU's timers, if they are due; of both, the timers come after the next exit. Long
 * work among them is put off if the stretch is not fresh; the next exit comes before the guest executes an instruction. In
 * nested VMX an exit alone may take longer than CLOCK_FRESH_US, so that no stretch is fresh: after PUT_OFF_MOST exits in a row
 * the work is done all the same, or the guest would never go on. Returns what housekeeping() returns.
 */
static bool serve_timers(struct vcpu *v, uint64_t now)
{
	struct platform *p = v->vm->platform;
	uint64_t at = guest_tsc(v, now);
	bool housekeeps = now >= v->cpu->housekeeping, leave = false, long_work;

	if (!housekeeps && at < platform_next_event(p, v->index)) {
		v->put_off = 0;
		return false;
	}
	long_work = v->put_off == PUT_OFF_MOST || clock_fresh(v, now);
	if (housekeeps && long_work)
		leave = housekeeping(v->cpu);
	else
		platform_run_events(p, v->index, at, long_work);
	if (!long_work && (housekeeps || at >= platform_next_event(p, v->index)))
		v->put_off++;
	else
		v->put_off = 0;
	return leave;
}

/* Of hv/'s own. False: v is not to enter the guest now. */
static bool serve_requests(struct vcpu *v)
{
	uint32_t r = atomic_fetch_and(&v->mmu.requests, ~REQ_ALL) & REQ_ALL;
	bool leave; /* cpu_main() is to look at other things than its vCPUs */
	uint64_t now;

	if (!r)
		return true;
	if (r & REQ_STOP)
		return false;
	if (r & REQ_FLUSH) /* what follows may ask for it again */
		mitigate_flush();
	now = rdtsc();
	v->cpu->served_at = now;
	if (r & REQ_INIT)
		init_vcpu(v);
	if (r & REQ_SIPI)
		start_vcpu(v);
	if (r & REQ_NMI)
		v->nmi_pending = true;
	leave = serve_timers(v, now);
	vmcs_update_apic_mode(v);
	if (v->run == VCPU_HALTED && vcpu_halt_ends(v))
		atomic_store(&v->run, VCPU_RUNNING);
	if (v->run != VCPU_RUNNING)
		return false;
	events_prepare(v);
	if (leave || now >= sched_turn_ends(v->cpu) || (r & REQ_YIELD && sched_shared(v->cpu)))
		return false;
	clock_arm(v);
	return true;
}

/* Of the MMU's. False: not to enter now, but to look again at what is asked. */
static bool serve_mmu(struct vcpu *v)
{
	switch (mmu_serve(&v->mmu)) {
	case 0:
		if (mmu_root_pointer(&v->mmu) != v->vmcs.root) {
			v->vmcs.root = mmu_root_pointer(&v->mmu);
			vmcs_write(&v->vmcs, v->vmcs.root_field, v->vmcs.root);
		}
		return true;
	case -E_AGAIN: /* another vCPU has yet to leave the old generation: its kick is on the way */
		mmu_reclaim(v->vm->mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
		cpu_relax();
		return false;
	default:
		dump_take(v, "no memory for the root of its page tables");
		vm_end(v->vm, VM_END_NO_MEMORY, 0);
		return false;
	}
}

/* The handshake has said no. False: v is to leave the loop. Out of line, so that the loop keeps v in a register. */
static bool __attribute__((noinline)) serve(struct vcpu *v, unsigned cpu)
{
	do {
		mmu_cpu_quiescent(cpu);
		if (!serve_requests(v))
			return false;
	} while (!serve_mmu(v));
	/* A bump turns every vCPU back at its next entry, to load a new root, so that each comes here when debt begins. */
	if (mmu_reclaim_waiting(v->vm->mmu))
		clock_debt(v);
	return true;
}

/* A VM entry that never began (SDM Vol. 3C 26.1, 26.2): a control or host field is wrong, so it is Lethe's fault. But
 * the VMCS is this guest's alone, and so is the damage: the others go on. */
static void __attribute__((noinline, cold)) entry_refused(struct vcpu *v)
{
	dump_take(v,
		"VM entry refused (a bug in Lethe): error %lu of SDM Vol. 3C table 30-1; event to inject %#lx, controls %x %x %x %x",
		vmcs_read(&v->vmcs, VMCS_INSTRUCTION_ERROR), vmcs_read(&v->vmcs, VMCS_ENTRY_INTR_INFO),
		v->vmcs.pin, v->vmcs.proc, v->vmcs.proc2, v->vmcs.entry);
	vm_end(v->vm, VM_END_ENTRY_FAILED, 0);
}

/* A whole batch is paid where this stretch has nothing else to do. Out of line: in the loop it would take registers that every
 * exit needs. */
static void __attribute__((noinline)) pay(struct vcpu *v)
{
	uint64_t now = rdtsc();
	bool busy = now >= v->due || v->put_off || atomic_load(&v->mmu.requests) & REQ_ALL & ~REQ_EVENTS;

	if (mmu_pay(&v->mmu, busy || !clock_fresh(v, now)))
		sched_debt(v->cpu);
}

void vcpu_run(struct vcpu *v)
{
	unsigned cpu = v->cpu->id;
	struct mmu *mmu = v->vm->mmu;
	uint32_t looked = 0;

	vcpu_request(v, REQ_EVENTS); /* time has passed: timers, slice */
	for (;;) {
		if (unlikely(mmu_enter_on(&v->mmu, cpu))) {
			if (!serve(v, cpu))
				break;
			looked = 0;
			continue;
		}
		v->last_look = looked;
		measure_entry();
		if (unlikely(vmx_enter(v))) {
			mmu_exit_on(&v->mmu, cpu);
			entry_refused(v);
			looked = 0;
			continue;
		}
		measure_exit(&v->vmcs);
		mmu_exit_on(&v->mmu, cpu);
		v->vmcs.launched = true;
		v->event_armed = false;
		exit_dispatch(v);
		if (unlikely(mmu_reclaim_waiting(mmu)) && mmu_pay_due(&v->mmu, rdtsc_low()))
			pay(v);
		looked = clock_look(v);
	}
	clock_leave(v);
}
