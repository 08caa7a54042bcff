/* SPDX-License-Identifier: MIT */
/*
 * The fault, above the back ends (contract, rule 8). The order matters: pages are made available first, since that may
 * evict; only then is the root checked to be current, and from there on the lock is not dropped. The slot is looked
 * up after that, under the same lock: a slot that went away meanwhile took the generation with it, or left a request to
 * wait for all, so its faults start again and are never mistaken for MMIO.
 */
#include "mm/mmu/backend.h"

/* May v's root be built on, and what the map says now be acted on? With a flush to be waited for, others may reach what
 * is gone by now. An access to the hole that it left would be emulated before they have left the guest, and what it
 * tells them (MOVS writes to RAM what it has read) would come before rule 3 allows. */
static bool current(const struct mmu *mmu, const struct mmu_vcpu *v)
{
	uint32_t not_yet = MMU_REQ_RELOAD | (MUTANT(fault_unflushed) ? 0 : MMU_REQ_FLUSH);

	return (v->root.gen == mmu->front.valid_gen && !(atomic_load_relaxed(&v->requests) & not_yet)) ||
	       (MUTANT(no_check_under_lock) && v->root.page);
}

/* f: NULL for an EPT violation, which has a copy of its own. */
static inline __attribute__((always_inline)) enum mmu_verdict fault(
	struct mmu_vcpu *v, gfn_t at, unsigned access, const struct mmu_fault *f)
{
	struct mmu *mmu = v->mmu;
	enum mmu_verdict verdict = MMU_RESUME;
	int err;

	YIELD();
	mmu_lock(mmu);
	if (unlikely(pool_low(&mmu->pool)) && pool_wants_more(&mmu->pool)) {
		mmu_unlock(mmu);
		pool_grow(mmu);
		mmu_lock(mmu);
	}
	mmu->stats.faults++;
	err = mmu_make_available(mmu, mmu->shape.fault_needs, at);
	if (err == -E_NOMEM)
		verdict = MMU_NO_MEMORY;
	else if (!err && current(mmu, v))
		verdict = f ? mmu->backend->fault(v, f) : backend_violation(mmu, v, at, access);
	mmu_unlock(mmu);
	return verdict;
}

enum mmu_verdict mmu_violation(struct mmu_vcpu *v, gpa_t at, unsigned access)
{
	return fault(v, gpa_to_gfn(at), access, NULL);
}

enum mmu_verdict mmu_fault(struct mmu_vcpu *v, const struct mmu_fault *f)
{
	return fault(v, gpa_to_gfn(f->at), f->access, f);
}

/*
 * Device accesses come one after the other, and to few places. Where the last one was found to be in a hole of the map,
 * and the map is the same still, this one is too: no lock, no walk. (The tables could not be walked without the lock:
 * they may be on their way to the pool.)
 */
enum mmu_verdict mmu_misconfig(struct mmu_vcpu *v, gpa_t at)
{
	struct mmu *mmu = v->mmu;
	enum mmu_verdict verdict = MMU_RESUME;
	uint64_t gfn = gpa_to_gfn(at).v;

	if (likely(gfn - v->hole_first < v->hole_pages) &&
		likely(atomic_load(&mmu->slots.seq) == v->hole_seq || MUTANT(mmio_ignores_gen))) {
		atomic_store_relaxed(&v->hole_hits, v->hole_hits + 1); /* mmu_stats() reads it */
		return MMU_MMIO;
	}
	YIELD();
	mmu_lock(mmu);
	mmu->stats.faults_mmio++;
	if (current(mmu, v))
		verdict = backend_misconfig(mmu, v, gpa_to_gfn(at));
	if (verdict == MMU_MMIO) {
		slots_gap(&mmu->slots, gpa_to_gfn(at), &v->hole_first, &v->hole_pages);
		v->hole_pages -= v->hole_first;
		v->hole_seq = mmu->slots.seq;
	}
	mmu_unlock(mmu);
	return verdict;
}

enum mmu_verdict mmu_rom_walked(struct mmu_vcpu *v, gpa_t at)
{
	const struct backend *b = v->mmu->backend;

	return b->rom_walked ? b->rom_walked(v, at) : MMU_ROM;
}

unsigned mmu_walk(struct mmu_vcpu *v, gpa_t at, struct mmu_step step[])
{
	struct mmu *mmu = v->mmu;
	unsigned n = 0;

	mmu_lock(mmu);
	/* Tables of an older generation may be in the pool again. */
	if (v->root.gen == mmu->front.valid_gen)
		n = mmu->backend->walk(v, gpa_to_gfn(at).v, step);
	mmu_unlock(mmu);
	return n;
}
