/* SPDX-License-Identifier: MIT */
/*
 * The MMU: forget a whole guest address space in constant time, give the tables back in bounded batches.
 *
 * Every table that the hardware walks for a guest is a shadow page, and so is every page of notes about tables
 * (mm/mmu/records.h). It is born in the valid generation, becomes obsolete together with all others when the generation is
 * counted up, and is freed when no CPU can still be walking it. These are its states:
 *
 *	valid		gen == valid_gen. On the active list, towards the head; in the hash, if it is looked up by gfn and
 *	    |		role. Translates.
 *	    |
 *	    |-- the generation is counted up (generation.c): nothing is touched, the page just is
 *	    v
 *	obsolete	gen != valid_gen. Still on the active list, towards the tail. Code that works with valid pages
 *	    |		cannot tell that it exists. CPUs that have not left the guest since may still walk it.
 *	    |
 *	    |-- reclaim finds that every vCPU has left its generation (reclaim.c)
 *	    |
 *	    |   pinned	A vCPU that has not run since has it loaded as its root. Invalid, on no list: memory that
 *	    |		goes to pending-free with the last pin (vcpu.c).
 *	    v
 *	detached	The drainer's alone. Cleared outside the lock.
 *	    v
 *	free		In the pool (pool.c), all zeros; full of poison with MMU_DEBUG_POISON.
 *
 *	A valid page that must make room (evict.c) goes another way: cut from its parent, it is invalid at once, and
 *	on pending-free until every vCPU has left the guest once (a flush epoch), since TLBs may lead through it.
 *
 * What keeps this sound is how a vCPU enters and leaves (mmu_enter() in mmu.h), and what waits for what:
 * generation.c has the fence, grace.c the conditions, vcpu.c the wait, tags.c the TLBs.
 *
 * One lock a VM guards all of it. Under it, work is bounded: by a batch, by the levels of a walk, by the number of
 * vCPUs. Clearing tables and taking 2 MiB from the frame allocator happen outside.
 */
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "mm/mmu/backend.h"

unsigned mmu_debug;

/* Debug builds start high, to prove that nothing depends on the generation being small. */
#define FIRST_GEN	1ull
#define FIRST_GEN_DEBUG 0x7ffffffffffffff0ull

__hot void mmu_lock(struct mmu *mmu)
{
	spin_lock(&mmu->lock);
	mmu->lock_since = rdtsc();
}

void mmu_kick_noted(struct mmu *mmu)
{
	mmu->kick_any = false;
	for (unsigned w = 0; w < MMU_MAPWORDS; w++)
		for (; mmu->kick[w]; mmu->kick[w] &= mmu->kick[w] - 1)
			mmu->ops->kick(mmu->vcpu[64 * w + bit_lowest(mmu->kick[w])]);
}

__hot void mmu_unlock(struct mmu *mmu)
{
	/* More than that are kicked with the lock held: it is only a matter of latency. */
	struct mmu_vcpu *first[8];
	unsigned n = 0;
	uint64_t held = rdtsc() - mmu->lock_since;

	if (unlikely(held > mmu->stats.lock_ticks_max))
		mmu->stats.lock_ticks_max = held;
	if (likely(!mmu->kick_any)) {
		spin_unlock(&mmu->lock);
		return;
	}
	for (unsigned w = 0; w < MMU_MAPWORDS; w++)
		for (; mmu->kick[w] && n < ARRAY_SIZE(first); mmu->kick[w] &= mmu->kick[w] - 1)
			first[n++] = mmu->vcpu[64 * w + bit_lowest(mmu->kick[w])];
	mmu_kick_noted(mmu);
	spin_unlock(&mmu->lock);
	for (unsigned i = 0; i < n; i++)
		mmu->ops->kick(first[i]);
}

