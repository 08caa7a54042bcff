/* SPDX-License-Identifier: MIT */
/*
 * Guest memory slots: which gfns of a VM are backed by RAM, by which pieces of it, with which rights.
 * gfns that no slot covers are MMIO or holes; the platform (guest/) knows which.
 *
 * The table is immutable once published; how it changes: mm/space/slots_change.h.
 */
#pragma once

#include "lib/types.h"
#include "mm/host/frames.h"

/* The RAM behind one or more slots: 2 MiB and 1 GiB pieces where the size allows, 4 KiB pieces for the rest.
 * Owned by the caller that allocated it; slots point to it. */
struct backing;

/* Takes `pages` of RAM for owner, zeroed. -E_NOMEM leaves nothing taken. */
int backing_alloc(uint64_t pages, owner_t owner, struct backing **out);
/* A backing over memory that has another owner: device memory, loaded images. -E_NOMEM; -E_INVAL. */
int backing_over(hpa_t at, uint64_t pages, struct backing **out);
/* `pages` of guest memory that are all of `of`, over and over, as with a memory chip that does not decode all of its
 * address lines. The memory stays of's, which must live longer. -E_INVAL: not a multiple of it; -E_NOMEM: also when `of`
 * has so many pieces, so often, that they cannot be written down (some 40,000). */
int backing_repeat(const struct backing *of, uint64_t pages, struct backing **out);
void backing_free(struct backing *b);
/* The same in turns that are short: gives back at most so many pieces (of 2 MiB, or 4 KiB). True: all is given back, and *b is
 * NULL; a *b that was NULL has nothing. Until then only this may be done with it. */
bool backing_free_some(struct backing **b, unsigned most);
uint64_t backing_pages(const struct backing *b);

#define SLOT_READONLY  (1u << 0) /* guest writes go to the platform (ROM) */
#define SLOT_DIRTY_LOG (1u << 1)

struct slot_desc {
	gfn_t base;
	uint64_t pages;
	unsigned flags;
	struct backing *backing;
	uint64_t backing_page; /* the slot's first page is this page of the backing */
};

typedef uint16_t slot_id;
