/* SPDX-License-Identifier: MIT */
/* Shadow pages: birth, look-up, pins, and the way out. The states they go through stand at the top of mm/mmu.c. */
#include "mm/mmu_internal.h"

void mmu_account(struct mmu *mmu)
{
	atomic_store_relaxed(&mmu->front.debt,
		mmu->nactive - mmu->nvalid + mmu->npending + mmu->ndetached + mmu->nretired_logs);
}

static struct spage **bucket(struct mmu *mmu, gfn_t at, role_t role)
{
	/* Multiplication by 2^64 / golden ratio spreads neighbours; its high bits depend on all bits of the key. */
	uint64_t h = (at.v ^ (uint64_t)role.v << 40) * 0x9e3779b97f4a7c15ull;

	return &mmu->hash[h >> (64 - 9)];
}
_Static_assert(HASH_BUCKETS == 1 << 9, "bucket() takes nine bits");

struct spage *spage_find(struct mmu *mmu, gfn_t at, role_t role)
{
	/* Chains are newest-first: behind an obsolete page there is no valid one. */
	for (struct spage *p = *bucket(mmu, at, role); p; p = p->hash_next) {
		if (spage_obsolete(mmu, p) && !MUTANT(stale_hash_hit))
			return NULL;
		if (p->gfn.v == at.v && p->role.v == role.v)
			return p;
	}
	return NULL;
}

void spage_hash(struct mmu *mmu, struct spage *p)
{
	struct spage **b = bucket(mmu, p->gfn, p->role);

	p->hash_next = *b;
	*b = p;
	p->flags |= SPAGE_HASHED;
}

static void unhash(struct mmu *mmu, struct spage *p)
{
	struct spage **at = bucket(mmu, p->gfn, p->role);

	while (*at != p)
		at = &(*at)->hash_next;
	*at = p->hash_next;
	p->flags &= (uint16_t)~SPAGE_HASHED;
}

struct spage *spage_new(struct mmu *mmu, gfn_t at, role_t role, uint64_t *parent)
{
	struct spage *p;

	/* Debt above 1.5 times the live set is paid back twice as fast as it could grow (mmu_evict.c). */
	if (unlikely(2 * mmu->pool.used > 3 * mmu->live_set) && mmu->nactive != mmu->nvalid &&
		!MUTANT(no_debt_bound))
		mmu_retire(mmu, 2);
	p = pool_take(&mmu->pool);
	p->gen = mmu->front.valid_gen;
	p->gfn = at;
	p->role = role;
	p->parent = parent;
	p->flags = SPAGE_ACTIVE | SPAGE_REFERENCED;
	if (MUTANT(new_at_tail))
		list_add_tail(&mmu->active, &p->link);
	else
		list_add_head(&mmu->active, &p->link);
	mmu->nactive++;
	mmu->nvalid++;
	mmu->live_set = max(mmu->live_set, mmu->nvalid);
	return p;
}

void spage_detach(struct mmu *mmu, struct spage *p)
{
	ASSERT(p->flags & SPAGE_ACTIVE);
	list_del(&p->link);
	p->flags = (uint16_t)((p->flags & ~SPAGE_ACTIVE) | SPAGE_INVALID);
	mmu->nactive--;
	if (!spage_obsolete(mmu, p))
		mmu->nvalid--;
	if (p->flags & SPAGE_HASHED)
		unhash(mmu, p);
}

void spage_pend(struct mmu *mmu, struct spage *p, uint64_t epoch)
{
	p->epoch = epoch;
	p->flags |= SPAGE_PENDING;
	list_add_tail(&mmu->pending, &p->link);
	mmu->npending++;
	mmu_account(mmu);
}

void spage_pin(struct spage *p)
{
	p->pins++;
}

void spage_unpin(struct mmu *mmu, struct spage *p)
{
	ASSERT(p->pins);
	if (--p->pins || !(p->flags & SPAGE_INVALID))
		return;
	/* Reclaim took it off the list when its generation had been left; nobody can have entered it since. But a
	 * root cut off within its generation may still be in TLBs: it waits for the epoch that its cutting began. */
	spage_pend(mmu, p, p->gen == mmu->front.valid_gen ? mmu->front.flush_epoch : 0);
}
