/* SPDX-License-Identifier: MIT */
/*
 * The generation (contract, rule 1), and flushes within one (rule 6).
 *
 * Both work the same way: 1. publish the new value. 2. set the request bits. 3. full fence. 4. collect the vCPUs that are in the
 * guest. 5. kick those after unlocking.
 * Why the fence must be there: a store (valid_gen, flush_epoch) may wait in this CPU's store buffer while the load of
 * `entered` after it is done (SDM Vol. 3A 9.2.3.4). The entering vCPU does it the other way round: exchange `entered`,
 * load requests, valid_gen and flush_epoch. Without the fence, both could read the old values: the vCPU enters on tables
 * that are about to go, it is not kicked, and what waits for it to leave waits until the guest exits by itself. With the fence
 * here and the locked exchange there, at least one of the two sees the other. (On x86 the locked OR into `requests` is a
 * fence, too; a flush without requests has none but this. tests/model shows both.)
 */
#include "mm/mmu/backend.h"

/* Steps 2 to 4. After a bump, vCPUs that are in the guest on the new generation are not kicked. */
static __hot void ask(struct mmu *mmu, uint32_t requests, bool bump)
{
	for (unsigned i = 0; i < mmu->nvcpus; i++)
		if (mmu->vcpu[i] && requests && !MUTANT(bump_without_request))
			atomic_fetch_or(&mmu->vcpu[i]->requests, requests);
	if (!MUTANT(no_fence))
		atomic_fence();
	if (MUTANT(bump_without_request))
		return;
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = mmu->vcpu[i];
		uint64_t entered = v ? atomic_load(&v->entered) : 0;

		if (!entered || (bump && entered == mmu->front.valid_gen))
			continue;
		mmu->kick[i / 64] |= BIT(i % 64);
		mmu->kick_any = true;
		mmu->stats.kicks++;
	}
}

__hot void mmu_bump(struct mmu *mmu)
{
	uint64_t gen = mmu->front.valid_gen + 1;

	ASSERT(gen); /* 64 bits: 0 does not come round within the life of a machine, and is never valid */
	atomic_store(&mmu->front.valid_gen, gen);
	mmu->count.valid = 0;
	mmu->count.barren = 0;
	mmu->root = NULL;
	mmu->stats.bumps++;
	mmu->faults_at_bump = mmu->stats.faults;
	mmu_account(mmu);
	ask(mmu, MMU_REQ_RELOAD, true);
	TRACE(TRACE_MMU, "bump to generation %lu, %lu pages obsolete", gen, mmu->count.active, 0);
	if (mmu->removal.freeing == MMU_FREE_EAGER)
		mmu_reclaim_all(mmu);
}

/* Every CPU that enters `root` from now on has to flush first: also those that run none of our vCPUs now but did, and
 * kept translations. */
static void forget_cpus(struct mmu *mmu, struct spage *root)
{
	uint64_t keep = 0;

	for (unsigned i = 0; MUTANT(flush_running_only) && i < mmu->nvcpus; i++)
		if (mmu->vcpu[i] && !mmu->vcpu[i]->entered && mmu->vcpu[i]->cpu < CPUS_MAX)
			keep |= root->cpus & BIT(mmu->vcpu[i]->cpu);
	atomic_store(&root->cpus, keep);
}

uint64_t mmu_flush_request(struct mmu *mmu, bool wait)
{
	uint64_t epoch = mmu->front.flush_epoch + 1;

	/* Roots that no vCPU has loaded or keeps are seen to when they are loaded (mmu_load_root). */
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		if (!mmu->vcpu[i] || !mmu->vcpu[i]->root.page)
			continue;
		forget_cpus(mmu, mmu->vcpu[i]->root.page);
		for (unsigned k = 0; k < mmu->backend->roots_kept && mmu->vcpu[i]->kept[k].page; k++)
			forget_cpus(mmu, mmu->vcpu[i]->kept[k].page);
	}
	atomic_store(&mmu->front.flush_epoch, epoch);
	mmu->stats.flushes++;
	ask(mmu, wait ? MMU_REQ_FLUSH : 0, false);
	TRACE(TRACE_MMU, "flush epoch %lu", epoch, 0, 0);
	return epoch;
}

void mmu_invalidate_all(struct mmu *mmu)
{
	mmu_lock(mmu);
	mmu_bump(mmu);
	mmu_unlock(mmu);
}
