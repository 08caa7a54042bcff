/* SPDX-License-Identifier: MIT */
/*
 * The dirty log: one bit for each page of a slot, set when it is written (write faults, PML) or just after (stores by
 * the host).
 * The bit is the record, D bits in tables never are: so a bump, which forgets all tables, forgets no write.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/list.h"
#include "mm/mmu.h"

struct dirty_log {
	struct list link; /* retired: on mmu->retired_logs */
	struct mmu_ticket until;
	uint64_t pages, frames;
	uint64_t bits[]; /* bit n % 64 of word n / 64: page n of the slot */
};

/* Clean and contiguous. 0 or -E_NOMEM. Lock: must not be held. */
int dirty_log_create(struct mmu *mmu, uint64_t pages, struct dirty_log **out);
void dirty_log_destroy(struct mmu *mmu, struct dirty_log *log);
bool dirty_log_fits(const struct dirty_log *log, uint64_t pages);
/* To be freed once no CPU can be writing to it. NULL: nothing. MMU lock held. */
void dirty_log_retire(struct mmu *mmu, struct dirty_log *log, const struct mmu_ticket *until);
/* Frees retired logs whose time has come; all of them if `all`. MMU lock held. */
void dirty_logs_reap(struct mmu *mmu, bool all);

/* The bits of word w that stand for pages. */
static inline uint64_t dirty_word_mask(const struct dirty_log *log, uint64_t w)
{
	return log->pages - 64 * w < 64 ? (1ull << (log->pages - 64 * w)) - 1 : ~0ull;
}

static inline void dirty_mark(struct dirty_log *log, uint64_t page)
{
	uint64_t *word = &log->bits[page / 64], bit = 1ull << page % 64;

	if (!(atomic_load_relaxed(word) & bit))
		atomic_fetch_or(word, bit);
}
