/* SPDX-License-Identifier: MIT */
/* Shadow pages: birth, pins, and the way out. The states they go through stand at the top of mm/mmu/mmu.c. */
#include "mm/mmu/internal.h"

__hot void mmu_account(struct mmu *mmu)
{
	atomic_store_relaxed(&mmu->front.debt, mmu->count.active - mmu->count.valid + mmu->count.pending +
						       mmu->count.detached + mmu->count.retired_logs);
}

static void count(struct mmu *mmu, uint64_t frames)
{
	mmu->count.active += frames;
	mmu->count.valid += frames;
	mmu->pages.live_set = max(mmu->pages.live_set, mmu->count.valid);
}

struct spage *spage_new(struct mmu *mmu, gfn_t at, role_t role, uint64_t *parent)
{
	struct spage *p;

	/* Debt above 1.5 times the live set is paid back faster than it could grow (evict.c). */
	if (unlikely(2 * mmu->pool.used > 3 * mmu->pages.live_set) && mmu->count.active != mmu->count.valid &&
		!MUTANT(no_debt_bound))
		mmu_retire(mmu, 2);
	/* Blocks of chains are written before they are read. */
	p = role.v & ROLE_BLOCKS ? pool_take_raw(&mmu->pool) : pool_take(&mmu->pool);
	p->gen = mmu->front.valid_gen;
	p->gfn = at;
	p->role = role;
	p->parent = parent;
	p->flags = SPAGE_ACTIVE | SPAGE_REFERENCED;
	if (MUTANT(new_at_tail))
		list_add_tail(&mmu->pages.active, &p->link);
	else
		list_add_head(&mmu->pages.active, &p->link);
	count(mmu, 1);
	return p;
}

void spage_add_keys(struct mmu *mmu, struct spage *p)
{
	p->keys = spage_table(pool_take_raw(&mmu->pool));
	count(mmu, 1);
}

void spage_detach(struct mmu *mmu, struct spage *p)
{
	ASSERT(p->flags & SPAGE_ACTIVE);
	list_del(&p->link);
	p->flags = (uint16_t)((p->flags & ~SPAGE_ACTIVE) | SPAGE_INVALID);
	mmu->count.active -= spage_frames(p);
	/* Of an obsolete page no other structure knows any more (rule 7): its way out ends here. */
	if (!spage_obsolete(mmu, p)) {
		mmu->count.valid -= spage_frames(p);
		if (p->flags & SPAGE_HASHED)
			hash_remove(mmu, p);
	}
	p->flags &= (uint16_t)~SPAGE_HASHED;
}

void spage_pend(struct mmu *mmu, struct spage *p, uint64_t epoch)
{
	p->epoch = epoch;
	mmu->pages.wait_epoch = max(mmu->pages.wait_epoch, epoch);
	p->flags |= SPAGE_PENDING;
	list_add_tail(&mmu->pages.pending, &p->link);
	mmu->count.pending += spage_frames(p);
	mmu_account(mmu);
}

void spage_pin(struct spage *p)
{
	atomic_store_relaxed(&p->pins, p->pins + 1); /* mmu_tags_check() looks without the lock */
}

void spage_unpin(struct mmu *mmu, struct spage *p)
{
	ASSERT(p->pins);
	atomic_store_relaxed(&p->pins, p->pins - 1);
	if (p->pins || !(p->flags & SPAGE_INVALID))
		return;
	/* If reclaim took it off the list, every vCPU had left its generation. But one that was cut off within its
	 * generation may still be in TLBs: it waits for the flush that its cutting needs, or that of one cut later. */
	spage_pend(mmu, p, mmu->pages.cut_epoch);
}
