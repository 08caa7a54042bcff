/* SPDX-License-Identifier: MIT */
/*
 * The fault, above the back ends (contract, rule 8). The order matters: pages are made available first, since that may
 * evict; only then is the root checked to be current, and from there on the lock is not dropped. The slot is looked
 * up after that, under the same lock: a slot that went away meanwhile took the generation with it, so its faults
 * start again and are never mistaken for MMIO.
 */
#include "mm/mmu_internal.h"

/* May v's root be built on? */
static bool current(const struct mmu *mmu, const struct mmu_vcpu *v)
{
	return (v->root_gen == mmu->front.valid_gen &&
		       !(atomic_load_relaxed(&v->requests) & MMU_REQ_RELOAD)) ||
	       (MUTANT(no_check_under_lock) && v->root);
}

enum mmu_verdict mmu_fault(struct mmu_vcpu *v, gpa_t at, unsigned access)
{
	struct mmu *mmu = v->mmu;
	enum mmu_verdict verdict = MMU_RESUME;
	int err;

	if (unlikely(pool_low(&mmu->pool)) && pool_wants_more(&mmu->pool))
		pool_grow(mmu);
	YIELD();
	mmu_lock(mmu);
	mmu->stats.faults++;
	err = mmu_make_available(mmu, mmu->root_level, gpa_to_gfn(at));
	if (err == -E_NOMEM)
		verdict = MMU_NO_MEMORY;
	else if (!err && current(mmu, v))
		verdict = ept_fault(mmu, v->eptp, gpa_to_gfn(at), access);
	mmu_unlock(mmu);
	return verdict;
}

enum mmu_verdict mmu_misconfig(struct mmu_vcpu *v, gpa_t at)
{
	struct mmu *mmu = v->mmu;
	enum mmu_verdict verdict = MMU_RESUME;

	mmu_lock(mmu);
	mmu->stats.faults_mmio++;
	if (current(mmu, v))
		verdict = ept_misconfig(mmu, v->eptp, gpa_to_gfn(at));
	mmu_unlock(mmu);
	return verdict;
}
