/* SPDX-License-Identifier: MIT */
/* The memory of tables. (What a chunk looks like: mm/mmu/pool.c.) */
#pragma once

#include "mm/mmu/page.h"

#define MMU_LOW_WATER 16 /* pages below which eviction begins */

struct mmu_pool {
	struct list chunks;
	struct list clean;   /* free pages, table all zeros */
	struct list dirty;   /* free pages, to be zeroed when taken */
	uint64_t free;	     /* that can be taken: on both lists, and never used yet */
	uint64_t used, peak; /* all others, but for those never taken yet */
	uint64_t limit;	     /* the most that may be used */
	uint64_t bytes;	     /* taken from the frame allocator */
	owner_t owner;
	uint32_t growing; /* a CPU is fetching memory now */
	bool exhausted;	  /* the frame allocator has none: it is asked again when the slots change */
};

/* The MMU lock is held, unless it is said otherwise. */

void pool_init(struct mmu_pool *pool, owner_t owner, uint64_t limit);
/* Gives back at most so many chunks. True: none is left. */
bool pool_fini(struct mmu_pool *pool, unsigned most);
/* More memory: 2 MiB. Lock: not held, taken to add it. 0; -E_NOMEM; -E_BUSY: another CPU is at it. */
int pool_grow(struct mmu *mmu);
bool pool_wants_more(const struct mmu_pool *pool);
/* Is it time to look closer (grow, evict)? */
static inline bool pool_low(const struct mmu_pool *pool)
{
	return pool->free < 2 * MMU_LOW_WATER || pool->used + 2 * MMU_LOW_WATER > pool->limit;
}
/* How many pages can be taken now. */
static inline uint64_t pool_available(const struct mmu_pool *pool)
{
	return pool->limit > pool->used ? min(pool->free, pool->limit - pool->used) : 0;
}
struct spage *pool_take(struct mmu_pool *pool);
/* One whose table may hold anything. */
struct spage *pool_take_raw(struct mmu_pool *pool);
/* Gives back p, and what it has for keys. Its table is all zeros if `clean`. */
void pool_put(struct mmu_pool *pool, struct spage *p, bool clean);
