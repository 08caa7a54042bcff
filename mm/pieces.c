/* SPDX-License-Identifier: MIT */
/*
 * Pieces of RAM. The life of a block (2 MiB):
 *
 *	          add                take 2M                 take 1G (all 512 free)
 *	  HOLE ---------> FREE <----------------> USED          FREE <----> GIGA
 *	    |              ^ |                     (RUN: used, and continues the piece before it)
 *	    | add part     | | take 4K
 *	    v              | v
 *	  SPLIT ---------> SPLIT      back to FREE when its 511 pages are free again
 *
 * Records are linked by number, not by pointer, because the address where RAM is reached changes once (the
 * firmware's identity map, then our direct map).
 */
#include "mm/pieces.h"

#include "lib/assert.h"
#include "lib/string.h"

enum block_state { BLOCK_HOLE, BLOCK_FREE, BLOCK_USED, BLOCK_RUN, BLOCK_GIGA, BLOCK_SPLIT };

struct block {
	uint8_t state;
	uint8_t owner;	 /* of a used block; of a free one the last, OWNER_NOBODY if several or unknown */
	uint16_t record; /* of a split block: which of its pages holds the record */
};

#define NO_GIGA UINT32_MAX

struct giga {
	uint64_t number; /* hpa >> 30 */
	uint32_t prev, next;
	uint32_t nfree;
	struct map512 free;
	struct block block[512];
};

#define PAGE_HOLE 0xff /* as owner of a page: it is not ours to give */
_Static_assert(OWNERS_MAX < PAGE_HOLE, "owners fit a byte");

#define NO_BLOCK UINT64_MAX

/* The record of a split block's pages. Blocks with a free page are on the list `splits`. */
struct split {
	uint64_t prev, next; /* first pfn of the neighbours in the list */
	uint32_t nfree;
	struct map512 free;
	struct map512 run; /* pages that continue the run of the page before them */
	uint8_t owner[512];
};
_Static_assert(sizeof(struct split) <= PAGE_SIZE, "a split block's record is one page of it");

static hpa_t gigas;
static uint32_t gigas_max, ngigas;
static uint32_t partial; /* head of the gigas with 1 to 511 free blocks */
static uint32_t whole;	 /* head of those with 512 */
static uint64_t splits;	 /* head of the split blocks with a free page: its first pfn */
static uint64_t total, records, free_pages, free_blocks, free_gigas;

static struct giga *giga_of(uint32_t index)
{
	return (struct giga *)hpa_to_virt(gigas) + index;
}

/* The record of the GiB that holds pfn `page`, or NULL. Records are sorted by number. */
static struct giga *giga_find(uint64_t page)
{
	uint64_t number = page / PAGES_1G;
	uint32_t low = 0, high = ngigas;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		struct giga *g = giga_of(mid);

