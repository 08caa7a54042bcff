/* SPDX-License-Identifier: MIT */
/*
 * EPT's A and D flags, switched off for one VM.
 *
 * With the flags in use (EPTP bit 6) the CPU's accesses to the guest's own paging structures count as writes (SDM Vol. 3C
 * 28.3.5), so a guest whose page tables lie in a read-only slot cannot run: each walk is an EPT violation, although the guest
 * has written nothing. Without the flags a walk is a read, and a write only where the CPU sets A or D in an entry of the
 * guest's. So the first such walk switches them off:
 *
 *	1. PML off	The CPU logs a page when it sets D, so without D it logs nothing. From now on entries of logged slots are
 *			made write-protected, as on a CPU without page-modification logging (dirty_pml_ready()).
 *	2. A/D off	What is made from now on has neither flag, and no EPTP has bit 6.
 *	3. a bump	Every vCPU takes a new root, and with it the new EPTP. The root is new on every CPU, so each CPU
 *			executes INVEPT before it enters (rule 6). Rule 3 keeps a vCPU that still logs by D, and one that does not,
 *			out of the guest at the same time; the first one's buffer is emptied when it leaves.
 *
 * The flags stay off for the rest of the VM's life: the guest can cause one bump in this way.
 */
#include "lib/log.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"

/* Lock held. */
static void ad_off(struct mmu *mmu)
{
	if (!MUTANT(pml_left_on)) {
		atomic_store(&mmu->front.pml, 0);
		mmu->caps.pml = false;
	}
	mmu->caps.ept_ad = false;
	mmu->stats.ad_off++;
	if (!MUTANT(ad_root_kept))
		mmu_bump(mmu);
}

enum mmu_verdict ept_rom_walked(struct mmu_vcpu *v, gpa_t at)
{
	struct mmu *mmu = v->mmu;
	bool first;

	/* It walked without the flags, so it wrote indeed. */
	if (!(v->root.pointer & EPTP_AD))
		return MMU_ROM;
	YIELD();
	mmu_lock(mmu);
	/* Of several vCPUs that walk at the same time one switches them off, and all try again. */
	first = mmu->caps.ept_ad;
	if (first)
		ad_off(mmu);
	mmu_unlock(mmu);
	if (first)
		log_info("vm %u: page tables in read-only memory at %#lx: EPT's A and D flags go off",
			mmu->vm, at.v);
	return MMU_RESUME;
}
