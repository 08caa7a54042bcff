/* SPDX-License-Identifier: MIT */
/* The shadow back end as the core sees it (mm/mmu/backend.h). */
#include "lib/log.h"
#include "lib/x86.h"
#include "mm/shadow/shadow_internal.h"

static int shadow_setup(struct mmu *mmu, const struct mmu_params *p)
{
	if (p->guest_maxphyaddr < 32 || p->guest_maxphyaddr > 52 || p->caps.maxphyaddr > 52) {
		log_error("vm %u: %u bits of guest-physical address, page tables do 32 to 52", p->vm,
			p->guest_maxphyaddr);
		return -E_NOSUP;
	}
	mmu->caps.pml = mmu->caps.ept_ad = false;
	mmu->shape.levels = LEVELS_MOST;
	mmu->shape.fault_needs = SHADOW_FAULT_NEEDS;
	return 0;
}

static void test_clear_accessed(uint64_t *entry, void *any)
{
	/* A hint, so no flush: at worst it is set a little late. */
	if (atomic_load_relaxed(entry) & PTE_A && atomic_fetch_and(entry, ~(uint64_t)PTE_A) & PTE_A)
		*(bool *)any = true;
}

/* A page that is walked often needs no faults: what tells is the accessed flag of the entries that link it, which the CPU sets. */
static bool shadow_stays(struct mmu *mmu, struct spage *p, gfn_t at, bool hard)
{
	bool used = false;

	(void)mmu;
	(void)at;
	if (p->pins)
		return true;
	chain_each(p->parents, test_clear_accessed, &used);
	return !hard && (used || p->children);
}

/* A bump costs a guest with tables of its own a million instructions of faults, so what unmapping takes is bounded by how long a
 * slot's deletion may take (2,000), with the call's own work. */
#define SHADOW_CROSSOVER 1500u

static void shadow_cut(struct mmu *mmu, struct spage *p)
{
	indirect_zap(mmu, p);
}

/* The pages below can be found by the hash, so none of them goes with p. */
static unsigned shadow_below(const struct spage *p, unsigned most)
{
	(void)p;
	(void)most;
	return 0;
}

static unsigned shadow_unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most)
{
	return indirect_unmap(mmu, at, pages, most) ? 0 : UINT32_MAX;
}

static unsigned shadow_rearm(struct mmu *mmu, gfn_t at, uint64_t bits, bool pml)
{
	(void)pml;
	return indirect_rearm(mmu, at, bits);
}

static void shadow_stored(struct mmu *mmu, gpa_t at, uint64_t bytes)
{
	indirect_stored(mmu, at, bytes, false);
}

static unsigned shadow_walk(const struct mmu_vcpu *v, uint64_t at, struct mmu_step step[])
{
	const struct spage *p = v->root.page;
	unsigned levels = role_level(p->role), n = 0;

	for (unsigned level = levels; p; level--) {
		unsigned i = paging_index(levels, level, at);
		uint64_t e = atomic_load_relaxed(&spage_table(p)[i]);
		bool leaf = e & PTE_P && (level == 1 || e & PTE_PS);

		step[n] = (struct mmu_step){ .entry = e, .level = level, .index = i };
		step[n++].kind = !(e & PTE_P) ? MMU_STEP_EMPTY : leaf ? MMU_STEP_LEAF : MMU_STEP_TABLE;
		p = e & PTE_P && !leaf ? spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT)) : NULL;
	}
	return n;
}

void shadow_unprotect(struct mmu_vcpu *v, gpa_t at)
{
	mmu_lock(v->mmu);
	indirect_zap_frame(v->mmu, gpa_to_gfn(at));
	mmu_account(v->mmu);
	mmu_unlock(v->mmu);
}

void shadow_let_store(struct mmu_vcpu *v, gpa_t at)
{
	mmu_lock(v->mmu);
	indirect_let_store(v->mmu, gpa_to_gfn(at));
	v->smap_let = true;
	mmu_account(v->mmu);
	mmu_unlock(v->mmu);
}

const struct backend mmu_backend_shadow = {
	.name = "shadow page tables",
	.roots_kept = MMU_ROOTS_KEPT,
	.crossover = SHADOW_CROSSOVER,
	.tags_by_vcpu = true,
	.low_root = true,
	.setup = shadow_setup,
	.fault = shadow_build,
	.root = shadow_root,
	.pointer = shadow_pointer,
	.drop_tags = shadow_drop_tags,
	.stays = shadow_stays,
	.cut = shadow_cut,
	.below = shadow_below,
	.detach = indirect_detach,
	.unmap = shadow_unmap,
	.rearm = shadow_rearm,
	.stored = shadow_stored,
	.walk = shadow_walk,
};
