/* SPDX-License-Identifier: MIT */
/*
 * Indirect pages against the oracle: a guest with tables of its own (tests/support/nested/nested.c). LETHE_SEED=n repeats a
 * run, LETHE_STEPS=n makes it longer, LETHE_CONFIG=s takes only configurations whose names contain s.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mm/mmu/ept.h"
#include "mm/mmu/indirect.h"
#include "mm/space/guest_mem.h"
#include "tests/support/nested/nested.h"
#include "tests/support/rig/rig.h"

#define ROUNDS	    3u
#define MORE_ROUNDS 50u /* until all was met, at most */

/* A run that met none of this would prove nothing. */
static bool all_met(const struct nested_config *c)
{
	const struct nested_seen *s = &nested_seen;

	return s->hits && s->large && s->split && s->traps && s->stores && s->reclaimed && s->self &&
	       (!c->pool_pages || s->evictions);
}

static void config_run(void **state)
{
	const struct nested_config *c = *state;
	const char *seed = getenv("LETHE_SEED"), *steps = getenv("LETHE_STEPS");
	uint64_t from = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	const char *only = getenv("LETHE_CONFIG");
	struct nested_seen *s = &nested_seen;

	if (only && !strstr(c->name, only))
		skip();
	memset(s, 0, sizeof(*s));
	for (uint64_t i = 0; i < ROUNDS || (!steps && i < MORE_ROUNDS && !all_met(c)); i++) {
		printf("oracle: %s, LETHE_SEED=%lu\n", c->name, from + i);
		fflush(stdout);
		nested_run(c, from + i, steps ? (unsigned)strtoul(steps, NULL, 0) : 20000);
	}
	printf("oracle: hits %lu (large %lu, split %lu) faults %lu traps %lu guest's faults %lu stores %lu and %lu evictions %lu bumps %lu reclaimed %lu shared %lu self %lu changes %lu migrations %lu nested %lu\n",
		s->hits, s->large, s->split, s->faults, s->traps, s->guest_faults, s->stores,
		s->device_stores, s->evictions, s->bumps, s->reclaimed, s->shared, s->self, s->changes,
		s->migrations, s->nested);
	assert_true(steps || all_met(c));
}

/* ---- step by step ---- */

#define RAM 4096u

static void start(uint64_t pool)
{
	struct mmu_params p = { .vcpus = 2, .caps = rig_caps(), .indirect_pages = 64, .pool_pages = pool };

	rig_start_with(&p, 256 * MiB, true);
	rig_slot(0, RAM, 0);
	mmu_lock(rig.mmu);
}

static void stop(void)
{
	nested_audit(rig.mmu);
	mmu_unlock(rig.mmu);
	rig_stop();
}

static struct spage *page(uint64_t at, unsigned level)
{
	bool flush = false;

	assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
	return indirect_new(rig.mmu, gfn(at), (role_t){ level | EPT_RWX << 4 }, &flush);
}

static bool leaf(struct spage *p, unsigned i, uint64_t at)
{
	assert_false(mmu_make_available(rig.mmu, INDIRECT_MAP_NEEDS, gfn(0)));
	return indirect_map(rig.mmu, p, i, gfn(at), (BIT(20) + at) << PAGE_SHIFT | EPT_RWX);
}

/* Test 15 of the contract's list is the role; this is test 1: what an entry was made from is what goes. */
static void an_entry_made_anew_leaves_nothing_of_the_old_one(void **state)
{
	struct spage *p;

	(void)state;
	start(0);
	p = page(10, 1);
	leaf(p, 3, 100);
	assert_true(leaf(p, 3, 200));
	nested_audit(rig.mmu);
	indirect_write_protect(rig.mmu, gfn(100));
	assert_true(spage_table(p)[3] & SPTE_W);
	assert_true(indirect_write_protect(rig.mmu, gfn(200)));
	assert_false(spage_table(p)[3] & SPTE_W);
	stop();
}

