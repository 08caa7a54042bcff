/* SPDX-License-Identifier: MIT */
/* Pieces of RAM: added, taken and put back. What a piece is made of stands in mm/host/pieces_internal.h. */
#include "mm/host/pieces_internal.h"

#include "lib/assert.h"

#define LOW_END (4 * PAGES_1G)

/* Does the page continue a run that began before it? (The first page of a used block, or a page of a split one.) */
static bool continues(uint64_t page)
{
	struct giga *g = giga_find(page);
	unsigned b = block_of(page);

	if (!g)
		return false;
	if (g->block[b].state == BLOCK_SPLIT)
		return map512_test(&split_of(g, b)->run, (unsigned)(page % PAGES_2M));
	return g->block[b].state == BLOCK_RUN;
}

/* Pages [p, p + n) of a block that is a hole or a split one. */
static void add_to_block(struct giga *g, unsigned b, unsigned p, unsigned n)
{
	struct split *s;

	if (n == 512) {
		ASSERT(g->block[b].state == BLOCK_HOLE);
		block_put(g, b, OWNER_NOBODY);
		return;
	}
	if (g->block[b].state == BLOCK_HOLE) { /* the last page becomes the record */
		s = split_begin(g, b, p + --n, PAGE_HOLE);
	} else {
		ASSERT(g->block[b].state == BLOCK_SPLIT);
		s = split_of(g, b);
	}
	for (; n; p++, n--) {
		ASSERT(s->owner[p] == PAGE_HOLE);
		s->owner[p] = OWNER_NOBODY;
		page_put(g, b, s, p); /* the last one may end the split: then the loop ends too */
	}
}

int pieces_add(pfn_t first, uint64_t n)
{
	uint64_t page = first.v, end = first.v + n;

	for (uint64_t at = page / PAGES_1G; n && at <= (end - 1) / PAGES_1G; at++)
		if (!giga_find(at * PAGES_1G))
			return -E_NOENT;
	pieces_total += n;
	while (page < end) {
		unsigned p = (unsigned)(page % PAGES_2M);
		unsigned k = (unsigned)min(PAGES_2M - p, end - page);

		add_to_block(giga_find(page), block_of(page), p, k);
		page += k;
	}
	return 0;
}

static void dirt_note(struct piece_dirt *d, unsigned part, owner_t last, owner_t owner)
{
	if (last != owner)
		map512_set(&d->part, part);
}

int piece_take(enum frame_size size, owner_t owner, pfn_t *out, struct piece_dirt *dirt)
{
	struct giga *g;
	unsigned b, p;

	map512_fill(&dirt->part, false);
	if (size == FRAME_1G) {
		if (pieces_whole == NO_GIGA)
			return -E_NOMEM;
		g = giga_of(pieces_whole);
		for (b = 0; b < 512; b++)
			dirt_note(dirt, b, block_take(g, b, BLOCK_GIGA, owner), owner);
		*out = pfn(giga_pfn(g, 0));
		return 0;
	}
	if (size == FRAME_2M) {
		if (!block_find(&g, &b))
			return -E_NOMEM;
		dirt_note(dirt, 0, block_take(g, b, BLOCK_USED, owner), owner);
		*out = pfn(giga_pfn(g, b));
		return 0;
	}
	if (pieces_splits == NO_BLOCK) {
		if (!block_find(&g, &b))
			return -E_NOMEM;
		split_begin(g, b, 511, (uint8_t)block_take(g, b, BLOCK_SPLIT, OWNER_LETHE));
	}
	*out = pfn(pieces_splits);
	p = map512_first(&split_at(pieces_splits)->free);
	out->v += p;
	dirt_note(dirt, 0, page_take(split_at(pieces_splits), p, owner), owner);
	return 0;
}

/* Takes pages [p, p + n) of a split block; `into`: they continue a run. Returns whether one was another's. */
static bool pages_take_run(struct split *s, unsigned p, unsigned n, owner_t owner, bool into)
{
	bool dirty = false;

	for (unsigned i = p; i < p + n; i++) {
		dirty |= page_take(s, i, owner) != owner;
		if (into || i != p)
			map512_set(&s->run, i);
	}
	return dirty;
}

/* Finds nblocks free blocks in a row, at first without breaking a whole GiB. Returns the first pfn or NO_BLOCK. */
static uint64_t blocks_find_run(uint64_t nblocks)
{
	for (int pass = 0; pass < 2; pass++) {
		uint64_t run = 0, next = NO_BLOCK;

		for (uint32_t i = 0; i < pieces_ngigas; i++) {
			struct giga *g = giga_of(i);

			for (unsigned b = 0; b < 512; b++) {
				bool usable = map512_test(&g->free, b) && (pass || g->nfree < 512);

				run = !usable ? 0 : giga_pfn(g, b) == next ? run + 1 : 1;
				next = giga_pfn(g, b) + PAGES_2M;
				if (run == nblocks)
					return next - nblocks * PAGES_2M;
			}
		}
	}
	return NO_BLOCK;
}

