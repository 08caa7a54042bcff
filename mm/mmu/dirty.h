/* SPDX-License-Identifier: MIT */
/*
 * The dirty log: one bit for each page of a slot, set when it is written (write faults, PML) or just after (stores by
 * the host).
 * The bit is the record, D bits in tables never are: so a bump, which forgets all tables, forgets no write.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "mm/mmu/mmu.h"

struct dirty_log {
	struct list link; /* retired: on mmu->dirty.retired */
	struct mmu_ticket until;
	uint64_t pages, frames;
	uint64_t moves; /* how often all of it became dirty at once: the slot has moved (dirty_log_moved) */
	uint64_t *
		moved; /* behind the bits: for each DIRTY_CHUNK pages, up to which of these moves they know */
	uint64_t bits[]; /* bit n % 64 of word n / 64: page n of the slot */
};

static inline uint64_t dirty_words(const struct dirty_log *log)
{
	return align_up(log->pages, 64) / 64;
}
static inline uint64_t dirty_chunks(const struct dirty_log *log)
{
	return align_up(log->pages, DIRTY_CHUNK) / DIRTY_CHUNK;
}

/* Clean and contiguous. 0 or -E_NOMEM. Lock: must not be held. */
int dirty_log_create(struct mmu *mmu, uint64_t pages, struct dirty_log **out);
void dirty_log_destroy(struct mmu *mmu, struct dirty_log *log);
/* Frees `most` pieces, of 2 MiB or 4 KiB, of the oldest retired log. For mmu_destroy_some(). */
void dirty_log_destroy_some(struct mmu *mmu, unsigned most);
bool dirty_log_fits(const struct dirty_log *log, uint64_t pages);
/* To be freed once no CPU can be writing to it. NULL: nothing. MMU lock held. */
void dirty_log_retire(struct mmu *mmu, struct dirty_log *log, const struct mmu_ticket *until);
/* The VM is gone: the logs of its slots are retired, and may be freed at once. */
void dirty_logs_retire_all(struct mmu *mmu);
/* Frees a piece of the oldest retired log, if its ticket is ready: a log of 1 TiB has 32 MiB. True: it did. MMU lock held. */
bool dirty_log_reap(struct mmu *mmu);
/* All pages of the chunks that [first, first + pages) touches are marked, if the log has moved since they were last read.
 * MMU lock held. */
void dirty_log_catch_up(struct dirty_log *log, uint64_t first, uint64_t pages);

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