static void a_frame_that_becomes_a_table_loses_its_writable_leaves(void **state)
{
	bool flush = false;
	struct spage *p;

	(void)state;
	start(0);
	p = page(10, 1);
	leaf(p, 0, 100);
	leaf(p, 1, 101);
	assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
	indirect_new(rig.mmu, gfn(100), (role_t){ 1 | EPT_RWX << 4 }, &flush);
	assert_true(flush);
	assert_false(spage_table(p)[0] & SPTE_W);
	assert_true(spage_table(p)[1] & SPTE_W);
	/* And an entry that maps it later gets no W. */
	leaf(p, 2, 100);
	assert_false(spage_table(p)[2] & SPTE_W);
	assert_true(indirect_tracked(rig.mmu, gfn(100)));
	mmu_unlock(rig.mmu);
	indirect_stored(rig.mmu, gpa(100ull << PAGE_SHIFT), PAGE_SIZE, true);
	mmu_lock(rig.mmu);
	assert_false(indirect_tracked(rig.mmu, gfn(100)));
	leaf(p, 2, 100);
	assert_true(spage_table(p)[2] & SPTE_W);
	stop();
}

static void a_table_blocks_large_leaves_around_it(void **state)
{
	bool flush = false;
	struct spage *p, *t;

	(void)state;
	start(0);
	p = page(10, 2);
	assert_true(indirect_large_allowed(rig.mmu, gfn(1024), 2));
	leaf(p, 0, 1024);
	assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
	t = indirect_new(rig.mmu, gfn(1030), (role_t){ 1 | EPT_RWX << 4 }, &flush);
	assert_true(flush);
	assert_int_equal(spage_table(p)[0], 0);
	assert_false(indirect_large_allowed(rig.mmu, gfn(1024), 2));
	assert_false(indirect_large_allowed(rig.mmu, gfn(0), 3));
	assert_true(indirect_large_allowed(rig.mmu, gfn(1536), 2));
	indirect_zap(rig.mmu, t);
	indirect_zap(rig.mmu, p);
	assert_true(indirect_large_allowed(rig.mmu, gfn(1024), 2));
	assert_true(indirect_large_allowed(rig.mmu, gfn(0), 3));
	stop();
}

/* A guest maps a frame as often as it likes; the chain stays short, and complete. */
static void a_chain_is_bounded(void **state)
{
	struct spage *p[2];
	unsigned gone = 0;

	(void)state;
	start(0);
	p[0] = page(10, 1);
	p[1] = page(11, 1);
	for (unsigned i = 0; i < 2 * ENTRIES; i++)
		gone += leaf(p[i / ENTRIES], i % ENTRIES, 300);
	assert_int_equal(gone, 2 * ENTRIES - CHAIN_MOST);
	nested_audit(rig.mmu);
	assert_true(indirect_write_protect(rig.mmu, gfn(300)));
	for (unsigned i = 0; i < 2 * ENTRIES; i++)
		assert_false(spage_table(p[i / ENTRIES])[i % ENTRIES] & SPTE_W);
	stop();
}

/* An instruction may reach one frame at several addresses: whichever goes to make room, it must not be one of the last. */
static void a_full_chain_keeps_what_was_added_last(void **state)
{
	struct spage *p[2];

	(void)state;
	start(0);
	p[0] = page(10, 1);
	p[1] = page(11, 1);
	for (unsigned i = 0; i < CHAIN_MOST; i++)
		leaf(p[0], i, 300);
	for (unsigned i = 0; i < ENTRIES; i++) {
		leaf(p[1], i, 300);
		for (unsigned last = i > 100 ? i - 100 : 0; last <= i; last++)
			assert_true(spage_table(p[1])[last]);
	}
	stop();
}

