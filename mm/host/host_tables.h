/* SPDX-License-Identifier: MIT */
/*
 * The tables of the hypervisor's own page maps (SDM Vol. 3A 4.5), below the policy of mm/host/hostmap.c: enter, change,
 * remove, look up. Levels are counted as the SDM's figures read from the right: 1 is a page table, whose entries map
 * 4 KiB; 2 a page directory (2 MiB), 3 a PDPT (1 GiB), 4 a PML4 table, 5 a PML5 table.
 *
 * Rights stand in the leaf only; entries that refer to tables allow all that supervisors may. Nothing here flushes a
 * TLB: a caller that takes rights away does. The caller has the lock, but looking up needs none: an entry changes in one store.
 */
#pragma once

#include "mm/host/frames.h"

struct host_tables {
	hpa_t root;
	unsigned levels; /* 4 or 5 */
	bool pages_1g;
};

struct host_leaf {
	uint64_t *entry;
	unsigned level;
	uint64_t bytes; /* that the leaf maps */
	hpa_t at;	/* of the address looked up */
};

/* Bits of a leaf as a 4 KiB page has them: PTE_W, PTE_NX, PTE_PWT, PTE_PCD, PTE_PAT4K; PTE_P is understood. */
#define LEAF_BITS (PTE_W | PTE_NX | PTE_PWT | PTE_PCD | PTE_PAT4K)

/* An empty root. 0 or -E_NOMEM. */
int host_tables_init(struct host_tables *t, unsigned levels, bool pages_1g);
/* Maps [va, va + bytes) to `at`, all page-aligned, in the largest pages that fit, over whatever was there; leaves that
 * are larger than what changes are split. 0 or -E_NOMEM, and then only part was mapped. */
int host_tables_map(struct host_tables *t, uint64_t va, hpa_t at, uint64_t bytes, uint64_t bits);
/* Unmaps what is mapped of the range. 0 or -E_NOMEM (a split). */
int host_tables_unmap(struct host_tables *t, uint64_t va, uint64_t bytes);
/* Makes tables down to a PDPT for va, so that roots that copy this one's top see what is mapped later. */
int host_tables_reserve(struct host_tables *t, uint64_t va);
/* The leaf that maps va; false if there is none (or va is not canonical). */
bool host_tables_find(const struct host_tables *t, uint64_t va, struct host_leaf *out);
