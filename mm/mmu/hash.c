/* SPDX-License-Identifier: MIT */
/*
 * Shadow pages by gfn and role: same gfn and same role, same table.
 *
 * Each chain carries the generation that its pages belong to. A chain of an older one reads as empty, and the next page
 * that is added starts it anew (rule 7): so a bump empties the hash without touching it, a look-up never meets an
 * obsolete page, and an obsolete page that is freed need not be taken out of anywhere.
 *
 * The guest chooses the gfns. Which of them share a chain it cannot work out: the factor is another for each VM.
 */
#include "lib/string.h"
#include "mm/mmu/internal.h"

#define BITS_LEAST 8
#define BITS_MOST  20

_Static_assert(sizeof(struct hash_bucket) << BITS_LEAST == PAGE_SIZE, "the smallest hash is one frame");

static uint64_t frames(const struct mmu *mmu)
{
	return (sizeof(struct hash_bucket) << mmu->hash.bits) / PAGE_SIZE;
}

int hash_init(struct mmu *mmu, uint64_t pages)
{
	pfn_t at;

	/* Two pages a chain, when all are there. */
	mmu->hash.bits = BITS_LEAST;
	while (mmu->hash.bits < BITS_MOST && 2ull << mmu->hash.bits < pages)
		mmu->hash.bits++;
	if (frames_alloc_run(frames(mmu), mmu->pool.owner, &at))
		return -E_NOMEM;
	/* 2^64 / golden ratio, which spreads neighbours, by any odd number. */
	mmu->hash.factor = 0x9e3779b97f4a7c15ull * (2 * rdtsc() + 1);
	mmu->hash.bucket = pfn_to_virt(at);
	memset(mmu->hash.bucket, 0, frames(mmu) * PAGE_SIZE); /* 0 is never a valid generation */
	return 0;
}

void hash_fini(struct mmu *mmu)
{
	if (mmu->hash.bucket)
		frames_free_run(frames(mmu), mmu->pool.owner, hpa_to_pfn(virt_to_hpa(mmu->hash.bucket)));
}

/* By the gfn alone, so that all pages of a gfn are found together. */
static struct hash_bucket *bucket(const struct mmu *mmu, gfn_t at)
{
	/* The high bits of the product depend on all bits of the key. */
	return &mmu->hash.bucket[at.v * mmu->hash.factor >> (64 - mmu->hash.bits)];
}

static struct spage *chain(const struct mmu *mmu, const struct hash_bucket *b)
{
	return likely(b->gen == mmu->front.valid_gen || MUTANT(stale_hash_hit)) ? b->first : NULL;
}

/* The first from p on. */
static struct spage *find(struct spage *p, gfn_t at, uint32_t mask, uint32_t value)
{
	while (p && (p->gfn.v != at.v || (p->role.v & mask) != value))
		p = p->hash_next;
	return p;
}

struct spage *hash_find_any(const struct mmu *mmu, gfn_t at, uint32_t mask, uint32_t value)
{
	return find(chain(mmu, bucket(mmu, at)), at, mask, value);
}

struct spage *hash_next_any(const struct spage *p, uint32_t mask, uint32_t value)
{
	return find(p->hash_next, p->gfn, mask, value);
}

struct spage *hash_find(const struct mmu *mmu, gfn_t at, role_t role)
{
	return hash_find_any(mmu, at, ~0u, role.v);
}

void hash_add(struct mmu *mmu, struct spage *p)
{
	struct hash_bucket *b = bucket(mmu, p->gfn);

	p->hash_next = chain(mmu, b);
	b->first = p;
	b->gen = mmu->front.valid_gen;
	p->flags |= SPAGE_HASHED;
}

void hash_remove(struct mmu *mmu, struct spage *p)
{
	struct spage **at = &bucket(mmu, p->gfn)->first;

	while (*at != p)
		at = &(*at)->hash_next;
	*at = p->hash_next;
}