/* Test 10 of the contract's list. */
static void a_page_may_be_a_root_and_linked_and_link_itself(void **state)
{
	struct spage *p;

	(void)state;
	start(0);
	p = page(10, 4);
	mmu_load_root(&rig.v[0], p);
	indirect_link(rig.mmu, p, 7, p, EPT_RWX);
	nested_audit(rig.mmu);
	indirect_zap(rig.mmu, p);
	/* Cut off at once; its memory stays as long as the vCPU has it. */
	assert_int_equal(spage_table(p)[7], 0);
	assert_true(rig.v[0].requests & MMU_REQ_RELOAD);
	assert_null(indirect_find(rig.mmu, gfn(10), (role_t){ 4 | EPT_RWX << 4 }));
	mmu_flush_request(rig.mmu, true);
	mmu_unlock(rig.mmu);
	assert_int_equal(rig_drain(), 0);
	assert_int_equal(rig_enter(0), 0);
	rig_exit(0);
	assert_int_equal(rig_drain(), 1);
	mmu_lock(rig.mmu);
	stop();
}

/* vCPU 0 has a root that is cut off while vCPU 1 walks through it, on its own: that is returned. No flush asked for yet. */
static struct spage *root_cut_off(void)
{
	struct spage *p, *above;

	start(0);
	p = page(10, 3);
	above = page(11, 4);
	mmu_load_root(&rig.v[0], p);
	mmu_load_root(&rig.v[1], above);
	assert_false(mmu_make_available(rig.mmu, INDIRECT_LINK_NEEDS, gfn(0)));
	indirect_link(rig.mmu, above, 0, p, EPT_RWX);
	mmu_unlock(rig.mmu);
	assert_int_equal(rig_enter(1), 0);
	mmu_lock(rig.mmu);
	assert_true(indirect_zap(rig.mmu, p));
	return above;
}

/* Cut off in its generation, let go of in the next: a vCPU that walked through it may not have left yet. */
static void a_root_cut_off_waits_for_the_flush_even_over_a_bump(void **state)
{
	(void)state;
	root_cut_off();
	mmu_flush_request(rig.mmu, true);
	mmu_bump(rig.mmu);
	mmu_unlock(rig.mmu);
	/* vCPU 1 is on its way out, and its CPU remembers the link. */
	mmu_vcpu_fini(&rig.v[0]);
	assert_int_equal(rig_drain(), 0);
	rig_exit(1);
	assert_true(rig_drain() > 0);
	assert_int_equal(mmu_vcpu_init(&rig.v[0], rig.mmu, 0, 1), 0);
	mmu_lock(rig.mmu);
	stop();
}

/* The same if it is let go of before the flush for its cutting was asked for. */
static void a_root_cut_off_and_left_at_once_waits_for_the_flush(void **state)
{
	struct spage *above;

	(void)state;
	above = root_cut_off();
	mmu_load_root(&rig.v[0], above);
	mmu_flush_request(rig.mmu, false);
	mmu_unlock(rig.mmu);
	assert_int_equal(rig_drain(), 0);
	rig_exit(1);
	assert_int_equal(rig_drain(), 1);
	mmu_lock(rig.mmu);
	stop();
}

/* Which pages of a frame are there: level 1, one for each kind of rights and quadrant. */
static role_t kind(unsigned n)
{
	return (role_t){ 1 | (n & 7) << 4 | (n >> 3) << 7 };
}

static void a_frame_has_few_pages_of_a_level(void **state)
{
	unsigned there = 0;
	bool flush = false;

	(void)state;
	start(0);
	page(10, 2);
	for (unsigned n = 0; n < 32; n++) {
		flush = false;
		assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
		indirect_new(rig.mmu, gfn(10), kind(n), &flush);
		/* What goes is in TLBs. */
		assert_int_equal(flush, n >= INDIRECT_SAME_MOST);
	}
	for (unsigned n = 0; n < 32; n++) {
		bool found = indirect_find(rig.mmu, gfn(10), kind(n));

		there += found;
		assert_true(found == (n >= 32 - INDIRECT_SAME_MOST));
	}
	assert_int_equal(there, INDIRECT_SAME_MOST);
	/* Another level's are not touched: they may lead to the one that is made. */
	assert_non_null(indirect_find(rig.mmu, gfn(10), (role_t){ 2 | EPT_RWX << 4 }));
	stop();
}

