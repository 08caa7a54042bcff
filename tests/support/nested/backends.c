/* SPDX-License-Identifier: MIT */
/* EPT and indirect pages in one VM: which of the two a page belongs to is written in it. */
#include "tests/support/nested/backends.h"

#include "mm/mmu/indirect.h"
#include "tests/support/nested/nested_internal.h"

static bool stays(struct mmu *mmu, struct spage *p, gfn_t at, bool hard)
{
	/* A root. Whatever else is used has been found again, which counts as use (SPAGE_REFERENCED). */
	return spage_is_indirect(p) ? p->pins != 0 : ept_stays(mmu, p, at, hard);
}

static void cut(struct mmu *mmu, struct spage *p)
{
	if (spage_is_indirect(p))
		indirect_zap(mmu, p);
	else
		ept_cut(mmu, p);
}

/* The pages below an indirect page can be found by the hash, without it, so none of them is freed with it. */
static unsigned tables_below(const struct spage *p, unsigned most)
{
	return spage_is_indirect(p) ? 0 : ept_below(p, most);
}

static bool detach(struct mmu *mmu, struct spage *p, unsigned *budget)
{
	return spage_is_indirect(p) ? indirect_detach(mmu, p, budget) : ept_detach(mmu, p, budget);
}

/* Neither kind is touched unless both can be done. */
static unsigned unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most)
{
	unsigned direct = ept_weigh(mmu, at, pages, most);

	if (direct > most || !indirect_unmap(mmu, at, pages, most - direct))
		return UINT32_MAX;
	return ept_unmap(mmu, at, pages, most);
}

static unsigned rearm(struct mmu *mmu, gfn_t at, uint64_t bits, bool pml)
{
	ept_rearm(mmu, at, bits, pml);
	return indirect_rearm(mmu, at, bits);
}

static void stored(struct mmu *mmu, gpa_t at, uint64_t bytes)
{
	indirect_stored(mmu, at, bytes, true);
}

static int setup_nested(struct mmu *mmu, const struct mmu_params *p)
{
	int err = ept_setup(mmu, p);

	mmu->shape.fault_needs = FAULT_NEEDS;
	return err;
}

#define MIXED                                                                                                \
	.crossover = EPT_CROSSOVER, .mmio_bits = EPT_MMIO_GEN_BITS, .pointer = ept_pointer_of,               \
	.drop_tags = ept_drop_tags, .stays = stays, .cut = cut, .below = tables_below, .detach = detach,     \
	.unmap = unmap, .rearm = rearm, .stored = stored, .walk = ept_walk

const struct backend backend_mixed = {
	.name = "EPT and indirect pages",
	.setup = ept_setup,
	.root = ept_root,
	.rom_walked = ept_rom_walked,
	MIXED,
};

const struct backend backend_nested = {
	.name = "nested",
	.roots_kept = 2,
	.setup = setup_nested,
	.fault = nested_fault,
	.root = nested_root,
	MIXED,
};
