/* SPDX-License-Identifier: MIT */
/*
 * A small VM on shadow page tables, for tests that go step by step: RAM from gfn 0, vCPUs each on the simulated CPU of its own
 * number (shadow_hw.h), with what a guest does: it writes its tables, loads CR3, accesses memory.
 */
#pragma once

#include "lib/x86.h"
#include "mm/shadow/shadow.h"
#include "mm/space/guest_mem.h"
#include "mm/space/walker.h"
#include "tests/support/rig/arena.h"
#include "tests/support/shadow/shadow_hw.h"
#include "tests/support/shadow/shadow_sim.h"

#define SHADOW_RIG_RAM	 2048u /* pages */
#define SHADOW_RIG_VCPUS 3u
#define SHADOW_RIG_WIDTH 36u

struct shadow_rig {
	struct arena arena;
	struct mmu *mmu;
	struct backing *ram;
	struct mmu_vcpu v[SHADOW_RIG_VCPUS];
	struct shadow_hw_regs hw[SHADOW_RIG_VCPUS];
	bool in[SHADOW_RIG_VCPUS];
	unsigned vcpus;
	struct backing *owned[8]; /* freed at the end */
};
extern struct shadow_rig shadow_rig;

void shadow_rig_start(unsigned vcpus, const struct mmu_params *p /* NULL: as usual */);
/* All vCPUs out, all given back, checked. */
void shadow_rig_stop(void);
/* More memory, zeroed; and as a slot: `pages` at gfn, with these flags. It is freed at the end. */
struct backing *shadow_rig_memory(uint64_t pages);
struct backing *shadow_rig_slot(uint64_t gfn, uint64_t pages, unsigned flags, slot_id *id);

/* Entry i of the table in frame gfn, by a store of the host's. */
void shadow_rig_entry(uint64_t gfn, unsigned i, uint64_t e);
void shadow_rig_entry32(uint64_t gfn, unsigned i, uint32_t e);
/* The same past the MMU: as a device that Lethe knows nothing of would do it, or a vCPU with a writable mapping. */
void shadow_rig_poke(uint64_t gfn, unsigned i, uint64_t e);
uint64_t shadow_rig_read(uint64_t gfn, unsigned i);
/* The host's frame at gfn of RAM. */
uint64_t shadow_rig_frame(uint64_t gfn);

/* The registers for this mode with CR0.WP and NXE set, and CR3: vCPU i leaves, and loads them. PAE: the PDPTEs are latched. */
void shadow_rig_mode(unsigned i, enum shadow_mode mode, uint64_t cr3);
/* vCPU i has left, and loads what its v.regs say now. */
void shadow_rig_load(unsigned i);
void shadow_rig_invlpg(unsigned i, uint64_t at);
/* -E_AGAIN: it may not yet. */
int shadow_rig_enter(unsigned i);
/* The others leave, where it has to wait for them. */
void shadow_rig_must_enter(unsigned i);
void shadow_rig_leave(unsigned i);

struct shadow_rig_result {
	enum mmu_verdict verdict; /* MMU_RESUME: it reached memory */
	uint64_t address;	  /* there */
	uint32_t error;		  /* MMU_INJECT */
	unsigned faults;	  /* that were the MMU's own */
};
/* An access by vCPU i, repeated until it reaches memory or is the guest's to see. kind: MMU_READ, MMU_WRITE or MMU_EXEC. */
struct shadow_rig_result shadow_rig_access(unsigned i, uint64_t at, unsigned kind, unsigned cpl);
/* Stores 8 bytes (or 4) by vCPU i; emulated where that is asked for. True: by the guest itself. */
bool shadow_rig_store(unsigned i, uint64_t at, uint64_t value, unsigned bytes);
/* The access comes out as a walk of the guest's tables says (mm/space/walker.c, which has tests of its own): else the test ends. */
void shadow_rig_check(unsigned i, uint64_t at, unsigned kind, unsigned cpl);

/* Tables of 8-byte entries: a path with all rights from table to table, from the root's level down: gfns[0] is the root. */
uint64_t shadow_rig_path(const uint64_t *gfns, unsigned levels, const unsigned *index);