static struct {
	uint64_t undone, most, calls, at;
	bool flush;
} between;

/* Pages made from frame 10, of all the roles that there may be, with all their entries in use. Locked. */
static void full_pages(void)
{
	for (unsigned n = 0; n < INDIRECT_SAME_MOST; n++) {
		bool flush = false;
		struct spage *p;

		assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
		p = indirect_new(rig.mmu, gfn(10), kind(n), &flush);
		for (unsigned i = 0; i < ENTRIES; i++)
			leaf(p, i, 512 + i);
	}
}

static void a_store_takes_the_entries_that_it_hits(void **state)
{
	uint64_t value[2] = { 0 };

	(void)state;
	start(0);
	full_pages();
	mmu_unlock(rig.mmu);
	/* Bytes 20 to 35 are of entries 2, 3 and 4. */
	assert_int_equal(guest_write(rig.mmu, gpa(10 << PAGE_SHIFT | 20), value, sizeof(value)), 0);
	for (unsigned n = 0; n < INDIRECT_SAME_MOST; n++) {
		struct spage *p = indirect_find(rig.mmu, gfn(10), kind(n));

		assert_non_null(p);
		for (unsigned i = 0; i < 8; i++)
			assert_true(!spage_table(p)[i] == (i >= 2 && i <= 4));
	}
	/* A table that is stored into again and again without being used is given up. */
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(guest_write(rig.mmu, gpa(10 << PAGE_SHIFT | i * 8), value, 8), 0);
	for (unsigned n = 0; n < INDIRECT_SAME_MOST; n++)
		assert_null(indirect_find(rig.mmu, gfn(10), kind(n)));
	mmu_lock(rig.mmu);
	stop();
}

/* A store that begins with a few bytes of one table goes on with much of the next: all that is made from that goes, whatever the
 * first had. */
static void a_store_over_two_tables_takes_all_of_the_second(void **state)
{
	uint8_t bytes[256] = { 0 };
	bool flush = false;

	(void)state;
	start(0);
	assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
	indirect_new(rig.mmu, gfn(9), kind(0), &flush);
	full_pages();
	mmu_unlock(rig.mmu);
	assert_int_equal(guest_write(rig.mmu, gpa((10 << PAGE_SHIFT) - 16), bytes, sizeof(bytes)), 0);
	assert_non_null(indirect_find(rig.mmu, gfn(9), kind(0)));
	for (unsigned n = 0; n < INDIRECT_SAME_MOST; n++)
		assert_null(indirect_find(rig.mmu, gfn(10), kind(n)));
	mmu_lock(rig.mmu);
	stop();
}

