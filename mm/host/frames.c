/* SPDX-License-Identifier: MIT */
/* Physical frames: the lock, the accounts and scrubbing. Which pieces there are is mm/host/pieces.c's to know. */
#include "mm/host/frames.h"

#include "lib/assert.h"
#include "lib/spinlock.h"
#include "mm/host/pieces.h"

uint64_t direct_map_base;

static struct spinlock lock = SPINLOCK_INIT; /* guards pieces.c's state and the accounts */
static uint64_t owned[OWNERS_MAX];	     /* in pages, but for the records of split blocks */
static uint64_t own_records; /* pages cut off at start for the records of GiBs; never a piece */

#define LOW_PAGES (MiB / PAGE_SIZE) /* real mode's RAM, never handed out */

#define TOP_PAGE (DIRECT_MAP_BYTES / PAGE_SIZE)

/* The pages of r that could be handed out: [*first, return value). */
static uint64_t range_clip(const struct mem_range *r, uint64_t *first)
{
	uint64_t start = hpa_to_pfn(r->base).v;
	uint64_t end = r->pages > TOP_PAGE || start > TOP_PAGE ? TOP_PAGE : min(start + r->pages, TOP_PAGE);

	*first = max(start, LOW_PAGES);
	return max(end, *first);
}

/* RAM that is handed out now or may be later. */
static bool is_ours(enum mem_type t)
{
	return t == MEM_USABLE || t == MEM_BOOT || t == MEM_BOOT_SERVICES;
}

/* Calls add (if not NULL) for each GiB that holds usable RAM or RAM that may be donated. Returns their number. */
static uint32_t for_each_giga(const struct boot_info *bi, void (*add)(uint64_t number))
{
	uint64_t next = 0; /* the first GiB that was not seen yet: ranges are sorted */
	uint32_t n = 0;

	for (unsigned i = 0; i < bi->nranges; i++) {
		uint64_t first, end;

		if (!is_ours(bi->range[i].type))
			continue;
		end = range_clip(&bi->range[i], &first);
		if (first == end)
			continue;
		for (uint64_t g = max(first / PAGES_1G, next); g <= (end - 1) / PAGES_1G; g++) {
			if (add)
				add(g);
			next = g + 1;
			n++;
		}
	}
	return n;
}

int frames_init(const struct boot_info *bi)
{
	uint32_t gigas = for_each_giga(bi, NULL);
	uint64_t need = align_up(pieces_records_bytes(gigas), PAGE_SIZE) / PAGE_SIZE, best_pages = UINT64_MAX,
		 at;
	unsigned best = UINT32_MAX;

	for (unsigned i = 0; i < bi->nranges; i++) {
		uint64_t first, pages;

		if (bi->range[i].type != MEM_USABLE)
			continue;
		pages = range_clip(&bi->range[i], &first) - first;
		if (pages >= need && pages && pages < best_pages) {
			best_pages = pages;
			best = i;
		}
	}
	if (best == UINT32_MAX)
		return -E_NOMEM;
	at = range_clip(&bi->range[best], &(uint64_t){ 0 }) - need;

	lock = (struct spinlock)SPINLOCK_INIT;
	for (unsigned i = 0; i < OWNERS_MAX; i++)
		owned[i] = 0;
	owned[OWNER_LETHE] = own_records = need;
	pieces_init(pfn_to_hpa(pfn(at)), gigas);
	for_each_giga(bi, pieces_add_giga);
	for (unsigned i = 0; i < bi->nranges; i++) {
		uint64_t first, end;

		if (bi->range[i].type != MEM_USABLE)
			continue;
		end = range_clip(&bi->range[i], &first);
		if (i == best)
			end -= need;
		if (pieces_add(pfn(first), end - first))
			panic("a range of usable RAM that was not counted");
	}
	return 0;
}

int frames_donate(hpa_t base, uint64_t pages)
{
	struct mem_range r = { .base = base, .pages = pages };
	uint64_t first, end = range_clip(&r, &first);
	int err;

	spin_lock(&lock);
	err = pieces_add(pfn(first), end - first);
	spin_unlock(&lock);
	return err ? -E_RANGE : 0;
}

int frames_add_boot_services(const struct boot_info *bi)
{
	int err = 0;

	for (unsigned i = 0; i < bi->nranges && !err; i++)
		if (bi->range[i].type == MEM_BOOT_SERVICES)
			err = frames_donate(bi->range[i].base, bi->range[i].pages);
	return err;
}

/* REP STOS writes whole cache lines without reading them first (SDM Vol. 1 7.3.9.3, fast-string operation): as
 * fast as memory, and it needs no vector registers. */
static void clear(uint64_t page, uint64_t pages)
{
	void *to = pfn_to_virt(pfn(page));
	uint64_t n = pages * (PAGE_SIZE / 8);

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0ull) : "memory");
}

