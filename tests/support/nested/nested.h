/* SPDX-License-Identifier: MIT */
/*
 * A guest with tables of its own, for what indirect pages promise (mm/mmu/indirect.h): a small back end makes shadow pages
 * from four levels of tables in guest RAM (in the format of EPT, as a guest that is a hypervisor has them), vCPUs walk
 * those on the oracle's hardware, write to their tables, share them, link them to themselves, use them as data; devices
 * store into them, and slots go while all that happens.
 *
 * The model keeps a copy, a version, of the guest's tables for each change. What hardware reaches must agree with a
 * version that may still be visible. A change is visible to all when every vCPU has left the guest once since.
 */
#pragma once

#include "tests/support/sim/oracle.h"

struct nested_config {
	const char *name;
	unsigned vcpus; /* at most NESTED_VCPUS */
	unsigned cpus;	/* they go from one to the other; at most ORACLE_CPUS */
	uint64_t pool_pages;
	enum mmu_removal removal;
};
#define NESTED_VCPUS 4

extern const struct nested_config nested_configs[];
extern const unsigned nested_nconfigs;

void nested_run(const struct nested_config *c, uint64_t seed, unsigned steps);

struct nested_seen {
	uint64_t hits, large, split, faults, traps, guest_faults, stores, device_stores, evictions, bumps,
		reclaimed, shared, self, changes, migrations, nested;
};
extern struct nested_seen nested_seen;

/* All that is noted about indirect pages agrees with what they hold; else oracle_fail(). */
void nested_audit(struct mmu *mmu);
