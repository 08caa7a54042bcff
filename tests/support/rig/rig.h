/* SPDX-License-Identifier: MIT */
/* A small VM for tests that go step by step: an arena, one MMU, vCPUs, each on the CPU of its own number. */
#pragma once

#include "tests/support/rig/arena.h"
#include "tests/support/sim/oracle.h"

#define RIG_VCPUS  80
#define RIG_RAM	   (OWNER_VM0 + 0)
#define RIG_TABLES (OWNER_VM0 + 1)

struct rig {
	struct arena arena;
	struct mmu *mmu;
	struct mmu_params params;
	struct mmu_vcpu v[RIG_VCPUS];
	uint64_t eptp[RIG_VCPUS];
	bool in[RIG_VCPUS], kicked[RIG_VCPUS];
};
extern struct rig rig;

/* All capabilities but PSCHANGE_MC_NO set as `caps` says; ram is the arena's size. debug: poison, high generations. */
struct mmu_caps rig_caps(void);
void rig_start_with(const struct mmu_params *p, uint64_t ram, bool debug);
void rig_start(unsigned vcpus);
/* An arena that is started already and stays, for all that follow. */
void rig_use_arena(const struct arena *a);
/* Ends the VM: everything out, destroyed; asserts that neither tables nor RAM leak. */
void rig_stop(void);

/* Adds RAM (or ROM); stops the test if that fails. The backing is freed by rig_stop. */
slot_id rig_slot(uint64_t gfn, uint64_t pages, unsigned flags);
struct backing *rig_backing(slot_id id);
/* Slot id was deleted: its backing goes. */
void rig_forget(slot_id id);
/* rig_stop frees b. / It does not, the test did. */
void rig_own(struct backing *b);
void rig_disown(struct backing *b);

/* vCPU i enters the guest on CPU i % ORACLE_CPUS (CPU i when fewer vCPUs than CPUs). -E_AGAIN: it may not yet. */
int rig_enter(unsigned i);
void rig_exit(unsigned i);
/* Access by vCPU i, which is in the guest: faults are handled (leave, fault, serve, enter) until it is through or a
 * verdict other than MMU_RESUME comes; then the vCPU is outside. *pfn: what was reached. */
enum mmu_verdict rig_access(unsigned i, uint64_t gfn, unsigned access, uint64_t *pfn);
/* Returns the entry for gfn in the present root, a leaf or not, and changes nothing. */
bool rig_leaf(uint64_t gfn, uint64_t *entry, unsigned *level);
/* Runs reclaim until nothing waits; returns the pages freed. */
uint64_t rig_drain(void);
/* Every CPU passes the top of its run loop. */
void rig_quiesce(void);
struct mmu_stats rig_stats(void);
