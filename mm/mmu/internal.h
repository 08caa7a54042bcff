/* SPDX-License-Identifier: MIT */
/*
 * A VM's MMU, made of its parts. Outside of mm/ only tests include this. A file that has a header of its name says there what it
 * offers to the others. (The slots that it maps: mm/map/slot_table.h; how they change, and access to guest memory: mm/space/.)
 *
 *	mmu.c		the states of a page (read first), a VM's MMU from birth to death, the lock
 *	generation.c	the generation: change, bump, request, kick
 *	vcpu.c		vCPUs: reload of the root, pins
 *	tags.c		what is in the TLBs: INVEPT, INVVPID
 *	grace.c		quiescence and tickets
 *	page.c		shadow pages: birth, pins, retirement
 *	hash.c		shadow pages by gfn and role
 *	pool.c		the memory of tables
 *	reclaim.c	obsolete pages given back in batches
 *	pay.c		how much of that after an exit
 *	evict.c		valid pages given up when the pool runs low
 *	removal.c	a slot that goes: bump or unmap
 *	fault.c		the fault, above the back ends
 *	levels.h	the arithmetic of levels: entries, shifts, pages
 *	backend.h	the seam between the files above and those below
 *	ept.h, ept.c, ept_zap.c	the EPT back end; ept_ad.c: its A and D flags, switched off for a VM
 *	indirect.h, indirect.c	pages made from tables of the guest's: what shadow page tables and shadow EPT stand on
 *	indirect_zap.c	taking their entries away
 *	indirect_sync.c	those that the guest writes to unnoticed
 *	records.c	what is known of each guest frame: which leaves map it, is it a table
 *	chain.h, chain.c	chains of entries, and their blocks
 *	dirty.c, dirty_read.c, dirty_pml.c	which pages were written
 */
#pragma once

#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "lib/trace.h"
#include "lib/x86.h"
#include "mm/map/guest_window.h"
#include "mm/map/slot_table.h"
#include "mm/mmu/chain.h"
#include "mm/mmu/dirty_pml.h"
#include "mm/mmu/generation.h"
#include "mm/mmu/grace.h"
#include "mm/mmu/hash.h"
#include "mm/mmu/pool.h"
#include "mm/mmu/reclaim.h"
#include "mm/mmu/removal.h"
#include "mm/mmu/unsync.h"
#include "mm/mutant.h"

/* What a VM's tables are like; the back end fills it in when they are made. */
struct backend_shape {
	unsigned levels;      /* of the root that maps gpas: at most LEVELS_MOST */
	unsigned fault_needs; /* pages of the pool that a fault can take, at most */
};

/* The MMU of a VM. Its parts are described in the headers that are named after them. */
struct mmu {
	struct mmu_front front; /* the generation and what goes with it; first: mmu.h counts on it */

	/* What a slot's deletion touches lies in `front` and in the three lines that follow, up to `caps`: it comes now and then,
	 * and finds no line in a cache (mmu_prefetch()). */
	struct spinlock lock;
	uint64_t lock_since; /* TSC */
	struct slots slots;
	bool kick_any;
	bool indirect; /* the back end makes tables from guest memory: stores into it must be told (backend->stored) */
	struct mmu_removal_policy removal;
	uint16_t vm;
	unsigned nvcpus; /* places in vcpu[], some may be NULL */
	struct mmu_vcpu **vcpu;
	/* The valid root that maps gpas, which all vCPUs share; NULL: there is none (yet). */
	struct spage *root;
	struct mmu_counts count;
	uint64_t faults_at_bump;
	struct mmu_stats stats;

	struct mmu_caps caps; /* what is used: ept_ad and pml may be switched off (ept_ad.c) */
	const struct backend *backend;
	struct backend_shape shape;
	const struct mmu_cpu_ops *ops;
	unsigned guest_maxphyaddr;
	uint64_t kick[MMU_MAPWORDS]; /* to be kicked when the lock is dropped */

	struct mmu_pages pages;
	struct mmu_hash hash;
	struct chain_blocks blocks;
	struct mmu_pool pool;

	struct mmu_drain drain;
	struct mmu_dirty dirty;
	struct guest_window_cache window;
	struct mmu_unsync unsync;
	bool small_pages;
	uint64_t tick_us;
	uint64_t params_pool_pages; /* 0: the pool's limit follows the slots */
};
_Static_assert(sizeof(struct mmu) <= PAGE_SIZE, "a VM's MMU fits a frame");
_Static_assert(offsetof(struct mmu, stats.faults) < 4 * 64, "a deletion touches four lines of it");

/* What a deletion will touch, asked for at once: one after the other, each would cost a cache miss. */
static inline void mmu_prefetch(const struct mmu *mmu)
{
	for (unsigned line = 0; line < 4; line++)
		__builtin_prefetch((const char *)mmu + 64 * line, 1);
	__builtin_prefetch(&mmu_host_epoch, 1);
}
/* The same for what is to be asked of the vCPUs. Lock held. */
static inline void mmu_prefetch_vcpus(const struct mmu *mmu)
{
	for (unsigned i = 0; i < min(mmu->nvcpus, 8u); i++)
		__builtin_prefetch(mmu->vcpu[i], 1);
}

/* The lock, with the time it is held measured. Unlocking sends the kicks that were noted meanwhile. */
void mmu_lock(struct mmu *mmu);
void mmu_unlock(struct mmu *mmu);
void mmu_kick_noted(struct mmu *mmu);

/* ---- The rest needs the lock, and struct mmu. ---- */
static inline bool spage_obsolete(const struct mmu *mmu, const struct spage *p)
{
	return p->gen != mmu->front.valid_gen;
}

/* vcpu.c: v runs on `root`, which is valid, from now on. What it ran on before is kept if the back end says so and it
 * is still valid. */
void mmu_load_root(struct mmu_vcpu *v, struct spage *root);

/* evict.c: makes `need` pages available, keeping off what translates `at`. 0; -E_AGAIN: some will be, when all vCPUs have
 * left the guest; -E_NOMEM: there is nothing left to give up. */
int mmu_make_available_slow(struct mmu *mmu, unsigned need, gfn_t at);
static inline int mmu_make_available(struct mmu *mmu, unsigned need, gfn_t at)
{
	if (likely(need <= 2 * MMU_LOW_WATER && !pool_low(&mmu->pool) &&
		    (mmu->count.active == mmu->count.valid ||
			    mmu->pool.used + need <= 2 * mmu->pages.live_set)))
		return 0;
	return mmu_make_available_slow(mmu, need, at);
}
