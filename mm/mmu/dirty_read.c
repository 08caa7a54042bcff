/* SPDX-License-Identifier: MIT */
/*
 * Reading a dirty log and clearing it (contract, rule 13). For each word of the bitmap, under the lock:
 *
 *	1. take the bits, leaving 0
 *	2. rearm the pages that they name: take W away, or D where the CPU logs by itself
 *
 * and at the end one flush epoch for all. In this order, since a write between the two goes unrecorded, and so does one
 * through a TLB entry that is not flushed yet: both come before the epoch is acknowledged, which is what the caller
 * waits for before it copies. The other way round, a write between the two would clear its own record: D set, bit lost.
 */
#include "mm/mmu/backend.h"

/* The log of slot id, if [first, first + pages) can be read from it. MMU lock held. */
static int find(struct mmu *mmu, slot_id id, uint64_t first, uint64_t pages, const struct slot **out)
{
	const struct slot *s = slots_by_id(&mmu->slots, id);

	if (!s)
		return -E_NOENT;
	if (!s->log || first % 64)
		return -E_INVAL;
	if (!range_within(first, pages, s->pages) || (pages % 64 && first + pages != s->pages))
		return -E_RANGE;
	*out = s;
	return 0;
}

/* Entries and records of indirect pages looked at in one go under the lock, but for the last 64 pages. A guest may map
 * a page very often. */
#define REARM_MOST (4 * DIRTY_CHUNK)

/* Returns how many pages it read. *any: some were dirty. */
static uint64_t read_chunk(
	struct mmu *mmu, const struct slot *s, uint64_t first, uint64_t pages, uint64_t *bitmap, bool *any)
{
	bool pml = dirty_pml_ready(mmu);
	unsigned looked = 0;

	dirty_log_catch_up(s->log, first, pages);
	for (uint64_t n = 0; n < pages; n += 64) {
		uint64_t *word = &s->log->bits[(first + n) / 64];
		uint64_t bits = atomic_load_relaxed(word) ? atomic_xchg(word, 0) : 0;

		bitmap[n / 64] = bits;
		if (!bits)
			continue;
		*any = true;
		looked += mmu->backend->rearm(mmu, (gfn_t){ s->base + first + n }, bits, pml);
		if (looked > REARM_MOST)
			return min(n + 64, pages);
	}
	return pages;
}

/* It takes in all that was asked for before, so that the ticket of a later reading never comes before an earlier one's. */
static void acknowledgement(struct mmu *mmu, bool any, struct mmu_ticket *out)
{
	if (MUTANT(dirty_no_flush))
		return;
	out->flush_epoch = any ? mmu_flush_request(mmu, false) : mmu->front.flush_epoch;
	out->gen = mmu->front.valid_gen - 1;
}

int dirty_log_read_clear(
	struct mmu *mmu, slot_id id, uint64_t first, uint64_t pages, uint64_t *bitmap, struct mmu_ticket *out)
{
	const struct slot *s;
	bool any = false;
	uint64_t done = 0;
	int err;

	*out = (struct mmu_ticket){ 0 };
	do {
		uint64_t now = min(pages - done, (uint64_t)DIRTY_CHUNK);

		YIELD();
		mmu_lock(mmu);
		/* Looked up anew: between two chunks it may have gone, or be another one. */
		err = find(mmu, id, first, pages, &s);
		if (!err)
			done += read_chunk(mmu, s, first + done, now, bitmap + done / 64, &any);
		/* One flush at the end is enough for the log. But a fault that makes a page from a table of the guest's finds its
		 * leaves protected already, and must find the flush asked for, too (indirect_new). */
		if (err || done == pages || mmu->indirect) {
			acknowledgement(mmu, any, out);
			any = false;
		}
		mmu_unlock(mmu);
	} while (!err && done < pages);
	return err;
}
