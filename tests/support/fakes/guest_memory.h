/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory for tests of guest/: an MMU with slots and RAM behind them, and a machine that has nothing to flush.
 *
 *	guest_memory_open(64 * MiB, 1);
 *	guest_memory_add(0, LAYOUT_VGA);
 *	... guest_memory.mmu ...
 *	guest_memory_close();
 */
#pragma once

#include "mm/mmu/mmu.h"
#include "tests/support/rig/arena.h"

#define GUEST_MEMORY_SLOTS 4

extern struct guest_memory {
	struct mmu *mmu;
	struct arena arena; /* the machine's RAM */
	struct backing *backing[GUEST_MEMORY_SLOTS];
	unsigned n;
} guest_memory;

void guest_memory_open(uint64_t machine_bytes, unsigned vcpus);
/* RAM from `base` to `end`, guest-physical, in a slot of its own. */
void guest_memory_add(uint64_t base, uint64_t end);
void guest_memory_close(void);
/* The same in two steps, so that a test can check in between that nothing uses the MMU's memory any more. */
void guest_memory_destroy_mmu(void);
