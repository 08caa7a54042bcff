/* SPDX-License-Identifier: MIT */
/*
 * What lies behind a page of a guest's memory. (Taking and giving back: slots.h.)
 *
 * A backing is a list of runs, sorted by the page of the backing that they begin with. A run is pieces of one size
 * that happen to be neighbours in host memory, with one memory type: usually a guest's RAM is a handful of runs, at
 * worst there is one for each piece.
 *
 *	page of the backing:  0          512        1024                 263168  263169
 *	runs:                 |-- 2 MiB pieces 0x800.. --|-- a 1 GiB piece ...--|--4 KiB--|
 */
#pragma once

#include "mm/map/slots.h"

struct backing_run {
	uint64_t first; /* page of the backing */
	pfn_t pfn;
	uint32_t pages;
	uint8_t size;	/* enum frame_size */
	int8_t memtype; /* enum memtype of the whole run; -1: it differs from page to page, ask mtrr_type() */
};
_Static_assert(sizeof(struct backing_run) == 24, "170 in a frame");

/* The run that holds `page`, which must be below backing_pages(). O(log runs). */
const struct backing_run *backing_find(const struct backing *b, uint64_t page);

/* The frame of `page`. */
static inline pfn_t backing_pfn(const struct backing *b, uint64_t page)
{
	const struct backing_run *r = backing_find(b, page);

	return pfn(r->pfn.v + (page - r->first));
}
