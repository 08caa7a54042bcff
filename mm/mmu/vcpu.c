/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: what is done at the top of the run loop when something was asked of one (contract, rules 2, 3 and 11).
 *
 *	RELOAD	wait until nobody is in the guest on an older generation; then take a root of the valid one, pin
 *		it, unpin the old
 *	FLUSH	wait until everybody has left who entered before the rights were taken away; the TLB itself is seen
 *		to at entry (tags.c)
 *
 * Waiting means to return -E_AGAIN: the loop makes itself useful and asks again. The wait ends with the kicks that
 * the asker has sent; it never depends on page work, nor on vCPUs that are halted, parked or not started.
 */
#include "lib/string.h"
#include "mm/mmu/internal.h"

int mmu_vcpu_init(struct mmu_vcpu *v, struct mmu *mmu, unsigned index, uint16_t vpid)
{
	int err = 0;

	if (index >= mmu->nvcpus)
		return -E_INVAL;
	memset(v, 0, sizeof(*v));
	v->mmu = mmu;
	v->front = &mmu->front;
	v->ops = mmu->ops;
	v->index = (uint16_t)index;
	v->vpid = vpid;
	v->cpu = CPUS_MAX;
	v->requests = MMU_REQ_RELOAD;
	mmu_lock(mmu);
	if (mmu->vcpu[index])
		err = -E_EXIST;
	else
		atomic_store(&mmu->vcpu[index], v);
	mmu_unlock(mmu);
	return err;
}

static void drop_root(struct mmu_vcpu *v)
{
	if (v->root && !MUTANT(pin_leaked))
		spage_unpin(v->mmu, v->root);
	v->root = NULL;
	v->root_cpus = NULL;
	v->root_gen = 0;
	atomic_store_relaxed(&v->entered_epoch, 0); /* no CPU is ready for another (mmu_make_ready) */
}

void mmu_vcpu_fini(struct mmu_vcpu *v)
{
	struct mmu *mmu = v->mmu;

	ASSERT(!v->entered);
	mmu_lock(mmu);
	drop_root(v);
	mmu->stats.faults_mmio += v->hole_hits;
	atomic_store(&mmu->vcpu[v->index], NULL);
	mmu_unlock(mmu);
}

/* The valid root for v; made if v is the first to need it. MMU lock held. */
static int find_root(struct mmu *mmu, struct spage **out)
{
	role_t role = { mmu->root_level | ROLE_DIRECT | (MMU_READ | MMU_WRITE | MMU_EXEC) << 4 };
	struct spage *root = hash_find(mmu, gfn(0), role);

	if (!root) {
		int err = mmu_make_available(mmu, 1, gfn(0));

		if (err)
			return err;
		root = spage_new(mmu, gfn(0), role, NULL);
		hash_add(mmu, root);
		mmu->root = root;
	}
	*out = root;
	return 0;
}

void mmu_load_root(struct mmu_vcpu *v, struct spage *root)
{
	/* While nobody had it loaded, no flush has thought of it (generation.c). */
	if (!root->pins)
		root->cpus = 0;
	atomic_fetch_and(&v->requests, ~MMU_REQ_RELOAD);
	spage_pin(root);
	drop_root(v);
	v->root = root;
	v->root_gen = root->gen;
	v->root_cpus = &root->cpus;
	v->eptp = ept_pointer(v->mmu, root);
}

static int reload(struct mmu_vcpu *v)
{
	struct mmu *mmu = v->mmu;
	struct spage *root;
	int err = -E_AGAIN;

	YIELD();
	mmu_lock(mmu);
	if (unlikely(pool_wants_more(&mmu->pool))) {
		mmu_unlock(mmu);
		pool_grow(mmu);
		mmu_lock(mmu);
	}
	/* Rule 3. Under the lock valid_gen stands still, and nobody enters on an older one any more. */
	if (MUTANT(no_wait) || mmu_quiescent_below(mmu, mmu->front.valid_gen))
		err = find_root(mmu, &root);
	if (!err)
		mmu_load_root(v, root);
	mmu_unlock(mmu);
	return err;
}

int mmu_serve_slow(struct mmu_vcpu *v)
{
	if (atomic_load(&v->requests) & MMU_REQ_FLUSH) {
		/* The bit first: a flush that is asked for meanwhile sets it again. */
		atomic_fetch_and(&v->requests, ~MMU_REQ_FLUSH);
		YIELD();
		if (!mmu_flushed(v->mmu, atomic_load(&v->front->flush_epoch))) {
			atomic_fetch_or(&v->requests, MMU_REQ_FLUSH);
			return -E_AGAIN;
		}
	}
	return atomic_load(&v->requests) & MMU_REQ_RELOAD ? reload(v) : 0;
}
