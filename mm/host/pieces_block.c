/* SPDX-License-Identifier: MIT */
/*
 * Pieces of RAM: the records of GiBs, blocks and pages, and the lists that they are on.
 *
 * Records are linked by number, not by pointer, because the address where RAM is reached changes once (the
 * firmware's identity map, then our direct map).
 */
#include "mm/host/pieces_internal.h"

#include "lib/assert.h"
#include "lib/string.h"

static hpa_t gigas;
static uint32_t gigas_max;
uint32_t pieces_ngigas;
static uint32_t partial; /* head of the gigas with 1 to 511 free blocks */
uint32_t pieces_whole;	 /* head of those with 512 */
uint64_t pieces_splits;	 /* head of the split blocks with a free page: its first pfn */
uint64_t pieces_total;	 /* pages that were added */
static uint64_t records, free_pages, free_blocks, free_gigas;

struct giga *giga_of(uint32_t index)
{
	return (struct giga *)hpa_to_virt(gigas) + index;
}

struct giga *giga_find(uint64_t page)
{
	uint64_t number = page / PAGES_1G;
	uint32_t low = 0, high = pieces_ngigas;

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

static uint32_t *giga_list(const struct giga *g)
{
	if (!g->nfree)
		return NULL;
	return g->nfree == 512 ? &pieces_whole : &partial;
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

owner_t block_take(struct giga *g, unsigned b, enum block_state state, owner_t owner)
{
	owner_t last = g->block[b].owner;

	ASSERT(g->block[b].state == BLOCK_FREE);
	giga_set_free(g, b, false);
	g->block[b].state = (uint8_t)state;
	g->block[b].owner = (uint8_t)owner;
	return last;
}

void block_put(struct giga *g, unsigned b, owner_t last)
{
	g->block[b].state = BLOCK_FREE;
	g->block[b].owner = (uint8_t)last;
	giga_set_free(g, b, true);
}

bool block_find(struct giga **g, unsigned *b)
{
	uint32_t index = partial != NO_GIGA ? partial : pieces_whole;

	if (index == NO_GIGA)
		return false;
	*g = giga_of(index);
	*b = map512_first(&(*g)->free);
	return true;
}

struct split *split_of(const struct giga *g, unsigned b)
{
	return pfn_to_virt(pfn(giga_pfn(g, b) + g->block[b].record));
}

struct split *split_at(uint64_t first)
{
	return split_of(giga_find(first), block_of(first));
}

static void split_link(struct split *s, uint64_t first)
{
	s->prev = NO_BLOCK;
	s->next = pieces_splits;
	if (pieces_splits != NO_BLOCK)
		split_at(pieces_splits)->prev = first;
	pieces_splits = first;
}

static void split_unlink(struct split *s)
{
	if (s->prev != NO_BLOCK)
		split_at(s->prev)->next = s->next;
	else
		pieces_splits = s->next;
	if (s->next != NO_BLOCK)
		split_at(s->next)->prev = s->prev;
}

struct split *split_begin(struct giga *g, unsigned b, unsigned record, uint8_t all)
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

owner_t page_take(struct split *s, unsigned p, owner_t owner)
{
	owner_t last = s->owner[p];

	map512_clear(&s->free, p);
	s->owner[p] = (uint8_t)owner;
	free_pages--;
	if (!--s->nfree)
		split_unlink(s);
	return last;
}

void page_put(struct giga *g, unsigned b, struct split *s, unsigned p)
{
	map512_set(&s->free, p);
	free_pages++;
	if (!s->nfree++)
		split_link(s, giga_pfn(g, b));
	if (s->nfree == 511)
		split_end(g, b, s);
}

uint64_t pieces_records_bytes(uint32_t n)
{
	return n * sizeof(struct giga);
}

void pieces_init(hpa_t at, uint32_t n)
{
	gigas = at;
	gigas_max = n;
	pieces_ngigas = 0;
	partial = pieces_whole = NO_GIGA;
	pieces_splits = NO_BLOCK;
	pieces_total = records = free_pages = free_blocks = free_gigas = 0;
}

void pieces_add_giga(uint64_t number)
{
	struct giga *g = giga_of(pieces_ngigas);

	ASSERT(pieces_ngigas < gigas_max && (!pieces_ngigas || giga_of(pieces_ngigas - 1)->number < number));
	memset(g, 0, sizeof(*g));
	g->number = number;
	pieces_ngigas++;
}

void pieces_stats(struct frames_stats *out, uint64_t *record_pages)
{
	out->total = pieces_total;
	out->free = free_pages + free_blocks * PAGES_2M;
	out->free_pieces[FRAME_4K] = free_pages + free_blocks * (PAGES_2M - 1);
	out->free_pieces[FRAME_2M] = free_blocks;
	out->free_pieces[FRAME_1G] = free_gigas;
	*record_pages = records;
}
