/* SPDX-License-Identifier: MIT */
/*
 * The shadow back end (mm/shadow/) on simulated CPUs without EPT, in random order: vCPUs in all paging modes access memory,
 * store into their page tables, with an exit and without, load CR3, invalidate, switch modes; devices store into page
 * tables; slots come and go; pages are evicted and reclaimed; VMs die. Where the MMU holds no lock, others take steps.
 *
 * What the CPUs do with the tables: shadow_hw.h. What the guest may observe: shadow_model.h. An error ends the process.
 */
#pragma once

#include "mm/mmu/mmu.h"
#include "tests/support/sim/oracle.h"

enum shadow_mode { SHADOW_OFF, SHADOW_32, SHADOW_32_PSE, SHADOW_PAE, SHADOW_4, SHADOW_5, SHADOW_MODES };
#define SHADOW_ALL_MODES ((1u << SHADOW_MODES) - 1)

struct shadow_config {
	const char *name;
	unsigned vcpus; /* at most SHADOW_SIM_VCPUS */
	unsigned modes; /* BIT(enum shadow_mode) */
	uint64_t pool_pages;
	unsigned maxphyaddr; /* of the host */
	enum mmu_removal removal;
	bool alias; /* memory that repeats: a frame at two gfns */
	bool no_1g; /* the guest's CPU has no pages of 1 GiB */
	bool quiet; /* no steps in between */
	bool mixed; /* tables of 32-bit paging are used in other modes, too */
};
#define SHADOW_SIM_VCPUS 3u

extern const struct shadow_config shadow_configs[];
extern const unsigned shadow_nconfigs;

void shadow_run(const struct shadow_config *c, uint64_t seed, unsigned steps);
/* The same in one VM, where these bytes decide what happens. */
void shadow_run_bytes(const struct shadow_config *c, const uint8_t *data, size_t size);

struct shadow_seen {
	uint64_t hits[SHADOW_MODES], faults, injected, mmio, rom, exec_mmio, tables, unprotected, stores,
		emulated, device_stores, loads, modes, toggles, invlpgs, bumps, evictions, reclaimed,
		migrations, nested, slots, blocked, freed, kept_roots, dirty_pages;
};
extern struct shadow_seen shadow_seen;
