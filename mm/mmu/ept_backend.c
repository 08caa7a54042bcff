/* SPDX-License-Identifier: MIT */
/* The EPT back end as the core sees it (mm/mmu/backend.h): what it needs of the CPU, roots, tags, second chance, dumps. */
#include "lib/log.h"
#include "mm/host/mtrr.h"
#include "mm/mmu/backend.h"

int ept_setup(struct mmu *mmu, const struct mmu_params *p)
{
	unsigned most = p->caps.ept_5level ? 52 : 48;

	if (!p->caps.ept || (!p->caps.ept_wb && !p->caps.ept_uc)) {
		log_error("vm %u: this CPU has no EPT with a memory type that can be used", p->vm);
		return -E_NOSUP;
	}
	if (p->guest_maxphyaddr < 32 || p->guest_maxphyaddr > most || p->caps.maxphyaddr > 52) {
		log_error("vm %u: %u bits of guest-physical address, this CPU's EPT does 32 to %u", p->vm,
			p->guest_maxphyaddr, most);
		return -E_NOSUP;
	}
	mmu->shape.levels = p->guest_maxphyaddr > 48 ? 5 : 4;
	mmu->shape.fault_needs = mmu->shape.levels;
	return 0;
}

uint64_t ept_pointer(const struct mmu *mmu, const struct spage *root)
{
	uint64_t type = mmu->caps.ept_wb ? MT_WB : MT_UC;

	return virt_to_hpa(spage_table(root)).v | (mmu->caps.ept_ad ? EPTP_AD : 0) |
	       (uint64_t)(mmu->shape.levels - 1) << EPTP_LEVELS_AT | type;
}

uint64_t ept_pointer_of(const struct mmu_vcpu *v, const struct spage *root)
{
	return ept_pointer(v->mmu, root);
}

/* All vCPUs share one; the first that needs it makes it. */
int ept_root(struct mmu_vcpu *v, struct spage **out)
{
	struct mmu *mmu = v->mmu;
	role_t role = { mmu->shape.levels | ROLE_DIRECT | EPT_RWX << 4 };
	struct spage *root = hash_find(mmu, gfn(0), role);

	if (!root) {
		int err = mmu_make_available(mmu, 1, gfn(0));

		if (err)
			return err;
		root = spage_new(mmu, gfn(0), role, NULL);
		hash_add(mmu, root);
		mmu->root = root;
	}
	*out = root;
	return 0;
}

void ept_drop_tags(struct mmu_vcpu *v)
{
	TRACE(TRACE_MMU, "INVEPT of EPTP %#lx, generation %lu", v->root.pointer, v->root.gen, 0);
	v->ops->invept_single(v->root.pointer);
}

/* Does p translate `at`? Then it is on the path of the fault that needs a page. */
static bool covers(const struct spage *p, gfn_t at)
{
	return (p->gfn.v ^ at.v) >> (9 * role_level(p->role)) == 0;
}

/* The A flag of the entry that links p, which is cleared. */
bool ept_test_clear_accessed(struct mmu *mmu, struct spage *p)
{
	if (!mmu->caps.ept_ad || !(atomic_load_relaxed(p->parent) & EPT_A))
		return false;
	/* Atomic: the CPU sets it in its own time. It is a hint, so no flush: at worst it is set a little late. */
	atomic_fetch_and(p->parent, ~EPT_A);
	return true;
}

bool ept_stays(struct mmu *mmu, struct spage *p, gfn_t at, bool hard)
{
	bool used;

	if (!p->parent)
		return !MUTANT(evict_path); /* a root: pinned, or about to be */
	used = ept_test_clear_accessed(mmu, p) && !hard;
	return used || p->pins || p->children || covers(p, at);
}

bool ept_sound(const struct mmu *mmu, uint64_t e, unsigned level)
{
	uint64_t type = bits_get(e, 5, 3), address = BITS(mmu->caps.maxphyaddr - 1, PAGE_SHIFT);

	if (!e)
		return true;
	if (!ept_present(e) || (e & EPT_ADDR & ~address))
		return false;
	if (ept_is_table(e, level))
		return !bits_get(e, 7, 3);
	if (level > 3 || (level > 1 && (e & EPT_ADDR & (level_pages(level) * PAGE_SIZE - 1))))
		return false;
	return type == MT_UC || type == MT_WC || type == MT_WT || type == MT_WP || type == MT_WB;
}

unsigned ept_walk(const struct mmu_vcpu *v, uint64_t at, struct mmu_step step[])
{
	const struct spage *p = v->root.page;
	unsigned level = role_level(p->role), n = 0;

	if (at >> level_shift(level + 1))
		return 0;
	for (; p; level--) {
		unsigned i = level_index(at, level);
		uint64_t e = ept_read(&spage_table(p)[i]);
		struct mmu_step *s = &step[n++];

		*s = (struct mmu_step){ .entry = e, .level = level, .index = i };
		s->kind = ept_is_table(e, level)  ? MMU_STEP_TABLE
			  : ept_is_leaf(e, level) ? MMU_STEP_LEAF
			  : ept_is_mmio(e)	  ? MMU_STEP_MMIO
						  : MMU_STEP_EMPTY;
		p = s->kind == MMU_STEP_TABLE ? spage_of(ept_pfn(e)) : NULL;
		if (p)
			s->below = v->mmu->backend->below(p, MMU_STEP_COUNTED);
	}
	return n;
}

const struct backend mmu_backend_ept = {
	.name = "EPT",
	.crossover = EPT_CROSSOVER,
	.mmio_bits = EPT_MMIO_GEN_BITS,
	.setup = ept_setup,
	.root = ept_root,
	.pointer = ept_pointer_of,
	.drop_tags = ept_drop_tags,
	.stays = ept_stays,
	.cut = ept_cut,
	.below = ept_below,
	.detach = ept_detach,
	.unmap = ept_unmap,
	.rearm = ept_rearm,
	.rom_walked = ept_rom_walked,
	.walk = ept_walk,
};
