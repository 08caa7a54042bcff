/* SPDX-License-Identifier: MIT */
/* Dirty logs: their memory. (Reading and clearing them: mm/mmu/dirty_read.c.) */
#include "mm/mmu/dirty.h"

#include "lib/string.h"
#include "mm/mmu/internal.h"

#define REAP_PIECES 8 /* of a log, in one go under the lock: some 100 instructions each */

int dirty_log_create(struct mmu *mmu, uint64_t pages, struct dirty_log **out)
{
	struct dirty_log sized = { .pages = pages }, *log;
	uint64_t bytes = sizeof(sized) + 8 * (dirty_words(&sized) + dirty_chunks(&sized));
	uint64_t frames = align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
	pfn_t at;

	if (pages > BIT(52 - PAGE_SHIFT) || frames_alloc_run(frames, mmu->pool.owner, &at))
		return -E_NOMEM;
	log = pfn_to_virt(at);
	memset(log, 0, frames * PAGE_SIZE);
	log->pages = pages;
	log->frames = frames;
	log->moved = log->bits + dirty_words(log);
	list_init(&log->link);
	*out = log;
	return 0;
}

void dirty_log_destroy(struct mmu *mmu, struct dirty_log *log)
{
	frames_free_run(log->frames, mmu->pool.owner, hpa_to_pfn(virt_to_hpa(log)));
}

bool dirty_log_fits(const struct dirty_log *log, uint64_t pages)
{
	return log->pages == pages;
}

__hot void dirty_log_retire(struct mmu *mmu, struct dirty_log *log, const struct mmu_ticket *until)
{
	if (!log)
		return;
	log->until = *until;
	list_add_tail(&mmu->dirty.retired, &log->link);
	mmu->count.retired_logs++;
	mmu_account(mmu);
}

void dirty_logs_retire_all(struct mmu *mmu)
{
	struct slot_table *t = slots_buffer(&mmu->slots);

	for (uint32_t i = 0; t && i < t->n; i++)
		if (t->s[i].pages && t->s[i].log) {
			dirty_log_retire(mmu, t->s[i].log, &(struct mmu_ticket){ 0 });
			t->s[i].log = NULL;
		}
}

/* What is left lies in front, and with it the record, up to the last piece: with that the log leaves the list. */
static void free_retired(struct mmu *mmu, struct dirty_log *log, unsigned most)
{
	const pfn_t at = hpa_to_pfn(virt_to_hpa(log));
	uint64_t left;

	list_del(&log->link);
	left = frames_free_run_some(log->frames, mmu->pool.owner, at, most);
	if (left) {
		log->frames = left;
		list_add_head(&mmu->dirty.retired, &log->link);
	} else {
		mmu->count.retired_logs--;
	}
}

bool dirty_log_reap(struct mmu *mmu)
{
	struct dirty_log *log;

	if (list_empty(&mmu->dirty.retired))
		return false;
	log = list_first(&mmu->dirty.retired, struct dirty_log, link);
	if (!mmu_ticket_ready(mmu, &log->until))
		return false;
	free_retired(mmu, log, REAP_PIECES);
	return true;
}

void dirty_log_destroy_some(struct mmu *mmu, unsigned most)
{
	free_retired(mmu, list_first(&mmu->dirty.retired, struct dirty_log, link), most);
}

void dirty_log_catch_up(struct dirty_log *log, uint64_t first, uint64_t pages)
{
	for (uint64_t c = first / DIRTY_CHUNK; c * DIRTY_CHUNK < first + pages; c++) {
		uint64_t end = min((c + 1) * (DIRTY_CHUNK / 64), dirty_words(log));

		if (log->moved[c] == log->moves)
			continue;
		for (uint64_t w = c * (DIRTY_CHUNK / 64); w < end; w++)
			atomic_store_relaxed(&log->bits[w], dirty_word_mask(log, w));
		log->moved[c] = log->moves;
	}
}
