/* SPDX-License-Identifier: MIT */
/*
 * A slot that goes (contract, rule 16): bump the generation, or unmap what maps the slot.
 *
 *	bulk		O(vCPUs) now; the guest faults its working set in again
 *	targeted	each table and leaf of the slot is seen to now, with one flush; nothing else is forgotten
 *	auto		targeted where that is sure to be cheaper, else bulk
 *
 * Which of the two is decided before anything is touched: what unmapping would cost is weighed (backend->unmap, in
 * instructions), and above a bound it is a bump at once. Either way no vCPU goes on before all have left the guest, so
 * the two differ only in cost.
 */
#include "mm/mmu/backend.h"

__hot void mmu_slots_published(struct mmu *mmu, uint64_t before)
{
	/* MMIO entries carry the low bits of the version. When those have gone once around, entries that were left
	 * from the last round must not come true again: all tables go. */
	if (mmu->backend->mmio_bits &&
		mmu->slots.seq >> mmu->backend->mmio_bits != before >> mmu->backend->mmio_bits &&
		!MUTANT(mmio_wrap_no_bump))
		mmu_bump(mmu);
}

/* Tables of a guest that has its own: each of its address spaces needs some. One page of guest memory in so many. */
#define INDIRECT_SHARE 32

void mmu_slots_resized(struct mmu *mmu)
{
	/* All of guest memory mapped by 4 KiB pages, twice for the debt, and MMIO, is below 0.6 % of it. */
	if (!mmu->params_pool_pages)
		mmu->pool.limit =
			max(mmu->pool.limit, mmu->indirect ? 1024 + mmu->slots.pages / INDIRECT_SHARE
							   : 256 + 3 * (mmu->slots.pages / ENTRIES));
	mmu->pool.exhausted = false;
}

static bool unmap(struct mmu *mmu, const struct slot *old, unsigned most)
{
	uint64_t pages = old->pages - (MUTANT(targeted_short) ? 1 : 0);

	return mmu->backend->unmap(mmu, gfn(old->base), pages, most) <= most;
}

__hot void mmu_remove(struct mmu *mmu, const struct slot *old, struct mmu_ticket *out)
{
	unsigned most = mmu->removal.how == MMU_REMOVAL_AUTO ? mmu->backend->crossover : TARGETED_MOST;

	*out = (struct mmu_ticket){ 0 };
	if (mmu->removal.how != MMU_REMOVAL_BULK && unmap(mmu, old, most)) {
		mmu->stats.targeted++;
		if (!MUTANT(targeted_no_flush))
			out->flush_epoch = mmu_flush_request(mmu, true);
	} else {
		mmu_bump(mmu);
		out->gen = mmu->front.valid_gen - 1;
	}
	/* After publishing: a CPU that turns busy with this epoch or a later one finds the new table. */
	out->host_epoch = mmu_host_epoch_next();
}
