/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: taken in the largest pieces that there are, 1 GiB first, then 2 MiB, then 4 KiB for the tail.
 *
 * The first frame of a backing holds its record and its first runs; further runs lie in frames of their own, found
 * through dir[]. Both are counted as Lethe's own memory.
 */
#include "mm/map/backing.h"

#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/host/mtrr.h"

#define RUNS_PER_FRAME (PAGE_SIZE / sizeof(struct backing_run))
#define RUNS_INLINE    64
#define DIR_FRAMES     250

struct backing {
	uint64_t pages;
	owner_t owner;
	uint32_t nruns;
	uint32_t hint; /* the run found last: read and written without a lock, and checked */
	struct backing_run first[RUNS_INLINE];
	struct backing_run *dir[DIR_FRAMES];
};
_Static_assert(sizeof(struct backing) <= PAGE_SIZE, "a backing's record fits a frame");

static struct backing_run *run_at(const struct backing *b, uint32_t i)
{
	if (i < RUNS_INLINE)
		return (struct backing_run *)&b->first[i];
	i -= RUNS_INLINE;
	return &b->dir[i / RUNS_PER_FRAME][i % RUNS_PER_FRAME];
}

uint64_t backing_pages(const struct backing *b)
{
	return b->pages;
}

const struct backing_run *backing_find(const struct backing *b, uint64_t page)
{
	uint32_t lo = 0, hi = b->nruns, hint = atomic_load_relaxed(&b->hint);
	const struct backing_run *r = run_at(b, hint);

	if (likely(page - r->first < r->pages))
		return r;
	ASSERT(page < b->pages);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (run_at(b, mid)->first <= page)
			lo = mid;
		else
			hi = mid;
	}
	atomic_store_relaxed(&((struct backing *)b)->hint, lo);
	return run_at(b, lo);
}

/* Appends a piece: makes the last run longer if it continues it, else begins a new one. */
static int append(struct backing *b, enum frame_size size, pfn_t at)
{
	uint64_t n = frame_pages(size);
	int type = mtrr_type(pfn_to_hpa(at), n * PAGE_SIZE);
	struct backing_run *last = b->nruns ? run_at(b, b->nruns - 1) : NULL;

	if (type < 0)
		type = -1;
	if (last && last->size == size && last->memtype == type && last->pfn.v + last->pages == at.v &&
		last->pages + n <= UINT32_MAX) {
		last->pages += (uint32_t)n;
	} else {
		uint32_t i = b->nruns < RUNS_INLINE ? 0 : b->nruns - RUNS_INLINE;

		if (b->nruns >= RUNS_INLINE && i % RUNS_PER_FRAME == 0) {
			if (i / RUNS_PER_FRAME == DIR_FRAMES)
				return -E_NOMEM;
			b->dir[i / RUNS_PER_FRAME] = frame_alloc_zeroed(OWNER_LETHE);
			if (!b->dir[i / RUNS_PER_FRAME])
				return -E_NOMEM;
		}
		*run_at(b, b->nruns++) = (struct backing_run){
			.first = b->pages,
			.pfn = at,
			.pages = (uint32_t)n,
			.size = (uint8_t)size,
			.memtype = (int8_t)type,
		};
	}
	b->pages += n;
	return 0;
}

/* Aligned pieces as large as they go, so that runs can be found and their memory types be uniform. */
int backing_over(hpa_t at, uint64_t pages, struct backing **out)
{
	uint64_t f = hpa_to_pfn(at).v;
	struct backing *b;

	if (!pages || !is_aligned(at.v, PAGE_SIZE) || !range_within(f, pages, BIT(52 - PAGE_SHIFT)))
		return -E_INVAL;
	b = frame_alloc_zeroed(OWNER_LETHE);
	if (!b)
		return -E_NOMEM;
	b->owner = OWNER_NOBODY;
	while (b->pages < pages) {
		enum frame_size size = FRAME_1G;

		while (size > FRAME_4K &&
			(!is_aligned(f, frame_pages(size)) || frame_pages(size) > pages - b->pages))
			size--;
		if (append(b, size, pfn(f))) {
			backing_free(b);
			return -E_NOMEM;
		}
		f += frame_pages(size);
	}
	*out = b;
	return 0;
}

int backing_alloc(uint64_t pages, owner_t owner, struct backing **out)
{
	enum frame_size size = FRAME_1G;
	struct backing *b;
	int err = 0;

	if (!pages)
		return -E_INVAL;
	b = frame_alloc_zeroed(OWNER_LETHE);
	if (!b)
		return -E_NOMEM;
	b->owner = owner;
	while (!err && b->pages < pages) {
		pfn_t at;

		/* Once a size has run out, or is too large for what is left, it is not asked for again. */
		if (frame_pages(size) > pages - b->pages || frame_alloc_zero(size, owner, &at)) {
			if (size == FRAME_4K)
				err = -E_NOMEM;
			else
				size--;
			continue;
		}
		err = append(b, size, at);
		if (err)
			frame_free(size, owner, at);
	}
	if (err) {
		backing_free(b);
		return err;
	}
	*out = b;
	return 0;
}

int backing_repeat(const struct backing *of, uint64_t pages, struct backing **out)
{
	struct backing *b;
	int err = 0;

	if (!pages || pages % of->pages)
		return -E_INVAL;
	b = frame_alloc_zeroed(OWNER_LETHE);
	if (!b)
		return -E_NOMEM;
	b->owner = OWNER_NOBODY;
	for (uint32_t i = 0; !err && b->pages < pages; i = (i + 1) % of->nruns) {
		const struct backing_run *r = run_at(of, i);

		for (uint64_t p = 0; !err && p < r->pages; p += frame_pages(r->size))
			err = append(b, r->size, pfn(r->pfn.v + p));
	}
	if (err) {
		backing_free(b);
		return err;
	}
	*out = b;
	return 0;
}

/* Gives back the end of a run: a piece, but of a piece of 1 GiB 2 MiB. */
static void free_end(struct backing_run *r, owner_t owner)
{
	enum frame_size size = min(r->size, FRAME_2M);

	r->pages -= (uint32_t)frame_pages(size);
	if (r->size == FRAME_1G)
		frame_free_part(owner, pfn(r->pfn.v + r->pages));
	else
		frame_free(size, owner, pfn(r->pfn.v + r->pages));
}

/* From its end, so that what is left is in order. */
bool backing_free_some(struct backing **backing, unsigned most)
{
	struct backing *b = *backing;
	unsigned dirs = 0;

	if (!b)
		return true;
	for (; b->nruns && b->owner != OWNER_NOBODY; b->nruns--)
		for (struct backing_run *r = run_at(b, b->nruns - 1); r->pages; most--) {
			if (!most)
				return false;
			free_end(r, b->owner);
		}
	while (dirs < DIR_FRAMES && b->dir[dirs])
		dirs++;
	for (; dirs; most--) {
		if (!most)
			return false;
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(b->dir[--dirs])));
		b->dir[dirs] = NULL;
	}
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(b)));
	*backing = NULL;
	return true;
}

void backing_free(struct backing *b)
{
	backing_free_some(&b, UINT32_MAX);
}