int mmu_create(const struct mmu_params *p, struct mmu **out)
{
	struct mmu *mmu;
	int err;

	if (!p->backend || !p->vcpus || p->vcpus > MMU_VCPUS_MAX)
		return -E_INVAL;
	mmu = frame_alloc_zeroed(p->owner);
	if (!mmu)
		return -E_NOMEM;
	mmu->front.valid_gen = mmu_debug & MMU_DEBUG_HIGH_GEN ? FIRST_GEN_DEBUG : FIRST_GEN;
	mmu->front.flush_epoch = 1;
	mmu->backend = p->backend;
	mmu->ops = p->ops;
	mmu->caps = p->caps;
	mmu->guest_maxphyaddr = p->guest_maxphyaddr;
	mmu->vm = p->vm;
	err = p->backend->setup(mmu, p);
	if (err) {
		frame_free(FRAME_4K, p->owner, hpa_to_pfn(virt_to_hpa(mmu)));
		return err;
	}
	mmu->tick_us = p->tick_us ? p->tick_us : 1000;
	mmu->removal.how = p->removal;
	mmu->removal.freeing = p->freeing;
	mmu->nvcpus = p->vcpus;
	mmu->params_pool_pages = p->pool_pages;
	list_init(&mmu->pages.active);
	list_init(&mmu->pages.pending);
	list_init(&mmu->dirty.retired);
	/* A fault can need a table on each level; less than this and two vCPUs could starve each other. (An indirect
	 * page comes with its keys, and a root of each vCPU's own stays.) */
	pool_init(&mmu->pool, p->owner,
		max(p->pool_pages ? p->pool_pages : 256,
			p->indirect_pages ? 8ull * MMU_LOW_WATER + 2 * p->vcpus : 2ull * MMU_LOW_WATER));
	mmu->vcpu = frame_alloc_zeroed(p->owner);
	mmu->indirect = p->backend->stored != NULL;
	mmu->small_pages = p->small_pages;
	if (!mmu->vcpu || hash_init(mmu, p->indirect_pages) || slots_init(&mmu->slots, mmu->pool.owner) ||
		pool_grow(mmu)) {
		mmu_destroy(mmu);
		return -E_NOMEM;
	}
	*out = mmu;
	return 0;
}
_Static_assert(MMU_VCPUS_MAX * sizeof(struct mmu_vcpu *) <= PAGE_SIZE, "vcpu[] is one frame");

static void free_frame(struct mmu *mmu, void *frame)
{
	if (frame)
		frame_free(FRAME_4K, mmu->pool.owner, hpa_to_pfn(virt_to_hpa(frame)));
}

bool mmu_destroy_some(struct mmu **out, unsigned chunks)
{
	struct mmu *mmu = *out;

	if (!mmu)
		return true;
	for (unsigned i = 0; mmu->vcpu && i < mmu->nvcpus; i++)
		ASSERT(!mmu->vcpu[i]);
	dirty_logs_retire_all(mmu);
	if (!list_empty(&mmu->dirty.retired)) {
		dirty_log_destroy_some(mmu, chunks);
		return false;
	}
	/* No CPU walks them, so the tables need no visit: their chunks go as they are. */
	if (!pool_fini(&mmu->pool, chunks))
		return false;
	if (!slots_fini(&mmu->slots, mmu->pool.owner))
		return false;
	hash_fini(mmu);
	free_frame(mmu, mmu->vcpu);
	free_frame(mmu, mmu);
	*out = NULL;
	return true;
}

void mmu_destroy(struct mmu *mmu)
{
	while (!mmu_destroy_some(&mmu, UINT32_MAX))
		;
}

void mmu_stats(struct mmu *mmu, struct mmu_stats *out)
{
	mmu_lock(mmu);
	*out = mmu->stats;
	for (unsigned i = 0; i < mmu->nvcpus; i++)
		if (mmu->vcpu[i])
			out->faults_mmio += atomic_load_relaxed(&mmu->vcpu[i]->hole_hits);
	out->waiting = mmu->front.debt;
	out->pages_live = mmu->count.valid;
	out->pages_live_peak = mmu->pages.live_set;
	out->pages_peak = mmu->pool.peak;
	out->tables_bytes = mmu->pool.bytes;
	out->faults_since_bump = mmu->stats.faults - mmu->faults_at_bump;
	mmu_unlock(mmu);
}
