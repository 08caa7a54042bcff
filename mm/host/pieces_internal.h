/* SPDX-License-Identifier: MIT */
/*
 * Pieces of RAM, the records. The life of a block (2 MiB):
 *
 *	          add                take 2M                 take 1G (all 512 free)
 *	  HOLE ---------> FREE <----------------> USED          FREE <----> GIGA
 *	    |              ^ |                     (RUN: used, and continues the piece before it)
 *	    | add part     | | take 4K
 *	    v              | v
 *	  SPLIT ---------> SPLIT      back to FREE when its 511 pages are free again
 */
#pragma once

#include "mm/host/pieces.h"

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

/* ---- pieces_block.c ---- */
extern uint32_t pieces_ngigas;
extern uint32_t pieces_whole;  /* index of a giga with 512 free blocks, or NO_GIGA */
extern uint64_t pieces_splits; /* head of the split blocks with a free page: its first pfn, or NO_BLOCK */
extern uint64_t pieces_total;  /* pages that were added */

struct giga *giga_of(uint32_t index);
/* The record of the GiB that holds pfn `page`, or NULL. Records are sorted by number. */
struct giga *giga_find(uint64_t page);
static inline uint64_t giga_pfn(const struct giga *g, unsigned block)
{
	return g->number * PAGES_1G + block * PAGES_2M;
}
/* The number within its GiB of the block that holds a page. */
static inline unsigned block_of(uint64_t page)
{
	return (unsigned)(page / PAGES_2M % 512);
}
/* Any free block, from a GiB that is broken already if there is one. */
bool block_find(struct giga **g, unsigned *b);
/* Takes block b of g, which is free, into a state of use. Returns its last owner. */
owner_t block_take(struct giga *g, unsigned b, enum block_state state, owner_t owner);
void block_put(struct giga *g, unsigned b, owner_t last);

struct split *split_of(const struct giga *g, unsigned b);
/* The record of the split block whose first page is `first`. */
struct split *split_at(uint64_t first);
/* Makes block b of g, which is on no list, a split one whose record lies in page `record`; every other page has
 * the owner `all` and is free, or is a hole if that is PAGE_HOLE. */
struct split *split_begin(struct giga *g, unsigned b, unsigned record, uint8_t all);
/* Returns the page's last owner. */
owner_t page_take(struct split *s, unsigned p, owner_t owner);
/* The last of a block's pages makes it one block again: then s is gone. */
void page_put(struct giga *g, unsigned b, struct split *s, unsigned p);