/* To give a page up costs as much as links lead to it. Its entries are undone in the batches that free it. */
static void a_page_that_is_given_up_is_undone_a_little_at_a_time(void **state)
{
	uint64_t undone, all = 0;

	(void)state;
	start(0);
	full_pages();
	undone = rig.mmu->pages.undone;
	mmu_unlock(rig.mmu);
	assert_int_equal(guest_zero(rig.mmu, gpa(10 << PAGE_SHIFT), PAGE_SIZE), 0);
	assert_int_equal(rig.mmu->pages.undone, undone);
	for (unsigned n = 0; n < INDIRECT_SAME_MOST; n++)
		assert_null(indirect_find(rig.mmu, gfn(10), kind(n)));
	for (unsigned batches = 0; mmu_reclaim_waiting(rig.mmu); batches++) {
		undone = rig.mmu->pages.undone;
		mmu_reclaim(rig.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
		/* An entry is undone by looking at three blocks of its chain at most. */
		assert_true(rig.mmu->pages.undone - undone <= 4 * MMU_BATCH_ENTRIES / 64);
		all += rig.mmu->pages.undone - undone;
		assert_true(batches < 1000);
	}
	assert_true(all >= INDIRECT_SAME_MOST * ENTRIES);
	mmu_lock(rig.mmu);
	stop();
}

/* Blocks of chains do not go by eviction. Where they are all that is left, they go by a bump, and all goes on. */
static void a_pool_full_of_blocks_is_no_lack_of_memory(void **state)
{
	unsigned tries = 0;
	uint64_t bumps;
	int err;

	(void)state;
	start(0);
	for (unsigned t = 0; t < 2; t++) {
		struct spage *p = page(10 + t, 1);

		for (unsigned i = 0; i < ENTRIES; i++)
			leaf(p, i, 512 + i);
	}
	rig.mmu->pool.limit = rig.mmu->pool.used;
	bumps = rig.mmu->stats.bumps;
	/* What was given up is undone a few entries at a time. */
	while ((err = mmu_make_available(rig.mmu, 14, gfn(0))) == -E_AGAIN)
		assert_true(++tries < 2 * ENTRIES);
	assert_int_equal(err, 0);
	assert_int_equal(rig.mmu->stats.bumps, bumps + 1);
	/* But more than there can ever be is a lack. */
	tries = 0;
	while ((err = mmu_make_available(rig.mmu, 100, gfn(0))) == -E_AGAIN)
		assert_true(++tries < 20);
	assert_int_equal(err, -E_NOMEM);
	rig.mmu->pool.limit = 256;
	stop();
}

static void a_need_above_low_water_is_met_or_refused(void **state)
{
	(void)state;
	start(0);
	rig.mmu->pool.limit = rig.mmu->pool.used + 2 * MMU_LOW_WATER + 1;
	assert_int_equal(mmu_make_available(rig.mmu, 2 * MMU_LOW_WATER, gfn(0)), 0);
	assert_int_not_equal(mmu_make_available(rig.mmu, 2 * MMU_LOW_WATER + 2, gfn(0)), 0);
	stop();
}

/* Test 7 of the contract's list: entries count, and a page with keys is one page of a batch. */
static void a_batch_of_indirect_pages_keeps_its_bounds(void **state)
{
	uint64_t freed = 0, batches = 0;

	(void)state;
	start(0);
	for (unsigned t = 0; t < 40; t++) {
		struct spage *p = page(t, 1);

		for (unsigned i = 0; i < 100; i++)
			leaf(p, i, 500 + i);
	}
	mmu_bump(rig.mmu);
	mmu_unlock(rig.mmu);
	while (mmu_reclaim_waiting(rig.mmu)) {
		rig.mmu->stats.batch_entries_max = rig.mmu->stats.batch_pages_max = 0;
		freed += mmu_reclaim(rig.mmu, 5, 333);
		batches++;
		assert_true(rig.mmu->stats.batch_entries_max <= 333);
		assert_true(rig.mmu->stats.batch_pages_max <= 5);
	}
	assert_true(freed > 40 && batches >= 12);
	assert_int_equal(rig.mmu->pool.used, rig.mmu->count.valid);
	mmu_lock(rig.mmu);
	stop();
}

static void what_is_obsolete_is_not_found(void **state)
{
	struct spage *p;

	(void)state;
	start(0);
	p = page(10, 1);
	leaf(p, 0, 100);
	mmu_bump(rig.mmu);
	assert_null(indirect_find(rig.mmu, gfn(10), p->role));
	assert_false(indirect_tracked(rig.mmu, gfn(10)));
	assert_true(indirect_large_allowed(rig.mmu, gfn(0), 2));
	assert_false(indirect_write_protect(rig.mmu, gfn(100)));
	/* It may be walked until every vCPU has left: nothing in it was touched. */
	assert_true(spage_table(p)[0] & SPTE_W);
	stop();
}

/* Test 13 of the dirty log's rule: leaves of indirect pages are writers, too. */
static void a_reading_of_the_dirty_log_protects_indirect_leaves(void **state)
{
	uint64_t bitmap[1];
	struct mmu_ticket t;
	struct spage *p;
	slot_id id;

	(void)state;
	start(0);
	mmu_unlock(rig.mmu);
	id = rig_slot(RAM, 64, SLOT_DIRTY_LOG);
	mmu_lock(rig.mmu);
	p = page(10, 1);
	leaf(p, 0, RAM + 5);
	mmu_unlock(rig.mmu);
	assert_int_equal(guest_zero(rig.mmu, gpa((RAM + 5) << PAGE_SHIFT), 8), 0);
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 64, bitmap, &t), 0);
	mmu_lock(rig.mmu);
	assert_int_equal(bitmap[0], BIT(5));
	assert_false(spage_table(p)[0] & SPTE_W);
	stop();
}

