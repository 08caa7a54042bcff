/* SPDX-License-Identifier: MIT */
/* The nested guest's tables as they are and were: what its vCPUs may reach. */
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/space/guest_mem.h"
#include "tests/support/nested/nested_internal.h"

struct nested_version *nested_now(void)
{
	return &nested.at[nested.version % VERSIONS];
}

void nested_changed(void)
{
	struct nested_version *v = &nested.at[++nested.version % VERSIONS];

	if (nested.version - nested.oldest >= VERSIONS)
		nested.oldest = nested.version - VERSIONS + 1;
	memset(v, 0, sizeof(*v));
	nested.quiet++;
	for (unsigned t = 0; t < TABLES; t++)
		guest_read(
			nested.mmu, gpa(nested.table_gfn[t] << PAGE_SHIFT), v->entry[t], sizeof(v->entry[t]));
	nested.quiet--;
	v->bar = nested.bar;
	v->epoch = nested.mmu->front.flush_epoch;
	v->gen = nested.mmu->front.valid_gen;
	nested_seen.changes++;
}

uint64_t nested_change_begin(void)
{
	nested.changing++;
	return nested.version;
}

void nested_change_end(uint64_t begun)
{
	nested_changed();
	for (uint64_t k = max(begun + 1, nested.oldest); k <= nested.version; k++) {
		nested.at[k % VERSIONS].epoch = nested_now()->epoch;
		nested.at[k % VERSIONS].gen = nested_now()->gen;
	}
	nested.changing--;
}

static void forget_seen(void)
{
	while (!nested.changing && nested.oldest < nested.version) {
		struct nested_version *next = &nested.at[(nested.oldest + 1) % VERSIONS];

		if (!mmu_flushed(nested.mmu, next->epoch) || !mmu_quiescent_below(nested.mmu, next->gen))
			return;
		nested.oldest++;
	}
}

int nested_table_at(uint64_t gfn)
{
	for (unsigned t = 0; t < TABLES; t++)
		if (nested.table_gfn[t] == gfn)
			return (int)t;
	return -1;
}

uint64_t nested_frame_of(const struct nested_version *v, uint64_t gfn)
{
	if (gfn < RAM_PAGES)
		return backing_pfn(nested.ram, gfn).v;
	if (gfn - BAR < BAR_PAGES && v->bar)
		return backing_pfn(v->bar, gfn - BAR).v;
	return 0;
}

int64_t nested_walk(const struct nested_version *v, unsigned root, uint64_t at, unsigned access)
{
	int t = (int)root;

	for (unsigned level = LEVELS;; level--) {
		uint64_t e, i = level_index(at, level);

		if (t < 0 || i >= USED || !nested_frame_of(v, nested.table_gfn[t]))
			return -1;
		e = v->entry[t][i];
		if (!ept_present(e) || (access & ~e))
			return -1;
		if (ept_is_leaf(e, level))
			return (int64_t)(ept_pfn(e).v + (at & (level_pages(level) - 1)));
		t = nested_table_at(ept_pfn(e).v);
	}
}

void nested_check_hit(struct nested_vcpu *v, uint64_t at, unsigned access, uint64_t e, unsigned level)
{
	uint64_t f = ept_pfn(e).v + (at & (level_pages(level) - 1));

	nested_seen.hits++;
	nested_seen.large += level > 1;
	forget_seen();
	for (uint64_t k = nested.oldest; k <= nested.version; k++) {
		const struct nested_version *m = &nested.at[k % VERSIONS];
		int64_t gfn = nested_walk(m, v->root, at, access);

		if (gfn < 0 || nested_frame_of(m, (uint64_t)gfn) != f)
			continue;
		if ((access & MMU_WRITE) && indirect_tracked(nested.mmu, (gfn_t){ (uint64_t)gfn }) &&
			mmu_flushed(nested.mmu, nested.tracked_since[gfn]))
			oracle_fail("vCPU %u writes to gfn %#lx, a table, unseen", v->v.index, gfn);
		return;
	}
	oracle_fail("vCPU %u reaches frame %#lx at %#lx (access %u), which its tables do not say", v->v.index,
		f, at, access);
}
