/* SPDX-License-Identifier: MIT */
/* Dirty logs: their memory. (Reading and clearing them: mm/dirty_read.c.) */
#include "mm/dirty.h"

#include "lib/string.h"
#include "mm/mmu_internal.h"

int dirty_log_create(struct mmu *mmu, uint64_t pages, struct dirty_log **out)
{
	uint64_t bytes = sizeof(struct dirty_log) + align_up(pages, 64) / 8;
	uint64_t frames = align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
	pfn_t at;

	if (pages > BIT(52 - PAGE_SHIFT) || frames_alloc_run(frames, mmu->pool.owner, &at))
		return -E_NOMEM;
	*out = pfn_to_virt(at);
	memset(*out, 0, frames * PAGE_SIZE);
	(*out)->pages = pages;
	(*out)->frames = frames;
	list_init(&(*out)->link);
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

void dirty_log_retire(struct mmu *mmu, struct dirty_log *log, const struct mmu_ticket *until)
{
	if (!log)
		return;
	log->until = *until;
	list_add_tail(&mmu->retired_logs, &log->link);
	mmu->nretired_logs++;
	mmu_account(mmu);
}

void dirty_logs_reap(struct mmu *mmu, bool all)
{
	while (!list_empty(&mmu->retired_logs)) {
		struct dirty_log *log = list_first(&mmu->retired_logs, struct dirty_log, link);

		if (!all && !mmu_ticket_ready(mmu, &log->until))
			return;
		list_del(&log->link);
		mmu->nretired_logs--;
		dirty_log_destroy(mmu, log);
	}
}