/* The second time that the log's reader holds no lock, a page is made from a frame that it has protected. */
static void makes_a_table(void)
{
	if (++between.calls != 2)
		return;
	mmu_lock(rig.mmu);
	assert_false(mmu_make_available(rig.mmu, INDIRECT_NEW_NEEDS, gfn(0)));
	indirect_new(rig.mmu, gfn(between.at), (role_t){ 1 }, &between.flush);
	/* vCPU 1 may write there through its TLB: one way or the other, that has to be waited for. */
	assert_true(between.flush || !mmu_flushed(rig.mmu, rig.mmu->front.flush_epoch));
	mmu_unlock(rig.mmu);
}

static void a_long_reading_of_the_log_hides_no_writer(void **state)
{
	static uint64_t bitmap[2 * DIRTY_CHUNK / 64];
	struct mmu_ticket t;
	slot_id id;

	(void)state;
	start(0);
	mmu_unlock(rig.mmu);
	id = rig_slot(RAM, 2 * DIRTY_CHUNK, SLOT_DIRTY_LOG);
	mmu_lock(rig.mmu);
	leaf(page(10, 1), 0, RAM + 5);
	mmu_unlock(rig.mmu);
	assert_int_equal(guest_zero(rig.mmu, gpa((RAM + 5) << PAGE_SHIFT), 8), 0);
	assert_int_equal(rig_enter(1), 0);
	between.calls = 0;
	between.flush = false;
	between.at = RAM + 5;
	mmu_yield = makes_a_table;
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 2 * DIRTY_CHUNK, bitmap, &t), 0);
	mmu_yield = NULL;
	assert_true(between.calls >= 2);
	assert_int_equal(bitmap[0], BIT(5));
	assert_false(mmu_ticket_ready(rig.mmu, &t));
	rig_exit(1);
	rig_quiesce();
	assert_true(mmu_ticket_ready(rig.mmu, &t));
	mmu_lock(rig.mmu);
	stop();
}

static void counts(void)
{
	between.calls++;
}

/* A page that is mapped very often: one go under the lock does not take many of those. */
static void a_reading_of_the_log_is_bounded(void **state)
{
	static uint64_t bitmap[1024 / 64];
	struct mmu_ticket t;
	slot_id id;

	(void)state;
	start(2000);
	mmu_unlock(rig.mmu);
	id = rig_slot(RAM, 1024, SLOT_DIRTY_LOG);
	mmu_lock(rig.mmu);
	for (unsigned n = 0; n < 128; n++) {
		struct spage *p = page(10 + n, 1);

		for (unsigned i = 0; i < ENTRIES; i++)
			leaf(p, i, RAM + n * 2 + i % 2);
	}
	mmu_unlock(rig.mmu);
	assert_int_equal(guest_zero(rig.mmu, gpa(RAM << PAGE_SHIFT), 1024 * PAGE_SIZE), 0);
	between.calls = 0;
	mmu_yield = counts;
	assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 1024, bitmap, &t), 0);
	mmu_yield = NULL;
	/* 256 pages that are mapped 256 times: 64 of them a go. */
	assert_true(between.calls >= 4);
	for (unsigned n = 0; n < 1024 / 64; n++)
		assert_true(bitmap[n] == UINT64_MAX);
	mmu_lock(rig.mmu);
	stop();
}