/* Takes n pages from a block that is split already and lies below pfn `end`. */
static bool take_from_splits(unsigned n, uint64_t end, owner_t owner, pfn_t *out, bool *dirty)
{
	for (uint64_t at = pieces_splits; at != NO_BLOCK; at = split_at(at)->next) {
		unsigned p = map512_run(&split_at(at)->free, n);

		if (p == 512 || at >= end)
			continue;
		*out = pfn(at + p);
		*dirty = pages_take_run(split_at(at), p, n, owner, false);
		return true;
	}
	return false;
}

int piece_take_low(owner_t owner, pfn_t *out, bool *dirty)
{
	if (take_from_splits(1, LOW_END, owner, out, dirty))
		return 0;
	for (uint32_t i = 0; i < pieces_ngigas; i++) {
		struct giga *g = giga_of(i);
		unsigned b = map512_first(&g->free);

		if (b == 512 || giga_pfn(g, 0) >= LOW_END)
			continue;
		split_begin(g, b, 511, (uint8_t)block_take(g, b, BLOCK_SPLIT, OWNER_LETHE));
		return take_from_splits(1, LOW_END, owner, out, dirty) ? 0 : -E_NOMEM;
	}
	return -E_NOMEM;
}

/* n < 512 pages within one block. */
static int take_short_run(unsigned n, owner_t owner, pfn_t *out, bool *dirty)
{
	struct giga *g;
	unsigned b;

	if (take_from_splits(n, NO_BLOCK, owner, out, dirty))
		return 0;
	if (!block_find(&g, &b))
		return -E_NOMEM;
	*out = pfn(giga_pfn(g, b));
	*dirty = pages_take_run(split_begin(g, b, 511, (uint8_t)block_take(g, b, BLOCK_SPLIT, OWNER_LETHE)),
		0, n, owner, false);
	return 0;
}

int piece_take_run(uint64_t n, owner_t owner, pfn_t *out, bool *dirty)
{
	uint64_t first, tail = n % PAGES_2M;

	if (n < PAGES_2M)
		return take_short_run((unsigned)n, owner, out, dirty);
	if (n > pieces_total)
		return -E_NOMEM;
	first = blocks_find_run((n + PAGES_2M - 1) / PAGES_2M);
	if (first == NO_BLOCK)
		return -E_NOMEM;
	*out = pfn(first);
	*dirty = false;
	for (uint64_t page = first; page < first + n; page += PAGES_2M) {
		struct giga *g = giga_find(page);
		unsigned b = block_of(page);
		owner_t last;

		if (first + n - page >= PAGES_2M) {
			last = block_take(g, b, page == first ? BLOCK_USED : BLOCK_RUN, owner);
			*dirty |= last != owner;
		} else { /* the record at its end is past the run's tail, which is shorter than a block */
			last = block_take(g, b, BLOCK_SPLIT, OWNER_LETHE);
			*dirty |= pages_take_run(
				split_begin(g, b, 511, (uint8_t)last), 0, (unsigned)tail, owner, true);
		}
	}
	return 0;
}

/* Gives back the used block, giga part or page at `page`, which must look exactly as the caller says. */
static void put_one(uint64_t page, enum block_state state, owner_t owner)
{
	struct giga *g = giga_find(page);
	unsigned b = block_of(page), p = (unsigned)(page % PAGES_2M);
	struct split *s;

	ASSERT(g && g->block[b].state == state);
	if (state != BLOCK_SPLIT) {
		ASSERT(g->block[b].owner == owner && p == 0);
		block_put(g, b, owner);
		return;
	}
	s = split_of(g, b);
	ASSERT(p != g->block[b].record && !map512_test(&s->free, p) && s->owner[p] == owner);
	map512_clear(&s->run, p);
	page_put(g, b, s, p);
}

void piece_put(enum frame_size size, owner_t owner, pfn_t first)
{
	ASSERT(is_aligned(first.v, frame_pages(size)));
	if (size == FRAME_1G) {
		for (uint64_t b = 0; b < 512; b++)
			put_one(first.v + b * PAGES_2M, BLOCK_GIGA, owner);
		return;
	}
	(void)piece_put_run_some(frame_pages(size), owner, first, UINT32_MAX);
}

void piece_put_part(owner_t owner, pfn_t part)
{
	ASSERT(is_aligned(part.v, PAGES_2M));
	put_one(part.v, BLOCK_GIGA, owner);
}

uint64_t piece_put_run_some(uint64_t n, owner_t owner, pfn_t first, unsigned most)
{
	/* The run begins here, ends there, and is one piece in between. */
	ASSERT(n && !continues(first.v) && !continues(first.v + n));
	for (; n && most; most--) {
		uint64_t last = first.v + n - 1, step;
		struct giga *g = giga_find(last);
		enum block_state state;

		ASSERT(g);
		state = g->block[block_of(last)].state;
		ASSERT(state == BLOCK_USED || state == BLOCK_RUN || state == BLOCK_SPLIT);
		step = state == BLOCK_SPLIT ? 1 : PAGES_2M;
		ASSERT(step <= n && (step == n || continues(first.v + n - step)));
		n -= step;
		put_one(first.v + n, state, owner);
	}
	return n;
}
