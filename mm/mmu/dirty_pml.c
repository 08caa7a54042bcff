/* SPDX-License-Identifier: MIT */
/*
 * Page-modification logging (SDM Vol. 3C 28.3.6): the CPU writes the guest-physical address of each page whose D bit it
 * sets into a buffer of the vCPU's, so a logged page can stay writable and costs no exit at its first write.
 *
 *	log begins	front.pml = 1, then a flush epoch: a vCPU that enters in it or later has seen that (mmu_make_ready())
 *	fault, rearm	dirty_pml_ready(): all vCPUs in the guest log. Then D = 0 and writable; else write-protected
 *	VM exit		the buffer goes into the logs (mmu_exit()), before the vCPU counts as outside
 *
 * Entries of slots that are not logged are made with D set, so nothing is written to the buffer for them.
 */
#include "mm/mmu/internal.h"

static bool usable(const struct mmu *mmu)
{
	return mmu->caps.pml && mmu->caps.ept_ad && mmu->ops->pml_set && mmu->ops->pml_drain;
}

void dirty_logs_count(struct mmu *mmu, int by)
{
	mmu->dirty.nlogs += (uint64_t)by;
	if (!usable(mmu) || !!mmu->dirty.nlogs == !!mmu->front.pml)
		return;
	/* The epoch has it noticed when logging ends, too. */
	atomic_store(&mmu->front.pml, !!mmu->dirty.nlogs);
	mmu->dirty.pml_epoch = mmu_flush_request(mmu, false);
}

bool dirty_pml_ready(struct mmu *mmu)
{
	return mmu->front.pml && mmu_flushed(mmu, mmu->dirty.pml_epoch);
}

void mmu_pml_drain(struct mmu_vcpu *v, const uint64_t *buffer, uint16_t index)
{
	unsigned from = index <= MMU_PML_EMPTY ? index + 1u : 0;
	const struct slots *slots = &v->mmu->slots;
	struct slot s;

	if (MUTANT(pml_not_drained))
		return;
	/* Look-ups of slots come after `busy`, which is set already (mmu_exit()). */
	atomic_fence();
	for (unsigned i = from; i <= MMU_PML_EMPTY; i++) {
		gfn_t at = gpa_to_gfn(gpa(buffer[i]));

		if (slots_find(slots, at, &s) && s.log)
			dirty_mark(s.log, at.v - s.base);
	}
}

void dirty_log_moved(struct mmu *mmu, struct dirty_log *log)
{
	/* All of it counts as written. Each part learns of that when it is read (dirty_log_catch_up): a move costs the same
	 * whatever the size of the slot. Where logging by the CPU was switched off (ept_ad.c), a vCPU that has not left the
	 * guest since may still hold a buffer. */
	if (log && mmu->dirty.pml_epoch)
		log->moves++;
}