/* Rule 16: what targeted removal takes from indirect pages, and where it refuses. */
static void a_slot_that_goes_takes_indirect_leaves_along(void **state)
{
	/* The records of 32 pages, and one for each of the levels above. */
	const unsigned weight =
		3 * INDIRECT_WEIGHT_FIND + 34 * INDIRECT_WEIGHT_RECORD + 2 * INDIRECT_WEIGHT_LEAF;
	struct spage *p;

	(void)state;
	start(0);
	p = page(10, 1);
	leaf(p, 0, 99);
	leaf(p, 1, 100);
	leaf(p, 2, 131);
	leaf(p, 3, 132);
	/* Nothing is touched unless all of it can be done: one below what it weighs, and just that. */
	assert_false(indirect_unmap(rig.mmu, gfn(100), 32, weight - 1));
	assert_true(spage_table(p)[1] && spage_table(p)[2]);
	assert_true(indirect_unmap(rig.mmu, gfn(100), 32, weight));
	assert_true(spage_table(p)[0] && !spage_table(p)[1] && !spage_table(p)[2] && spage_table(p)[3]);
	/* A table of the guest's in it: everything has to go, which is the bump's to do. */
	leaf(p, 4, 5);
	assert_false(indirect_unmap(rig.mmu, gfn(0), 32, UINT32_MAX));
	assert_true(spage_table(p)[4]);
	stop();
}

int main(void)
{
	static const struct CMUnitTest steps[] = {
		cmocka_unit_test(an_entry_made_anew_leaves_nothing_of_the_old_one),
		cmocka_unit_test(a_frame_that_becomes_a_table_loses_its_writable_leaves),
		cmocka_unit_test(a_table_blocks_large_leaves_around_it),
		cmocka_unit_test(a_chain_is_bounded),
		cmocka_unit_test(a_full_chain_keeps_what_was_added_last),
		cmocka_unit_test(a_page_may_be_a_root_and_linked_and_link_itself),
		cmocka_unit_test(a_root_cut_off_waits_for_the_flush_even_over_a_bump),
		cmocka_unit_test(a_root_cut_off_and_left_at_once_waits_for_the_flush),
		cmocka_unit_test(a_frame_has_few_pages_of_a_level),
		cmocka_unit_test(a_store_takes_the_entries_that_it_hits),
		cmocka_unit_test(a_store_over_two_tables_takes_all_of_the_second),
		cmocka_unit_test(a_page_that_is_given_up_is_undone_a_little_at_a_time),
		cmocka_unit_test(a_pool_full_of_blocks_is_no_lack_of_memory),
		cmocka_unit_test(a_need_above_low_water_is_met_or_refused),
		cmocka_unit_test(a_batch_of_indirect_pages_keeps_its_bounds),
		cmocka_unit_test(what_is_obsolete_is_not_found),
		cmocka_unit_test(a_reading_of_the_dirty_log_protects_indirect_leaves),
		cmocka_unit_test(a_long_reading_of_the_log_hides_no_writer),
		cmocka_unit_test(a_reading_of_the_log_is_bounded),
		cmocka_unit_test(a_slot_that_goes_takes_indirect_leaves_along),
	};
	struct CMUnitTest tests[ARRAY_SIZE(steps) + 8];
	unsigned n = nested_nconfigs;

	memset(tests, 0, sizeof(tests));
	for (unsigned i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ nested_configs[i].name, config_run, NULL, NULL,
			(void *)&nested_configs[i] };
	memcpy(tests + n, steps, sizeof(steps));
	return _cmocka_run_group_tests("indirect pages", tests, n + ARRAY_SIZE(steps), NULL, NULL);
}
