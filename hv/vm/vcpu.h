/* SPDX-License-Identifier: MIT */
/*
 * A vCPU: a VMCS, the registers that the VMCS does not hold, and what waits to be done to it.
 *
 * It is pinned to one CPU; only that CPU touches it, except for mmu.requests (atomic) and what the MMU's part says.
 *
 *	WAIT_SIPI --SIPI--> RUNNING <--interrupt-- HALTED
 *	    ^--INIT---------/  \---HLT------------^
 *	any --VM ends--> STOPPED
 */
#pragma once

#include "guest/dev/platform.h"
#include "guest/emu/breakpoint.h"
#include "guest/emu/insn_cache.h"
#include "guest/load/vcpu_state.h"
#include "hv/host/cpu.h"
#include "hv/vm/guest_cpu.h"
#include "hv/vm/guest_msr_pure.h"
#include "hv/vmx/vmcs.h"
#include "hv/vmx/vmx.h"
#include "lib/atomic.h"
#include "mm/mmu/mmu.h"

struct vm;
struct msr;

enum vcpu_run { VCPU_WAIT_SIPI, VCPU_RUNNING, VCPU_HALTED, VCPU_STOPPED };

#define LAST_EXITS 16 /* a power of two */

/* What others (and a vCPU's own exit handlers) ask to be looked at before the next entry: bits of mmu.requests, so
 * that the MMU's handshake sees them together with its own. */
#define REQ_EVENTS (1u << 8) /* an interrupt may be deliverable, or the next timer has changed */
#define REQ_NMI	   (1u << 9)
#define REQ_INIT   (1u << 10)
#define REQ_SIPI   (1u << 11) /* vector in sipi_vector, or in wakeup_vector */
#define REQ_STOP   (1u << 12) /* the VM ends */
#define REQ_ALL	   0xffffff00u
#define REQ_YIELD  (1u << 13) /* the time slice is over, or the CPU has other things to do */
#define REQ_FLUSH  (1u << 14) /* its CPU has handled another VM's data (hv/vm/mitigate_vcpu.h) */

/* An MSR that VM entry or exit loads (SDM Vol. 3C table 24-12). */
struct msr_load {
	uint32_t msr, reserved;
	uint64_t value;
} __aligned(16);
/* Those that are switched so, where it is needed: the first, the second, or both. */
enum { LOAD_SPEC_CTRL, LOAD_PAT, MSR_LOADS };

struct vcpu {
	struct mmu_vcpu mmu;
	struct cpu_regs regs; /* RSP, RIP and RFLAGS are in the VMCS: vcpu_sync_regs() brings them here */
	struct vmcs vmcs;
	bool event_pending; /* event_* are to be injected */
	bool event_armed;   /* the VMCS holds an event for the next entry */
	uint32_t event_info, event_error, event_length;

	struct vm *vm;
	unsigned index;
	struct cpu *cpu;
	struct turn turn;  /* on its CPU */
	enum vcpu_run run; /* written by its own CPU, read by all (atomic) */
	uint8_t sipi_vector;
	bool sipi_wanted; /* an INIT has come, or none was needed, and no SIPI since (atomic) */
	bool nmi_pending;
	bool halt_irqs_open, halt_nmis_open; /* HALTED: what ends the HLT (atomic) */
	uint8_t halt_ppr; /* ... and at what priority: PPR stays as it is until then (atomic) */

	void *apic_page;
	uint64_t *pml_buffer; /* 512 guest-physical addresses; NULL where the CPU cannot */
	uint64_t eoi_exit[4]; /* APICv: bitmap as written */
	unsigned tpr_threshold;

	uint64_t tsc_adjust; /* guest's IA32_TSC_ADJUST */
	uint64_t due;	     /* host TSC at which it is to be served; UINT64_MAX: never */
	uint64_t deadline;   /* ... at which it has to leave the guest: before that, if debt is to be paid */
	uint32_t looked, look_after; /* an exit looks at the clock so many ticks after that (hv/clock.h) */
	uint32_t last_look;	     /* ticks from then to the last look at the clock */
	unsigned put_off; /* exits in a row in which long work was due and was put off (hv/run.c) */
	uint64_t
		mmio_put_off; /* the exit, as `exits` counts, in which an access to a device was put off (hv/exit/ept.c) */
	/* The last store into a page table of its own that the guest was left to do by itself (hv/exit/pf.c). */
	struct {
		uint64_t rip, at, regs, exits; /* regs: a sum of the general registers */
		unsigned times;
	} own_store;
	uint64_t
		string_exit; /* the exit of the last string instruction, and when (TSC) its first element was done */
	uint32_t string_began;