		if (g->number == number)
			return g;
		if (g->number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static uint64_t giga_pfn(const struct giga *g, unsigned block)
{
	return g->number * PAGES_1G + block * PAGES_2M;
}

static uint32_t *giga_list(const struct giga *g)
{
	if (!g->nfree)
		return NULL;
	return g->nfree == 512 ? &whole : &partial;
}

static void giga_link(struct giga *g)
{
	uint32_t *head = giga_list(g), index = (uint32_t)(g - giga_of(0));

	if (!head)
		return;
	g->prev = NO_GIGA;
	g->next = *head;
	if (*head != NO_GIGA)
		giga_of(*head)->prev = index;
	*head = index;
}

static void giga_unlink(struct giga *g)
{
	uint32_t *head = giga_list(g);

	if (!head)
		return;
	if (g->prev != NO_GIGA)
		giga_of(g->prev)->next = g->next;
	else
		*head = g->next;
	if (g->next != NO_GIGA)
		giga_of(g->next)->prev = g->prev;
}

/* Counts a block of g as free or no longer free, and moves g to the list where it belongs now. */
static void giga_set_free(struct giga *g, unsigned b, bool on)
{
	uint32_t now = on ? g->nfree + 1 : g->nfree - 1;
	bool moves = g->nfree == 0 || g->nfree == 512 || now == 0 || now == 512;

	ASSERT(map512_test(&g->free, b) != on);
	if (moves)
		giga_unlink(g);
	free_gigas -= g->nfree == 512;
	if (on)
		map512_set(&g->free, b);
	else
		map512_clear(&g->free, b);
	g->nfree = now;
	free_gigas += now == 512;
	free_blocks += on ? 1 : -1ull;
	if (moves)
		giga_link(g);
}

/* Takes block b of g, which is free, into a state of use. Returns its last owner. */
static owner_t block_take(struct giga *g, unsigned b, enum block_state state, owner_t owner)
{
	owner_t last = g->block[b].owner;

	ASSERT(g->block[b].state == BLOCK_FREE);
	giga_set_free(g, b, false);
	g->block[b].state = (uint8_t)state;
	g->block[b].owner = (uint8_t)owner;
	return last;
}

static void block_put(struct giga *g, unsigned b, owner_t last)
{
	g->block[b].state = BLOCK_FREE;
	g->block[b].owner = (uint8_t)last;
	giga_set_free(g, b, true);
}

/* Any free block, from a GiB that is broken already if there is one. */
static bool block_find(struct giga **g, unsigned *b)
{
	uint32_t index = partial != NO_GIGA ? partial : whole;

	if (index == NO_GIGA)
		return false;
	*g = giga_of(index);
	*b = map512_first(&(*g)->free);
	return true;
}

static struct split *split_of(const struct giga *g, unsigned b)
{
	return pfn_to_virt(pfn(giga_pfn(g, b) + g->block[b].record));
}

/* The record of the split block whose first page is `first`. */
static struct split *split_at(uint64_t first)
{
	return split_of(giga_find(first), (unsigned)(first / PAGES_2M % 512));
}

static void split_link(struct split *s, uint64_t first)
{
	s->prev = NO_BLOCK;
	s->next = splits;
	if (splits != NO_BLOCK)
		split_at(splits)->prev = first;
	splits = first;
}

static void split_unlink(struct split *s)
{
	if (s->prev != NO_BLOCK)
		split_at(s->prev)->next = s->next;
	else
		splits = s->next;
	if (s->next != NO_BLOCK)
		split_at(s->next)->prev = s->prev;
}

/* Makes block b of g, which is on no list, a split one whose record lies in page `record`; every other page has
 * the owner `all` and is free, or is a hole if that is PAGE_HOLE. */
static struct split *split_begin(struct giga *g, unsigned b, unsigned record, uint8_t all)
{
	struct split *s;

	g->block[b] = (struct block){ .state = BLOCK_SPLIT, .record = (uint16_t)record };
	s = split_of(g, b);
	memset(s, 0, sizeof(*s));
	memset(s->owner, all, sizeof(s->owner));
	s->owner[record] = OWNER_LETHE;
	records++;
	if (all == PAGE_HOLE)
		return s;
	map512_fill(&s->free, true);
	map512_clear(&s->free, record);
	s->nfree = 511;
	free_pages += 511;
	split_link(s, giga_pfn(g, b));
	return s;
}

/* All pages but the record's are free: one block again. It remembers its last owner only if that is one. */
static void split_end(struct giga *g, unsigned b, struct split *s)
{
	unsigned record = g->block[b].record, other = record == 0;
	uint8_t last = s->owner[other];

	s->owner[record] = last;
	for (unsigned i = 0; i < 512; i++)
		if (s->owner[i] != last)
			last = OWNER_NOBODY;
	split_unlink(s);
	memset(s, 0, PAGE_SIZE); /* so that what is said of the other pages is true of this one */
	records--;
	free_pages -= 511;
	block_put(g, b, last);
}

static owner_t page_take(struct split *s, unsigned p, owner_t owner)
{
	owner_t last = s->owner[p];

	map512_clear(&s->free, p);
	s->owner[p] = (uint8_t)owner;
	free_pages--;
	if (!--s->nfree)
		split_unlink(s);
	return last;
}

static void page_put(struct giga *g, unsigned b, struct split *s, unsigned p)
{
	map512_set(&s->free, p);
	free_pages++;
	if (!s->nfree++)
		split_link(s, giga_pfn(g, b));
	if (s->nfree == 511)
		split_end(g, b, s);
}

/* Does the page continue a run that began before it? (The first page of a used block, or a page of a split one.) */
static bool continues(uint64_t page)
{
	struct giga *g = giga_find(page);
	unsigned b = (unsigned)(page / PAGES_2M % 512);

	if (!g)
		return false;
	if (g->block[b].state == BLOCK_SPLIT)
		return map512_test(&split_of(g, b)->run, (unsigned)(page % PAGES_2M));
	return g->block[b].state == BLOCK_RUN;
}

uint64_t pieces_records_bytes(uint32_t n)
{
	return n * sizeof(struct giga);
}

void pieces_init(hpa_t at, uint32_t n)
{
	gigas = at;
	gigas_max = n;
	ngigas = 0;
	partial = whole = NO_GIGA;
	splits = NO_BLOCK;
	total = records = free_pages = free_blocks = free_gigas = 0;
}

void pieces_add_giga(uint64_t number)
{
	struct giga *g = giga_of(ngigas);

	ASSERT(ngigas < gigas_max && (!ngigas || giga_of(ngigas - 1)->number < number));
	memset(g, 0, sizeof(*g));
	g->number = number;
	ngigas++;
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
	total += n;
	while (page < end) {
		unsigned p = (unsigned)(page % PAGES_2M);
		unsigned k = (unsigned)min(PAGES_2M - p, end - page);

		add_to_block(giga_find(page), (unsigned)(page / PAGES_2M % 512), p, k);
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
		if (whole == NO_GIGA)
			return -E_NOMEM;
		g = giga_of(whole);
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
	if (splits == NO_BLOCK) {
		if (!block_find(&g, &b))
			return -E_NOMEM;
		split_begin(g, b, 511, (uint8_t)block_take(g, b, BLOCK_SPLIT, OWNER_LETHE));
	}
	*out = pfn(splits);
	p = map512_first(&split_at(splits)->free);
	out->v += p;
	dirt_note(dirt, 0, page_take(split_at(splits), p, owner), owner);
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

		for (uint32_t i = 0; i < ngigas; i++) {
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

/* n < 512 pages within one block. */
static int take_short_run(unsigned n, owner_t owner, pfn_t *out, bool *dirty)
{
	struct giga *g;
	unsigned b, p;

	for (uint64_t at = splits; at != NO_BLOCK; at = split_at(at)->next) {
		p = map512_run(&split_at(at)->free, n);
		if (p == 512)
			continue;
		*out = pfn(at + p);
		*dirty = pages_take_run(split_at(at), p, n, owner, false);
		return 0;
	}
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
	if (n > total)
		return -E_NOMEM;
	first = blocks_find_run((n + PAGES_2M - 1) / PAGES_2M);
	if (first == NO_BLOCK)
		return -E_NOMEM;
	*out = pfn(first);
	*dirty = false;
	for (uint64_t page = first; page < first + n; page += PAGES_2M) {
		struct giga *g = giga_find(page);
		unsigned b = (unsigned)(page / PAGES_2M % 512);
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
	unsigned b = (unsigned)(page / PAGES_2M % 512), p = (unsigned)(page % PAGES_2M);
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
	piece_put_run(frame_pages(size), owner, first);
}

void piece_put_run(uint64_t n, owner_t owner, pfn_t first)
{
	uint64_t page = first.v, end = first.v + n, step;

	/* The run begins here, ends there, and is one piece in between. */
	ASSERT(n && end > page && !continues(page) && !continues(end));
	for (; page < end; page += step) {
		struct giga *g = giga_find(page);
		enum block_state state;

		ASSERT(g && (page == first.v || continues(page)));
		state = g->block[page / PAGES_2M % 512].state;
		ASSERT(state == BLOCK_USED || state == BLOCK_RUN || state == BLOCK_SPLIT);
		step = state == BLOCK_SPLIT ? 1 : PAGES_2M;
		ASSERT(step <= end - page);
		put_one(page, state, owner);
	}
}

void pieces_stats(struct frames_stats *out, uint64_t *record_pages)
{
	out->total = total;
	out->free = free_pages + free_blocks * PAGES_2M;
	out->free_pieces[FRAME_4K] = free_pages + free_blocks * (PAGES_2M - 1);
	out->free_pieces[FRAME_2M] = free_blocks;
	out->free_pieces[FRAME_1G] = free_gigas;
	*record_pages = records;
}
