/* SPDX-License-Identifier: MIT */
/*
 * Pieces of RAM: which 4 KiB, 2 MiB and 1 GiB pieces are free, used or cut up. The part of the frame allocator
 * below its lock and its accounts (mm/host/frames.c), which alone calls it.
 *
 *	giga	1 GiB	record in the array at `gigas`: a map of its free blocks, and one `struct block` for each
 *	block	2 MiB	hole, free, used, part of a used giga, or split into
 *	page	4 KiB	record of all 512 in one page of the split block itself
 *
 * So a byte of RAM that is handed out in large pieces costs almost no record (2.2 KiB a GiB), and cutting a block
 * up never needs memory from elsewhere. The price: a split block hands out 511 pages, not 512.
 *
 * A free piece remembers its last owner, so that a new owner never sees the old owner's data.
 */
#pragma once

#include "mm/host/frames.h"
#include "mm/host/map512.h"

#define PAGES_2M frame_pages(FRAME_2M)
#define PAGES_1G frame_pages(FRAME_1G)

/* What a piece that was just taken still holds: which of its parts must be cleared before the new owner sees them.
 * A part is a page for a FRAME_4K, a block for a FRAME_2M or FRAME_1G. */
struct piece_dirt {
	struct map512 part;
};

/* How many bytes of records RAM in `gigas` different 1 GiB pieces needs. */
uint64_t pieces_records_bytes(uint32_t gigas);
/* Starts with no piece at all. The records, of pieces_records_bytes(gigas), lie in RAM at `at`. */
void pieces_init(hpa_t at, uint32_t gigas);
/* Adds a record for the GiB that begins at number << 30; ascending, each once. */
void pieces_add_giga(uint64_t number);
/* Makes [first, first + n) free: RAM of unknown content. Each page must be a hole until then.
 * -E_NOENT: a GiB without record; then nothing was added. */
int pieces_add(pfn_t first, uint64_t n);

/* 0 or -E_NOMEM. */
int piece_take(enum frame_size size, owner_t owner, pfn_t *out, struct piece_dirt *dirt);
/* n contiguous pages, 2 MiB aligned if n >= 512. *dirty: some of it held another owner's data. */
int piece_take_run(uint64_t n, owner_t owner, pfn_t *out, bool *dirty);
/* A page below 4 GiB. */
int piece_take_low(owner_t owner, pfn_t *out, bool *dirty);
/* Asserts that exactly this piece is used by exactly this owner. */
void piece_put(enum frame_size size, owner_t owner, pfn_t first);
/* From its end, `most` blocks or pages of it. Returns how many pages are left of it, as a run of that length. */
uint64_t piece_put_run_some(uint64_t n, owner_t owner, pfn_t first, unsigned most);
/* 2 MiB of a piece of 1 GiB, whose other parts are put back in the same way. */
void piece_put_part(owner_t owner, pfn_t part);

/* total: pages that were added. records: pages of split blocks that hold their block's record. */
void pieces_stats(struct frames_stats *out, uint64_t *records);
