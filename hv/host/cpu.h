/* SPDX-License-Identifier: MIT */
/*
 * A physical CPU: its number, its tables and stacks, what it runs now. GS points to it in root mode (the VMCS's host
 * GS base), so that `this_cpu()` is one load on every path.
 */
#pragma once

#include "hv/host/mitigate_pure.h"
#include "hv/host/sched_pure.h"
#include "lib/atomic.h"
#include "lib/boot_info.h"
#include "lib/cpu_id.h"
#include "lib/spinlock.h"
#include "lib/x86.h"

struct vcpu;

/* Selectors of the GDT in struct cpu; entry.asm knows them too. */
enum { SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_TSS = 0x18 };

struct tss { /* SDM Vol. 3A 7.7 */
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __packed;
_Static_assert(sizeof(struct tss) == 104, "SDM figure 7-11");

enum { IST_NMI = 1, IST_DF, IST_MC };

/* What vmx_exit_guarded does before root mode's first RET: replaces all return predictions; has one CALL retire; overwrites
 * the branch history. */
enum { EXIT_GUARD_FILL = 1, EXIT_GUARD_ONE = 2, EXIT_GUARD_HISTORY = 4 };

struct cpu {
	struct cpu *self;     /* gs:0 */
	unsigned id;	      /* gs:8 */
	uint32_t exit_guards; /* gs:12: EXIT_GUARD_*, read by hv/vmx/vmx_entry.asm */
	uint32_t apic_id;
	struct vcpu *current; /* whose VMCS is loaded here */
	bool idle;	      /* halted or about to: needs an interrupt to look again (atomic) */
	uint32_t start;	      /* how far its start is (hv/host/smp.c, atomic) */
	bool online;	      /* takes NMIs through Lethe's IDT (atomic) */
	bool ready;	      /* is in VMX root mode (atomic) */
	bool refused;	      /* cannot be, or must not (atomic) */
	bool parked;	      /* must not: another thread of its core runs guests (smt = off) */
	struct spinlock list_lock;
	struct queue queue; /* of the vCPUs that are pinned here */
	unsigned nvcpus;    /* in it */
	/* The turn of the one that runs, in host TSC: since when; when it ends at the latest; when another may come before
	 * it, because it wakes or has had less (UINT64_MAX: none). */
	uint64_t turn_began, turn_ends, others_wake;
	uint64_t slice, granule; /* SLICE_US, GRANULE_US in TSC ticks */
	struct vcpu *last;	 /* had the CPU before; NULL: it idled, or that one is gone */
	/* Host TSC at which the one that runs was about to enter first in its turn (0: it was not), and at which its requests were
	 * served last. */
	uint64_t turn_entered, served_at;
	uint64_t
		turn_frame; /* ticks from a turn's beginning to that, and from the latter to its end, at least; 0: not known */
	uint64_t choosing;     /* ticks that the choice has taken so far, if it is not finished */
	bool look_again;       /* VEC_KICK means: perhaps it is another's turn (atomic) */
	uint64_t housekeeping; /* TSC of the next look at console and reports; CPU 0 */
	/* hv/clock.c */
	uint64_t timer_at;    /* host TSC that the local APIC's timer is set to; 0: it is not set */
	uint64_t look_ticks;  /* CLOCK_LOOK_US */
	uint64_t fresh_ticks; /* CLOCK_FRESH_US */
	uint64_t debt_ticks;  /* MMU_PAY_PERIOD_US */
	uint64_t debt_called; /* TSC at which this CPU last woke another to pay debt (hv/sched.c) */
	bool armed;	      /* the following two are of the vCPU that runs */
	/* Host TSC at which the preemption timer was set (plus what is known to have passed in earlier exits), and to what. */
	uint64_t armed_at, armed_ticks;
	uint64_t root_from; /* else: host TSC from which on this CPU has been in root mode */
	const char *root_why;
	uint64_t stretch_max; /* longest stretch in root mode, in TSC ticks, and what for */
	const char *stretch_why;
	struct mitigations mitigations;		/* against speculation; all zero with `mitigations = off` */
	uint64_t switch_flushes, other_flushes; /* how often mitigate_switch(), mitigate_flush() */
	uint64_t spec_ctrl_bits; /* of IA32_SPEC_CTRL, that its guests may write; 0: it has no such MSR */
	hpa_t vmxon_region;
	uint64_t stack_top;
	uint64_t gdt[5] __aligned(16);
	struct tss tss;
} __aligned(64);

_Static_assert(offsetof(struct cpu, id) == CPU_ID_AT, "this_cpu_id() reads it there");
_Static_assert(offsetof(struct cpu, exit_guards) == 12, "vmx_entry.asm reads gs:12");

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__("movq %%gs:0, %0" : "=r"(c));
	return c;
}

extern struct cpu *cpus[CPUS_MAX]; /* NULL beyond ncpus */
extern unsigned ncpus;

/* Very first thing: no control-flow enforcement of the firmware's any more; then GS, GDT and IDT of the CPU that
 * firmware started, from static memory, so that a fault has a handler and this_cpu_id() works. */
void cpu_init_boot(void);
/* Every CPU, on its own stack and under hostmap's root: control registers, PAT, TSS with its stacks, local APIC. */
void cpu_init(struct cpu *c);
/* Memory for CPU n's struct cpu and stacks. NULL if there is none. */
struct cpu *cpu_create(unsigned n, uint32_t apic_id);
/* What this room calls of later ones. */
struct host_hooks {
	/* One came by way of the IDT, while this CPU idled, or of a VM exit. Interrupts are off. */
	void (*interrupt)(unsigned vector);
	/* Where a CPU lives from its start on. */
	__noreturn void (*cpu_main)(struct cpu *c);
	/* This CPU: has its stretch in root mode only begun, so that there is time for long work in it? */
	bool (*fresh)(const struct cpu *c);
	/* For a panic: what guest this CPU runs, as text for a line of its own; false if it runs none. Trusts no pointer. */
	bool (*describe_guest)(const struct cpu *c, char *buf, size_t n);
};
extern const struct host_hooks *host_hooks; /* hv_main() sets it first of all */

/* Starts the others (INIT-SIPI-SIPI through the trampoline); each arrives in host_hooks->cpu_main(). Returns how many run. */
unsigned smp_start(const struct boot_info *bi);

/* Do several vCPUs share it? */
static inline bool sched_shared(const struct cpu *c)
{
	return atomic_load_relaxed(&c->nvcpus) > 1;
}

/* hv/host/entry.asm */
void call_on_stack(void (*fn)(void *), void *arg, uint64_t stack_top) __noreturn;
void load_segments(void);

/* Vectors of root mode. 0x20-0x2f: what the 8259s may still send. */
enum { VEC_PIC = 0x20, VEC_ISA = 0x30 /* + IRQ */, VEC_KICK = 0xf0, VEC_TIMER = 0xf1, VEC_SPURIOUS = 0xff };

/* RDMSR that survives #GP: false if the CPU has no such MSR. */
bool rdmsr_safe(uint32_t msr, uint64_t *out);
bool wrmsr_safe(uint32_t msr, uint64_t v);
