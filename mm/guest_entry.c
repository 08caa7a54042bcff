/* SPDX-License-Identifier: MIT */
/* Stretches of guest RAM that are contiguous in the host: where a slot and a run of its backing overlap. */
#include "mm/guest_entry.h"

#include "mm/slot_table.h"

bool guest_window_find(const struct mmu *mmu, gpa_t at, struct guest_window *out)
{
	const struct backing_run *r;
	uint64_t page, first, end;
	struct slot s;

	if (!slots_find(mmu, gpa_to_gfn(at), &s)) {
		out->bytes = 0;
		return false;
	}
	page = s.backing_page + (gpa_to_gfn(at).v - s.base);
	r = backing_find(s.backing, page);
	first = max(r->first, s.backing_page); /* pages of the backing that are in both */
	end = min(r->first + r->pages, s.backing_page + s.pages);
	out->base = (s.base + (first - s.backing_page)) << PAGE_SHIFT;
	out->bytes = (end - first) << PAGE_SHIFT;
	out->host = pfn_to_virt(pfn(r->pfn.v + (first - r->first)));
	return true;
}
