/* SPDX-License-Identifier: MIT */
/*
 * Indirect pages on a real CPU: `bench NAME VALUE UNIT`, one line each.
 *
 * Each page is made from a table of the guest's and linked by one of the level above. Of the frames that it maps some are
 * mapped by others, too, as processes share pages; so there are keys, records and chains with blocks, and giving a page back
 * means giving all of these back. Figures are by shadow page: what belongs to it is paid for by it.
 */
#include <stdio.h>

#include "mm/mmu/ept.h"
#include "mm/mmu/indirect.h"
#include "mm/space/slots_change.h"
#include "tests/support/rig/measure.h"

#define RAM_PAGES (8ul << 18)	  /* 8 GiB, of which the upper half */
#define DATA	  (RAM_PAGES / 2) /* is mapped, and the lower holds the guest's tables */

static void start(uint64_t tables)
{
	struct mmu_params p = {
		.vcpus = 1,
		.caps = rig_caps(),
		.guest_maxphyaddr = 46,
		.indirect_pages = tables,
		.pool_pages = 4 * tables,
	};
	struct slot_desc d = { .base = gfn(0), .pages = RAM_PAGES };
	slot_id id;

	p.caps.maxphyaddr = 46;
	rig_start_with(&p, 0, false);
	if (backing_over(MEASURE_RAM, RAM_PAGES, &d.backing) || slot_add(rig.mmu, &d, &id))
		oracle_fail("bench: slot");
	rig_own(d.backing);
	measure_serve(0);
}

/* As a fault that is tried again: pages that were evicted are undone some entries at a time. */
static void make_available(void)
{
	int err;

	do
		err = mmu_make_available(rig.mmu, 2 * INDIRECT_NEW_NEEDS + INDIRECT_MAP_NEEDS, gfn(0));
	while (err == -E_AGAIN);
	if (err)
		oracle_fail("bench: no pages");
}

/* Which frame entry i of table t maps: one in four is shared with the tables around. */
static uint64_t frame(uint64_t t, unsigned i, unsigned entries)
{
	return DATA + (i % 4 ? t * entries + i : (t & ~7ul) * entries + i) % DATA;
}

static void build(uint64_t tables, unsigned entries)
{
	struct spage *above = NULL;

	for (uint64_t t = 0; t < tables; t++) {
		bool flush = false;
		struct spage *p;

		if (pool_wants_more(&rig.mmu->pool))
			pool_grow(rig.mmu);
		mmu_lock(rig.mmu);
		make_available();
		if (t % ENTRIES == 0)
			above = indirect_new(rig.mmu, gfn(DATA - 1 - t / ENTRIES), (role_t){ 2 }, &flush);
		p = indirect_new(rig.mmu, gfn(t), (role_t){ 1 }, &flush);
		indirect_link(rig.mmu, above, t % ENTRIES, p, EPT_RWX);
		mmu_unlock(rig.mmu);
		/* Each a fault of its own. */
		for (unsigned i = 0; i < entries; i++) {
			uint64_t to = frame(t, i, entries);

			if (pool_wants_more(&rig.mmu->pool))
				pool_grow(rig.mmu);
			mmu_lock(rig.mmu);
			make_available();
			indirect_map(
				rig.mmu, p, i * (ENTRIES / entries), gfn(to), (BIT(31) + to) << 12 | EPT_RWX);
			mmu_unlock(rig.mmu);
		}
	}
}

/* ns of CPU time to give back a page, with so many entries in each. */
static double reclaim(uint64_t tables, unsigned entries, double *map_ns, double *clear_ns)
{
	double best = 1e9;
	uint64_t pages = tables + tables / ENTRIES; /* and those above */

	*clear_ns = 1e9;

	*map_ns = 1e9;
	start(tables);
	drained_reset();
	for (unsigned round = 0; round < 3; round++) {
		uint64_t begin = measure_cpu_ns(), built;

		build(tables, entries);
		built = measure_cpu_ns();
		*map_ns = min(*map_ns, (double)(built - begin) / (double)(tables * entries));
		mmu_invalidate_all(rig.mmu);
		measure_serve(0);
		*clear_ns = min(*clear_ns, measure_clear_ns());
		begin = measure_cpu_ns();
		drain(&drained);
		best = min(best, (double)(measure_cpu_ns() - begin) / (double)pages);
	}
	rig_stop();
	return best;
}

/* The worst that a guest can make of one page: it maps as many frames as there are entries, each of which is mapped as
 * often as can be, by this page first. Eviction ends after a page like that, and so does a go of a host store. */
static void worst(void)
{
	uint64_t best = UINT64_MAX;

	start(2 * CHAIN_MOST);
	drained_reset();
	for (unsigned round = 0; round < 3; round++) {
		struct spage *first = NULL;
		uint64_t begin;

		for (uint64_t t = 0; t < CHAIN_MOST; t++) {
			bool flush = false;
			struct spage *p;

			for (unsigned i = 0; i < ENTRIES; i++) {
				if (pool_wants_more(&rig.mmu->pool))
					pool_grow(rig.mmu);
				mmu_lock(rig.mmu);
				make_available();
				if (!i)
					p = indirect_new(rig.mmu, gfn(t), (role_t){ 1 }, &flush);
				indirect_map(rig.mmu, p, i, gfn(DATA + i), (BIT(31) + i) << 12 | EPT_RWX);
				mmu_unlock(rig.mmu);
			}
			first = first ? first : p;
		}
		mmu_lock(rig.mmu);
		begin = measure_cpu_ns();
		indirect_zap(rig.mmu, first);
		best = min(best, measure_cpu_ns() - begin);
		mmu_flush_request(rig.mmu, false);
		mmu_bump(rig.mmu);
		mmu_unlock(rig.mmu);
		measure_serve(0);
		drain(&drained);
	}
	figure("indirect_zap_worst_ns", (double)best, "ns");
	rig_stop();
}

static void memory(void)
{
	uint64_t tables = 16 * 502, bytes;

	start(tables);
	build(tables, ENTRIES);
	bytes = frames_owned(RIG_TABLES) * PAGE_SIZE;
	aim("mmu_bytes_per_4k_indirect", (double)bytes / (double)(tables * ENTRIES), "bytes", EXACT_AT_MOST,
		40);
	rig_stop();
}

int main(void)
{
	double map_ns, clear_ns, full;

	measure_begin(4200 * MiB);
	figure("reclaim_indirect_ns_per_page", reclaim(200000, 16, &map_ns, &clear_ns), "ns");
	figure("indirect_map_ns", map_ns, "ns");
	full = reclaim(50000, ENTRIES, &map_ns, &clear_ns);
	figure("reclaim_indirect_full_ns_per_page", full, "ns");
	aim("reclaim_indirect_full_ratio", full / clear_ns, "ratio", AT_MOST, 6);
	figure("reclaim_indirect_batch_p9999_ns",
		(double)quantile(drained.took, drained.batches, 0.9999) * tick_ns, "ns");
	worst();
	memory();
	return measure_end();
}
