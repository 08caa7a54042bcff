/* SPDX-License-Identifier: MIT */
/*
 * The oracle: what hardware might do with the tables that the MMU makes, and what it may see.
 *
 * Hardware. Each simulated physical CPU has a TLB and a paging-structure cache, tagged by EP4TA (bits 51:12 of the
 * EPTP) and, for what the guest's own tables gave, by VPID. They keep everything until it is flushed, over VM entries
 * and exits and over the death of VMs; by chance a translation is taken from them or walked anew. A walk that reads
 * poison, which fills every freed table, ends the test.
 *
 * Model. The guest's memory map as a plain list, one copy for each version of it. A vCPU in the guest may reach what
 * any version maps that was in force since a vCPU last entered. So once a vCPU has entered after a change, no vCPU may
 * reach what was mapped before (rule 3); the same holds once the change's ticket is ready.
 */
#pragma once

#include "lib/types.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/mmu.h"

#define ORACLE_CPUS	4
#define HW_CPUS		8 /* at most; tests with threads have more than the oracle's */
#define ORACLE_TLB	256
#define ORACLE_PSC	96
#define ORACLE_SLOTS	24
#define ORACLE_VERSIONS 64
#define ORACLE_VPIDS	16

/* ---- randomness: the same for the same seed; each thread has its own and must seed it ---- */
uint64_t oracle_random(void);
void oracle_seed(uint64_t seed);
/* From now on the numbers are these bytes, two each, and then go on as before: for a fuzzer. NULL, 0: none. */
void oracle_bytes(const uint8_t *data, size_t size);
bool oracle_bytes_left(void);
static inline uint64_t below(uint64_t n)
{
	return oracle_random() % n;
}

/* Prints what is wrong, with the seed, and ends the process by abort(). */
void oracle_fail(const char *fmt, ...) __printf_like(1, 2) __noreturn;

/* ---- hardware ---- */
enum hw_result { HW_HIT, HW_VIOLATION, HW_MISCONFIG, HW_PML_FULL };

/* Page-modification logging of one vCPU (what its VMCS holds, and the buffer). */
struct hw_pml {
	bool on;
	uint16_t index; /* where the next goes; counts down, 0xffff: full */
	uint64_t buffer[512];
	uint64_t logged;
};
#define ORACLE_PMLS 64 /* by the vCPU's index in its VM */
extern struct hw_pml hw_pml[ORACLE_PMLS];

struct hw_cached {
	uint64_t ep4ta; /* 0: empty */
	uint64_t first; /* gfn */
	uint64_t pages;
	/* A TLB's leaf; a paging-structure cache's entry that links a table of level `level`. */
	uint64_t entry;
	unsigned level;
};

struct hw_cpu {
	struct hw_cached tlb[ORACLE_TLB], psc[ORACLE_PSC];
	uint64_t linear[ORACLE_VPIDS]; /* version of the guest's tables that is cached for a VPID; 0: none */
	uint64_t invepts, invvpids;
	struct hw_pml *pml; /* of the vCPU whose VMCS is current; NULL: none */
};
extern struct hw_cpu hw_cpu[HW_CPUS];
extern const struct mmu_cpu_ops hw_ops; /* flushes act on hw_cpu[this_cpu_id()], kick calls hw_kick */
extern void (*hw_kick)(struct mmu_vcpu *v);

void hw_reset(void);
/* v's VMCS becomes current on CPU cpu. */
void hw_load(unsigned cpu, const struct mmu_vcpu *v);
/* One access by the guest on CPU cpu under eptp. *entry: the leaf used. CPUs may be threads: hw_cpu[cpu] is touched by
 * the one that plays it alone, tables are read and their flags set by atomics. */
enum hw_result hw_access(
	unsigned cpu, uint64_t eptp, uint64_t gfn, unsigned access, uint64_t *entry, unsigned *level);
/* What a walk of the guest's own tables counts as (SDM Vol. 3C 28.3.5): `access` of hw_access() for a frame that holds one. */
static inline unsigned hw_walk(uint64_t eptp)
{
	return eptp & EPTP_AD ? MMU_READ | MMU_WRITE : MMU_READ;
}
/* The fault that such a walk ends in, as the exit's handler takes it (hv/exit/ept.c). */
static inline enum mmu_verdict hw_walk_fault(struct mmu_vcpu *v, gpa_t at, unsigned access)
{
	enum mmu_verdict d = mmu_violation(v, at, access);

	return d == MMU_ROM ? mmu_rom_walked(v, at) : d;
}
/* A walk of the tables as they are, with no cache and no trace: false if nothing is there (or MMIO). */
bool hw_peek(uint64_t eptp, uint64_t gfn, uint64_t *entry, unsigned *level);

/* ---- the model of the map ---- */
struct model_slot {
	bool used;
	slot_id id;
	unsigned flags;
	uint64_t base, pages, backing_page;
	struct backing *backing;
	bool dying; /* deleted, its ticket is not ready yet */
};

struct model {
	uint64_t version, oldest; /* versions oldest..version may be seen */
	struct model_slot at[ORACLE_VERSIONS][ORACLE_SLOTS];
};

struct model_slot *model_now(struct model *m);
/* A new version, at first a copy of the last. */
struct model_slot *model_change(struct model *m);
/* From now on no vCPU may see what was before version v. */
void model_forget(struct model *m, uint64_t v);
struct model_slot *model_find(struct model *m, uint64_t version, uint64_t gfn);
/* True if a guest may reach frame pfn at gfn with `access` now. */
bool model_allows(struct model *m, uint64_t gfn, unsigned access, uint64_t pfn);

/* ---- memory types: all WB, as a machine's RAM ---- */
void oracle_mtrr_wb(void);

/* ---- all of it ---- */
/* A machine as after power-on: randomness from `seed`, CPUs with nothing in their TLBs that hold no pointers, RAM all WB.
 * debug: MMU_DEBUG_*. */
void oracle_begin(uint64_t seed, void (*kick)(struct mmu_vcpu *v), unsigned debug);
/* The checks for a run of random operations: every other seed goes without poison, as the product does. */
unsigned oracle_debug(uint64_t seed);