	/* With EPT but without unrestricted guest: CR3 and EFER.LME as the guest believes them to be while its paging is off. (On shadow
	 * page tables mmu.regs has what it believes: hv/vm/guest_cr.h.) */
	bool hidden_paging, hidden_lme;
	uint64_t hidden_cr3;
	uint64_t wakeup_vector; /* where it begins by the wakeup mailbox (guest/dev/vmailbox.h); atomic */

	uint64_t misc_enable, mtrr[GUEST_MTRRS]; /* as the guest believes them to be */
	struct guest_cpu guest;
	struct msr_load entry_load[MSR_LOADS],
		exit_load[MSR_LOADS];	 /* the guest's, root mode's (hv/vm/vmcs_setup.c) */
	uint64_t exits;			 /* ever */
	uint16_t last_exits[LAST_EXITS]; /* basic reasons; the newest is at (exits - 1) % LAST_EXITS */
	unsigned unknown_msrs;
	const struct msr *last_msr; /* hv/vm/guest_msr.c */
	struct insn_cache insns;    /* decoded last, for the emulator */
} __aligned(64);

/* True if the clock is to be looked at (hv/clock.h): longer work stops and goes on at the next exit. */
static inline bool vcpu_hurried(const struct vcpu *v)
{
	return rdtsc_low() - v->looked >= v->look_after;
}

static inline void vcpu_request(struct vcpu *v, uint32_t bits)
{
	atomic_fetch_or(&v->mmu.requests, bits);
}

/* Something was asked of it that it did not know of: makes it look soon, wherever it is. One that sleeps is roused: without that it
 * is not looked at before its timer is due. One that waits for its turn anyway is left alone. Any CPU. */
void vcpu_kick(struct vcpu *v);
/* This CPU: another vCPU may have woken. The one that runs leaves its loop, once it has run for GRANULE_US, and the turn
 * is given anew. */
void sched_look_again(struct cpu *c);

/* hv/vm/vcpu.c. Called when the VM is built, on any CPU; the VMCS is filled in on its own CPU by vmcs_init(). */
int vcpu_create(struct vm *vm, unsigned index, struct cpu *cpu, struct vcpu **out);
void vcpu_destroy(struct vcpu *v);

/* Registers that the VMCS holds. */
static inline uint64_t vcpu_rip(const struct vcpu *v)
{
	return vmcs_read(&v->vmcs, VMCS_GUEST_RIP);
}
/* Steps over the instruction that exited, whose RIP is `at`: RIP, STI/MOV SS blocking, single-step trap. */
void vcpu_skip_from(struct vcpu *v, uint64_t at);
static inline void vcpu_skip(struct vcpu *v)
{
	vcpu_skip_from(v, vmcs_read_sure(&v->vmcs, VMCS_GUEST_RIP));
}
/* What ends with an emulated instruction or an iteration of a REP string besides RIP and RF: STI and MOV SS blocking; the
 * single-step trap comes. rflags: those before it. branched: it was a branch, which is what the trap waits for with BTF. */
void vcpu_step_done(struct vcpu *v, uint64_t rflags, bool branched);
/* Has the guest take a debug trap at its next entry, for these bits of DR6: B3 to B0 of enabled data and I/O breakpoints,
 * BS (SDM Vol. 3C 26.7.3). */
void vcpu_debug_trap(struct vcpu *v, unsigned bits);
/* Writes "CPUID, HLT x 3, ...": the last exits of v, oldest first. Returns the length that the text has. */
int vcpu_describe_exits(const struct vcpu *v, char *buf, size_t n);
/* Reads the guest's debug registers, if DR7 enables any breakpoint. False: it does not. */
bool vcpu_breakpoints(const struct vcpu *v, struct breakpoints *b);
void vcpu_sync_regs(struct vcpu *v);  /* VMCS -> regs.gpr[RSP], rip, rflags */
void vcpu_write_regs(struct vcpu *v); /* and back */
unsigned vcpu_cpl(const struct vcpu *v);
bool vcpu_long_mode(struct vcpu *v); /* CS.L with EFER.LMA: 64-bit code */
/* Fills in v->mmu.regs for the walker. */
void vcpu_paging_regs(struct vcpu *v);
/* The same for a walk only, on shadow page tables: what else paging depends on is in there already. */
static inline void vcpu_paging_regs_shadow(struct vcpu *v)
{
	v->mmu.regs.rflags = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RFLAGS);
	v->mmu.regs.cpl = vcpu_cpl(v);
}