/* Clears the parts of a frame that are dirty, a block at a time. */
static void scrub(enum frame_size size, pfn_t frame, const struct piece_dirt *dirt)
{
	if (size == FRAME_4K) {
		if (map512_test(&dirt->part, 0))
			clear(frame.v, 1);
		return;
	}
	for (unsigned b = 0; b < frame_pages(size) / PAGES_2M; b++)
		if (map512_test(&dirt->part, b))
			clear(frame.v + b * PAGES_2M, PAGES_2M);
}

static void check_owner(owner_t owner)
{
	ASSERT(owner != OWNER_NOBODY && owner < OWNERS_MAX);
}

#ifdef LETHE_DEBUG
static uint64_t fail_in; /* the allocation that fails, counted from the next, which is 1; 0: none */

uint64_t frames_fail_at(uint64_t n)
{
	uint64_t left;

	spin_lock(&lock);
	left = fail_in;
	fail_in = n;
	spin_unlock(&lock);
	return left;
}

/* Under the lock. */
static bool frames_fails(void)
{
	return unlikely(fail_in) && !--fail_in;
}
#else
static bool frames_fails(void)
{
	return false;
}
#endif

static int take(enum frame_size size, owner_t owner, pfn_t *out, struct piece_dirt *dirt)
{
	int err;

	check_owner(owner);
	spin_lock(&lock);
	err = frames_fails() ? -E_NOMEM : piece_take(size, owner, out, dirt);
	if (!err)
		owned[owner] += frame_pages(size);
	spin_unlock(&lock);
	return err;
}

static int alloc(enum frame_size size, owner_t owner, bool zero, pfn_t *out)
{
	struct piece_dirt dirt;
	int err = take(size, owner, out, &dirt);

	if (err)
		return err;
	/* The frame is the caller's now and no other CPU touches it: no lock is needed, however long this takes. */
	if (zero)
		map512_fill(&dirt.part, true);
	scrub(size, *out, &dirt);
	return 0;
}

int frame_alloc(enum frame_size size, owner_t owner, pfn_t *out)
{
	return alloc(size, owner, false, out);
}

int frame_alloc_uncleared(enum frame_size size, owner_t owner, pfn_t *out)
{
	struct piece_dirt dirt;

	return take(size, owner, out, &dirt);
}

int frame_alloc_zero(enum frame_size size, owner_t owner, pfn_t *out)
{
	return alloc(size, owner, true, out);
}

void *frame_alloc_zeroed(owner_t owner)
{
	pfn_t f;

	return alloc(FRAME_4K, owner, true, &f) ? NULL : pfn_to_virt(f);
}

int frame_alloc_low(owner_t owner, pfn_t *out)
{
	bool dirty = false;
	int err;

	check_owner(owner);
	spin_lock(&lock);
	err = frames_fails() ? -E_NOMEM : piece_take_low(owner, out, &dirty);
	if (!err)
		owned[owner]++;
	spin_unlock(&lock);
	if (!err && dirty)
		clear(out->v, 1);
	return err;
}

int frames_alloc_run(uint64_t n, owner_t owner, pfn_t *out)
{
	bool dirty;
	int err;

	check_owner(owner);
	ASSERT(n);
	spin_lock(&lock);
	err = frames_fails() ? -E_NOMEM : piece_take_run(n, owner, out, &dirty);
	if (!err)
		owned[owner] += n;
	spin_unlock(&lock);
	if (!err && dirty)
		clear(out->v, n);
	return err;
}

void frame_free(enum frame_size size, owner_t owner, pfn_t frame)
{
	check_owner(owner);
	spin_lock(&lock);
	piece_put(size, owner, frame);
	owned[owner] -= frame_pages(size);
	spin_unlock(&lock);
}

void frame_free_part(owner_t owner, pfn_t part)
{
	check_owner(owner);
	spin_lock(&lock);
	piece_put_part(owner, part);
	owned[owner] -= PAGES_2M;
	spin_unlock(&lock);
}

uint64_t frames_free_run_some(uint64_t n, owner_t owner, pfn_t first, unsigned most)
{
	uint64_t left;

	check_owner(owner);
	spin_lock(&lock);
	left = piece_put_run_some(n, owner, first, most);
	owned[owner] -= n - left;
	spin_unlock(&lock);
	return left;
}

void frames_free_run(uint64_t n, owner_t owner, pfn_t first)
{
	while (n)
		n = frames_free_run_some(n, owner, first, UINT32_MAX);
}

void frames_stats(struct frames_stats *out)
{
	uint64_t records;

	spin_lock(&lock);
	pieces_stats(out, &records);
	out->total += own_records;
	spin_unlock(&lock);
}

uint64_t frames_owned(owner_t owner)
{
	struct frames_stats s;
	uint64_t records = 0, n;

	check_owner(owner);
	spin_lock(&lock);
	n = owned[owner];
	if (owner == OWNER_LETHE) {
		pieces_stats(&s, &records);
		n += records;
	}
	spin_unlock(&lock);
	return n;
}
