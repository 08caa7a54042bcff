/* SPDX-License-Identifier: MIT */
/*
 * Making pages available: the pool's growth apart (mm/mmu/pool.c), by paying debt and by eviction (contract, rule 9).
 *
 * Debt. Obsolete pages are freed between exits, but a guest that changes its map as fast as it can must not fill
 * memory with them. Above 1.5 times the live set every allocation retires two quiesced obsolete pages, above 2 times
 * it waits for one to retire. So the pool stays within twice the largest number of pages that were valid at one time.
 *
 * Eviction. Second-chance FIFO over the tail of the active list: a page used since the last visit, or that links
 * tables, moves to the head (which keeps the list sorted by generation: both ends of the move are valid pages).
 * Evicted pages are cut from their parent at once, but CPUs may hold translations through them: all of one round
 * wait on pending-free for one flush epoch. That is why it begins at a low-water mark.
 *
 * A round looks at a few pages only, so that it finds none to give up says nothing yet. After some rounds of that, use is
 * no excuse any more. After two turns of the list, there is nothing that could go but blocks of chains, of which it is not known
 * which chains need them: a bump forgets those, too.
 */
#include "mm/mmu/backend.h"

#define EVICT_ROUND    16u   /* pages evicted in one flush epoch */
#define EVICT_LOOK     64u   /* pages looked at for that, at most */
#define EVICT_PATIENCE 512u  /* pages looked at in vain, after which those go that were used, too */
#define EVICT_WORK     2048u /* ended after the page that reaches this (mmu->pages.undone) */

/* Does p stay? With `hard`, not because it was used. */
static bool second_chance(struct mmu *mmu, struct spage *p, gfn_t at, bool hard)
{
	bool used = p->flags & SPAGE_REFERENCED && !hard;

	/* Notes that say something stay; blocks of chains never tell. */
	if (p->role.v & ROLE_NOTES)
		used |= p->children || (p->role.v & ROLE_BLOCKS);
	else
		used |= mmu->backend->stays(mmu, p, at, hard);
	p->flags &= (uint16_t)~SPAGE_REFERENCED;
	return used;
}

static void give_up(struct mmu *mmu, struct spage *p)
{
	if (!(p->role.v & ROLE_NOTES)) {
		mmu->backend->cut(mmu, p);
		return;
	}
	spage_detach(mmu, p);
	spage_pend(mmu, p, mmu->front.flush_epoch + 1);
}

static void evict(struct mmu *mmu, gfn_t at)
{
	uint64_t since = mmu->pages.undone;
	unsigned n = 0;

	for (unsigned looked = 0; looked < EVICT_LOOK && n < EVICT_ROUND &&
				  mmu->pages.undone - since < EVICT_WORK && !list_empty(&mmu->pages.active);
		looked++) {
		struct spage *p = list_last(&mmu->pages.active, struct spage, link);

		if (spage_obsolete(mmu, p))
			break; /* it is reclaim's, when it has quiesced */
		if (second_chance(mmu, p, at, mmu->count.barren > EVICT_PATIENCE)) {
			list_move_head(&mmu->pages.active, &p->link);
			mmu->count.barren++;
			continue;
		}
		give_up(mmu, p);
		n++;
	}
	if (!n)
		return;
	mmu->count.barren = 0;
	mmu->stats.evictions += n;
	mmu_flush_request(mmu, false); /* the epoch that they were put on pending-free for */
	mmu_account(mmu);
}

/* False: the pool would grow above twice the live set with what is still obsolete. That waits for vCPUs on older
 * generations. */
static bool pay_debt(struct mmu *mmu, unsigned need)
{
	uint64_t most = max(mmu->pool.used, 2 * mmu->pages.live_set);

	if (mmu->pool.used + need <= 2 * mmu->pages.live_set || mmu->count.active == mmu->count.valid ||
		MUTANT(no_debt_bound))
		return true;
	mmu_retire(mmu, 2 * need);
	return mmu->pool.used + need <= most || mmu->count.active == mmu->count.valid;
}

int mmu_make_available_slow(struct mmu *mmu, unsigned need, gfn_t at)
{
	struct mmu_pool *pool = &mmu->pool;
	unsigned enough = max(need, (unsigned)MMU_LOW_WATER);

	if (!pay_debt(mmu, need))
		return -E_AGAIN;
	if (pool_available(pool) >= enough)
		return 0;
	if (pool_available(pool) < need)
		mmu_retire(mmu, need);
	if (pool_available(pool) >= enough)
		return 0;
	evict(mmu, at);
	if (pool_available(pool) >= need)
		return 0;
	/* If no other vCPU is in the guest, what was evicted can be taken at once. */
	mmu_retire(mmu, need);
	if (pool_available(pool) >= need)
		return 0;
	if (mmu->front.debt || mmu->count.barren < 2 * mmu->count.active)
		return -E_AGAIN;
	if (mmu->blocks.gen != mmu->front.valid_gen)
		return -E_NOMEM;
	/* None of this generation is left in the next: so this comes again only if something was made in between. */
	mmu_bump(mmu);
	return -E_AGAIN;
}
