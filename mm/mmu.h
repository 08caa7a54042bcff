/* SPDX-License-Identifier: MIT */
/*
 * The MMU as hv/ sees it. (What is inside: mm/mmu_internal.h and the book.)
 *
 * One `struct mmu` a VM, one `struct mmu_vcpu` embedded in each of hv/'s vCPUs. The run loop calls, in this order:
 *
 *	mmu_serve()	requests made of this vCPU: reload the root, flush
 *	mmu_reclaim()	one bounded batch of obsolete pages
 *	mmu_enter()	the entry handshake, interrupts off, last thing before VMLAUNCH/VMRESUME
 *	  ... guest ...
 *	mmu_exit()	first thing after the VM exit
 *	mmu_fault() / mmu_misconfig() for the exits that are its own
 */
#pragma once

#include "lib/types.h"
#include "mm/slots.h"

struct mmu_vcpu;

enum mmu_kind { MMU_EPT, MMU_SHADOW };

/* What the MMU asks of the CPU; hv/ fills it in, hosted tests simulate it. Called with interrupts off. */
struct mmu_cpu_ops {
	void (*kick)(struct mmu_vcpu *v);	    /* make it leave the guest soon; does not wait */
	void (*invept_single)(uint64_t eptp);	    /* this CPU */
	void (*invept_all)(void);		    /* this CPU */
	void (*invvpid_single)(uint16_t vpid);	    /* this CPU */
	void (*invvpid_all)(void);		    /* this CPU */
};

/* What the CPUs can do (IA32_VMX_EPT_VPID_CAP, CPUID), the same for all CPUs. */
struct mmu_caps {
	bool ept, ept_2m, ept_1g, ept_ad, ept_exec_only, ept_uc, ept_wb, pml, vpid;
	bool pschange_mc_no; /* not prone to iTLB multihit: executable large pages are safe */
	unsigned maxphyaddr; /* host */
};

struct mmu_params {
	enum mmu_kind kind;
	const struct mmu_cpu_ops *ops;
	struct mmu_caps caps;
	owner_t owner;		    /* of the tables */
	unsigned guest_maxphyaddr;
	unsigned vcpus;		    /* how many will be added */
	uint64_t pool_pages;	    /* most shadow pages; 0: from the size of guest memory */
	uint16_t vm;		    /* number, for trace records */
};

int mmu_create(const struct mmu_params *p, struct mmu **out); /* 0, -E_NOMEM, -E_NOSUP */
void mmu_destroy(struct mmu *mmu); /* all vCPUs gone; nothing leaks */

int mmu_vcpu_init(struct mmu_vcpu *v, struct mmu *mmu, unsigned index, uint16_t vpid);
void mmu_vcpu_fini(struct mmu_vcpu *v);

/* Serves reload and flush requests on the CPU that is about to run v. 0; -E_AGAIN: another vCPU is still in the
 * guest on an older generation (rule 3): do other useful work (reclaim, interrupts) and call again; -E_NOMEM. */
int mmu_serve(struct mmu_vcpu *v);
/* The entry handshake (rule 2). 0: go, *eptp is the EPTP for the VMCS (EPT); -E_AGAIN: back to the loop's top. */
int mmu_enter(struct mmu_vcpu *v, uint64_t *eptp);
void mmu_exit(struct mmu_vcpu *v);
/* At the top of the run loop and while idle: this CPU holds no pointer into guest memory (host quiescence). */
void mmu_cpu_quiescent(unsigned cpu);

/* Gives back one batch: at most `pages` pages and `entries` entries. Returns the pages freed; 0 also if another
 * CPU drains this VM now or nothing is ready. mmu_reclaim_waiting(): is there any debt at all (cheap, no lock)? */
unsigned mmu_reclaim(struct mmu *mmu, unsigned pages, unsigned entries);
bool mmu_reclaim_waiting(const struct mmu *mmu);
#define MMU_BATCH_PAGES	  16
#define MMU_BATCH_ENTRIES 4096

#define MMU_READ  (1u << 0) /* as bits 2:0 of the exit qualification of an EPT violation (SDM Vol. 3C 27.2.1) */
#define MMU_WRITE (1u << 1)
#define MMU_EXEC  (1u << 2)

enum mmu_verdict {
	MMU_RESUME,	 /* mapped, or spurious: enter the guest again */
	MMU_MMIO,	 /* no RAM there: ask the platform (decode and emulate) */
	MMU_ROM,	 /* a write to a read-only slot: as MMIO */
	MMU_EXEC_MMIO,	 /* instruction fetch from what is not RAM: the guest ends */
	MMU_NO_MEMORY,	 /* no table page could be had: the guest ends */
	MMU_INJECT,	 /* shadow: inject #PF with *error_code and the faulting address in CR2 */
};

/* EPT violation at a gpa. Locks: takes the MMU lock. */
enum mmu_verdict mmu_fault(struct mmu_vcpu *v, gpa_t at, unsigned access);
/* EPT misconfiguration at a gpa: MMU_MMIO if the entry is one of ours and current, MMU_RESUME if it was stale and
 * is gone now; -E_FAULT as verdict never happens: a misconfiguration that is not ours panics (it is a bug). */
enum mmu_verdict mmu_misconfig(struct mmu_vcpu *v, gpa_t at);

/* Counts the generation up: every table is obsolete from now on (rule 1). Takes the MMU lock; O(vCPUs). */
void mmu_invalidate_all(struct mmu *mmu);

/* What guest_linear_* need to know of the vCPU's paging; hv/ fills it in from the VMCS when it handles an exit
 * that needs it. */
struct paging_regs {
	uint64_t cr0, cr3, cr4, efer, rflags;
	uint64_t pdpte[4]; /* PAE: as latched */
	unsigned cpl;
};
/*
 * The guest page-table walker (SDM Vol. 3A 4): translates gva for an access (MMU_* bits; implicit supervisor if
 * `implicit`), through any paging mode. 0 and *out; or -E_FAULT and *error_code as hardware would push it.
 * Sets A and D bits as hardware does. A table that lies in no RAM: -E_FAULT as not present... all ones are read.
 */
int guest_walk(struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, gpa_t *out,
	uint32_t *error_code);

struct mmu_stats {
	uint64_t bumps, batches, pages_freed, batch_pages_max, lock_ticks_max, waiting, flushes, kicks, evictions;
	uint64_t faults, faults_mmio, faults_spurious, pages_live, pages_peak, tables_bytes;
};
void mmu_stats(const struct mmu *mmu, struct mmu_stats *out);
