/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine that does, in random order, all that may happen to a VM's MMU, on top of the oracle: vCPUs that
 * enter, touch memory, fault, exit and change CPU; devices that add, delete, move and change slots, store into guest
 * memory and hold pointers; drainers; the end of the VM. Where the MMU holds no lock (YIELD() in its code) other
 * CPUs take steps in between. An error that the oracle finds ends the process.
 */
#pragma once

#include "tests/support/sim/oracle.h"

struct sim_config {
	const char *name;
	unsigned vcpus; /* at most SIM_VCPUS */
	uint64_t pool_pages;
	struct mmu_caps caps;
	enum mmu_removal removal;
	enum mmu_freeing freeing;
	bool dirty; /* use the dirty log */
	bool lazy;  /* no vCPU drains: what is not paid by allocation is never paid */
	bool walks; /* the guest has page tables anywhere, so some accesses are walks: once in SIM_WALKS */
	bool wrap;  /* the slot table's version jumps, so that what MMIO entries hold of it comes round */
};
#define SIM_VCPUS 6
/* So that EPT's A and D flags are in use for a while, and then off for a while, in the life of each VM. */
#define SIM_WALKS 60

extern const struct sim_config sim_configs[];
extern const unsigned sim_nconfigs;

/* Runs `steps` random operations from a seed. Everything is given back at the end, and that is checked. */
void sim_run(const struct sim_config *c, uint64_t seed, unsigned steps);

/* If set, sim_run() calls it each time that another SIM_PROGRESS steps are done. */
#define SIM_PROGRESS 100000u
extern void (*sim_progress)(unsigned done);

/* What a run has met, so that a test can say that it tested something. */
struct sim_seen {
	uint64_t hits, faults, mmio, rom, evictions, bumps, reclaimed, migrations, blocked, backed_out, freed,
		nested, large, kicks, dirty_pages, pml, harvests, ad_off;
};
extern struct sim_seen sim_seen;
