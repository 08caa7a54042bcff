/* SPDX-License-Identifier: MIT */
/*
 * The memory of tables: chunks of 2 MiB, each with its descriptors in front.
 *
 *	frame 0       9 10                              511
 *	     +---------+---------------------------------+
 *	     | header, | 502 tables                      |     descriptor i belongs to table i, so that either is
 *	     | 502 desc|                                 |     found from the other without any further memory
 *	     +---------+---------------------------------+
 *
 * That is 81.6 bytes a table beside the table itself. A table on the clean list is all zeros; one on the dirty list
 * is zeroed when it is taken. With MMU_DEBUG_POISON every free table is full of POISON, a present-looking misconfiguration
 * that no walk may ever meet, and goes to the dirty list.
 *
 * A chunk is fetched without the MMU lock, and stays until the VM ends: what a guest has needed once it is likely to need
 * again. It is fetched as another owner left it, since no guest can read a table and each is zeroed when it is taken: to clear
 * 2 MiB at once would keep a CPU in root mode for too long.
 */
#include "lib/string.h"
#include "mm/mmu/internal.h"

#define CHUNK_FRAMES 512u /* of a FRAME_2M */
#define CHUNK_TABLES 502u
#define CHUNK_FIRST  (CHUNK_FRAMES - CHUNK_TABLES)

/* Bits 2:0 = 110b misconfigures; the address is one that can be recognised in a dump. */
#define POISON 0x006b6b6b6b6b6b6eull

struct chunk {
	struct list link;
	/* Tables below were used at least once; the others are in no list and hold anything. */
	unsigned taken;
	struct spage page[CHUNK_TABLES];
};
_Static_assert(
	sizeof(struct chunk) <= CHUNK_FIRST * PAGE_SIZE, "header and descriptors fit before the tables");
_Static_assert(sizeof(struct chunk) > (CHUNK_FIRST - 1) * PAGE_SIZE, "and waste less than a frame");

static struct chunk *chunk_of(const struct spage *p)
{
	return pfn_to_virt(pfn(align_down(hpa_to_pfn(virt_to_hpa(p)).v, CHUNK_FRAMES)));
}

uint64_t *spage_table(const struct spage *p)
{
	struct chunk *c = chunk_of(p);

	return (uint64_t *)((char *)c + (CHUNK_FIRST + (uint64_t)(p - c->page)) * PAGE_SIZE);
}

struct spage *spage_of(pfn_t f)
{
	struct chunk *c = pfn_to_virt(pfn(align_down(f.v, CHUNK_FRAMES)));

	return &c->page[f.v % CHUNK_FRAMES - CHUNK_FIRST];
}

void pool_init(struct mmu_pool *pool, owner_t owner, uint64_t limit)
{
	list_init(&pool->chunks);
	list_init(&pool->clean);
	list_init(&pool->dirty);
	pool->owner = owner;
	pool->limit = limit;
}

bool pool_fini(struct mmu_pool *pool, unsigned most)
{
	for (; !list_empty(&pool->chunks); most--) {
		struct chunk *c = list_first(&pool->chunks, struct chunk, link);

		if (!most)
			return false;
		list_del(&c->link);
		if (mmu_debug & MMU_DEBUG_POISON)
			memset(c, 0x6b, sizeof(*c));
		frame_free(FRAME_2M, pool->owner, hpa_to_pfn(virt_to_hpa(c)));
	}
	return true;
}

/* Tables never used yet, all in the newest chunk. */
static uint64_t fresh(const struct mmu_pool *pool)
{
	return list_empty(&pool->chunks)
		       ? 0
		       : CHUNK_TABLES - list_first(&pool->chunks, struct chunk, link)->taken;
}

/* The next of c that was never used. Its descriptor and its table hold anything until now. */
static struct spage *take_fresh(struct chunk *c)
{
	struct spage *p = &c->page[c->taken++];

	list_init(&p->link);
	p->flags = SPAGE_FREE;
	p->lo = 0;
	p->hi = ENTRIES;
	return p;
}

bool pool_wants_more(const struct mmu_pool *pool)
{
	return pool->free < 2 * MMU_LOW_WATER && pool->used + pool->free < pool->limit && !pool->exhausted;
}

