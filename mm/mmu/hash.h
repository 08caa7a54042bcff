/* SPDX-License-Identifier: MIT */
/* Shadow pages by gfn and role. (How: mm/mmu/hash.c.) */
#pragma once

#include "mm/mmu/page.h"

/* A chain of the hash: empty unless it is of the valid generation. */
struct hash_bucket {
	uint64_t gen;
	struct spage *first; /* newest first */
};

struct mmu_hash {
	struct hash_bucket *bucket; /* 1 << bits */
	unsigned bits;
	uint64_t factor; /* odd */
};

/* The MMU lock is held, but for the first two. */

/* Makes a hash for about `pages` pages. 0; -E_NOMEM. */
int hash_init(struct mmu *mmu, uint64_t pages);
void hash_fini(struct mmu *mmu);
/* The valid page of this gfn and role, or NULL. */
struct spage *hash_find(const struct mmu *mmu, gfn_t at, role_t role);
/* Valid pages of this gfn whose role has the bits `value` among those of `mask`: the newest, or NULL; the one before p. */
struct spage *hash_find_any(const struct mmu *mmu, gfn_t at, uint32_t mask, uint32_t value);
struct spage *hash_next_any(const struct spage *p, uint32_t mask, uint32_t value);
void hash_add(struct mmu *mmu, struct spage *p);
void hash_remove(struct mmu *mmu, struct spage *p);
