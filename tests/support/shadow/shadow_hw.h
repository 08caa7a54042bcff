/* SPDX-License-Identifier: MIT */
/*
 * Hardware without EPT, for the tests of shadow page tables: what a CPU does with the tables that the MMU makes.
 *
 * Each simulated CPU has a TLB and a paging-structure cache, tagged by VPID. They keep everything until INVVPID drops it, over
 * VM entries and exits, changes of CR3 and of the paging mode, and the death of VMs; by chance a translation is taken from them or
 * walked anew, and by chance the CPU walks for no instruction at all. The registers are those that mm/shadow/shadow.h
 * prescribes: CR0.WP, CR4.PAE and EFER.NXE set, CR4.PCIDE clear.
 *
 * What no correct table contains ends the test: poison (freed tables), reserved bits where RAM could be read through them,
 * addresses outside the machine's RAM, PDPTEs that make the VM entry fail.
 */
#pragma once

#include "lib/types.h"
#include "mm/mmu/mmu.h"

#define SHADOW_HW_CPUS	4u
#define SHADOW_HW_VPIDS 16u
#define SHADOW_HW_TLB	64u
#define SHADOW_HW_PSC	24u

/* The registers with which a vCPU is in the guest. */
struct shadow_hw_regs {
	uint64_t cr3;
	uint64_t pdpte[4]; /* PAE: loaded at VM entry, and by nothing else */
	uint16_t vpid;
	bool lma, la57, smep, smap;
};

struct shadow_hw_access {
	uint64_t at;
	unsigned kind; /* MMU_READ, MMU_WRITE or MMU_EXEC */
	bool user;     /* made at CPL 3, and not to a descriptor table or a TSS */
	bool ac;       /* EFLAGS.AC counts: SMAP does not stop it */
};

struct shadow_hw_result {
	uint64_t address; /* hit: host-physical */
	uint32_t error;	  /* else: of the page fault */
};

struct shadow_hw_seen {
	uint64_t tlb, psc, walks, faults, guesses, invvpids, large;
};
extern _Thread_local struct shadow_hw_seen shadow_hw_seen;

/* Kick calls hw_kick of the oracle; invvpid_single acts on the CPU this_cpu_id(). */
extern const struct mmu_cpu_ops shadow_hw_ops;

/* CPUs as after power-on, and a machine with this RAM. maxphyaddr: of the CPUs. */
void shadow_hw_reset(hpa_t ram, uint64_t bytes, unsigned maxphyaddr);
/* The CPU's registers at a VM entry of v, whose root pointer is `pointer`. Fails where a VM entry would. */
void shadow_hw_enter(struct shadow_hw_regs *r, const struct mmu_vcpu *v, uint64_t pointer);
/* One access by the guest that runs on this CPU. True: *out has the address; else the fault. */
bool shadow_hw_access(unsigned cpu, const struct shadow_hw_regs *r, const struct shadow_hw_access *a,
	struct shadow_hw_result *out);
/* A walk for no instruction: what it finds is cached. */
void shadow_hw_guess(unsigned cpu, const struct shadow_hw_regs *r, uint64_t at);
/* The entry of the last level on the way to `at` in the tables as they are; *level is where the walk ends. */
uint64_t shadow_hw_peek(const struct shadow_hw_regs *r, uint64_t at, unsigned *level);