int pool_grow(struct mmu *mmu)
{
	struct mmu_pool *pool = &mmu->pool;
	struct chunk *c;
	pfn_t at;

	if (atomic_xchg(&pool->growing, 1))
		return -E_BUSY;
	if (frame_alloc_uncleared(FRAME_2M, pool->owner, &at)) {
		mmu_lock(mmu);
		pool->exhausted = true;
		mmu_unlock(mmu);
		atomic_store(&pool->growing, 0);
		return -E_NOMEM;
	}
	c = pfn_to_virt(at);
	c->taken = 0;
	mmu_lock(mmu);
	/* Only the first chunk may have fresh tables: those of the one before go to the dirty list. */
	if (fresh(pool)) {
		struct chunk *old = list_first(&pool->chunks, struct chunk, link);

		while (old->taken < CHUNK_TABLES) {
			struct spage *p = take_fresh(old);

			list_add_tail(&pool->dirty, &p->link);
		}
	}
	list_add_head(&pool->chunks, &c->link);
	pool->free += CHUNK_TABLES;
	pool->bytes += CHUNK_FRAMES * PAGE_SIZE;
	mmu_unlock(mmu);
	atomic_store(&pool->growing, 0);
	return 0;
}

static struct spage *first(struct list *l)
{
	return list_empty(l) ? NULL : list_first(l, struct spage, link);
}

/* Out of the pool, with nothing known of it but its descriptor. There must be a page. */
static void taken(struct mmu_pool *pool, struct spage *p)
{
	list_del(&p->link);
	pool->free--;
	pool->used++;
	pool->peak = max(pool->peak, pool->used);
	ASSERT(p->flags == SPAGE_FREE);
	p->flags = 0;
	p->children = 0;
	p->pins = 0;
	p->parent = NULL;
	p->keys = NULL;
	p->hash_next = NULL;
	p->cpus = 0;
}

static struct spage *take_newest(struct mmu_pool *pool)
{
	ASSERT(fresh(pool));
	return take_fresh(list_first(&pool->chunks, struct chunk, link));
}

struct spage *pool_take(struct mmu_pool *pool)
{
	struct spage *p = first(&pool->clean);
	bool clean = p != NULL;

	if (!p)
		p = first(&pool->dirty);
	if (!p)
		p = take_newest(pool);
	if (!clean && p->lo < p->hi)
		entries_zero(spage_table(p) + p->lo, (uint64_t)(p->hi - p->lo));
	p->lo = ENTRIES;
	p->hi = 0;
	taken(pool, p);
	return p;
}

struct spage *pool_take_raw(struct mmu_pool *pool)
{
	struct spage *p = first(&pool->dirty);

	if (!p)
		p = fresh(pool) ? take_newest(pool) : first(&pool->clean);
	/* When it is taken for a table next, all of it is zeroed. */
	p->lo = 0;
	p->hi = ENTRIES;
	taken(pool, p);
	return p;
}

void pool_put(struct mmu_pool *pool, struct spage *p, bool clean)
{
	ASSERT(!(p->flags & (SPAGE_ACTIVE | SPAGE_PENDING | SPAGE_HASHED | SPAGE_FREE)) && !p->pins);
	/* Keys are not cleared: where a table's entry is 0, its key means nothing. */
	if (p->keys) {
		struct spage *keys = spage_of(hpa_to_pfn(virt_to_hpa(p->keys)));

		p->keys = NULL;
		pool_put(pool, keys, false);
	}
	p->flags = SPAGE_FREE;
	p->gen = 0;
	if (unlikely(mmu_debug & MMU_DEBUG_POISON)) {
		uint64_t *t = spage_table(p);

		for (unsigned i = 0; i < ENTRIES; i++)
			atomic_store_relaxed(&t[i], POISON);
		p->lo = 0;
		p->hi = ENTRIES;
		clean = false;
	}
	/* The one freed last is taken first: it is the likeliest to be in a cache. */
	list_add_head(clean ? &pool->clean : &pool->dirty, &p->link);
	pool->free++;
	pool->used--;
}
