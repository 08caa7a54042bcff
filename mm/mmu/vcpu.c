/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: what is done at the top of the run loop when something was asked of one (contract, rules 2, 3 and 11).
 *
 *	RELOAD	wait until no vCPU is in the guest on an older generation; then take a root of the valid one, pin
 *		it, unpin the old
 *	FLUSH	wait until all vCPUs have left that entered before the rights were taken away; the TLB itself is flushed
 *		before entry (tags.c)
 *
 * Waiting means to return -E_AGAIN: the run loop does other work and asks again. The wait ends with the kicks that
 * the asker has sent; it never depends on page work, nor on vCPUs that are halted, parked or not started.
 */
#include "lib/string.h"
#include "mm/mmu/backend.h"

static void free_low_root(struct mmu_vcpu *v)
{
	if (v->low_root)
		frame_free(FRAME_4K, v->mmu->pool.owner, hpa_to_pfn(virt_to_hpa(v->low_root)));
	v->low_root = NULL;
}

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
	if (mmu->backend->low_root) {
		pfn_t low;

		err = frame_alloc_low(mmu->pool.owner, &low);
		if (err)
			return err;
		v->low_root = pfn_to_virt(low);
		memset(v->low_root, 0, PAGE_SIZE);
	}
	mmu_lock(mmu);
	if (mmu->vcpu[index])
		err = -E_EXIST;
	else
		atomic_store(&mmu->vcpu[index], v);
	mmu_unlock(mmu);
	if (err)
		free_low_root(v);
	return err;
}

static void drop_root(struct mmu_vcpu *v, struct mmu_root *root)
{
	if (root->page && !MUTANT(pin_leaked))
		spage_unpin(v->mmu, root->page);
	*root = (struct mmu_root){ 0 };
}

void mmu_vcpu_fini(struct mmu_vcpu *v)
{
	struct mmu *mmu = v->mmu;

	ASSERT(!v->entered);
	mmu_lock(mmu);
	drop_root(v, &v->root);
	for (unsigned i = 0; i < mmu->backend->roots_kept; i++)
		drop_root(v, &v->kept[i]);
	mmu->stats.faults_mmio += v->hole_hits;
	atomic_store(&mmu->vcpu[v->index], NULL);
	mmu_unlock(mmu);
	free_low_root(v);
}

/* Is it worth keeping? Not if it is what v is about to run on. */
static bool keeps(const struct mmu_vcpu *v, const struct mmu_root *root, const struct spage *next)
{
	return root->page && root->page != next &&
	       (!spage_obsolete(v->mmu, root->page) || MUTANT(previous_root_kept)) &&
	       !(root->page->flags & SPAGE_INVALID);
}

/* Puts v->root in front of those that v keeps, of which all that are of no use any more go, and the oldest if there are
 * too many. */
static void keep_root(struct mmu_vcpu *v, const struct spage *next)
{
	unsigned most = v->mmu->backend->roots_kept, n = 0;
	struct mmu_root last = v->root;

	for (unsigned i = 0; i <= most; i++) {
		struct mmu_root root = last;

		if (i < most)
			last = v->kept[i];
		if (n < most && keeps(v, &root, next))
			v->kept[n++] = root;
		else
			drop_root(v, &root);
	}
	while (n < most)
		v->kept[n++] = (struct mmu_root){ 0 };
}

void mmu_load_root(struct mmu_vcpu *v, struct spage *root)
{
	/* While no vCPU had it loaded, no flush has thought of it (generation.c). */
	if (!root->pins)
		root->cpus = 0;
	atomic_fetch_and(&v->requests, ~MMU_REQ_RELOAD);
	/* First the pin: what keep_root() drops may be the same page. */
	spage_pin(root);
	keep_root(v, root);
	v->root = (struct mmu_root){ root, root->gen, v->mmu->backend->pointer(v, root) };
	if (!MUTANT(cr3_without_flush))
		atomic_store_relaxed(&v->entered_epoch, 0); /* no CPU is ready for it (mmu_make_ready) */
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
	/* Rule 3. Under the lock valid_gen stands still, and no vCPU enters on an older one any more. */
	if (MUTANT(no_wait) || mmu_quiescent_below(mmu, mmu->front.valid_gen))
		err = mmu->backend->root(v, &root);
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
