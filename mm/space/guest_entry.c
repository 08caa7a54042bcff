/* SPDX-License-Identifier: MIT */
/* Stretches of guest RAM that are contiguous in the host: where a slot and a run of its backing overlap. */
#include "mm/space/guest_entry.h"

/* Remembers a stretch found in version seq of the slot table, if it is better than what is there. If
 * another CPU is updating the cache, does nothing. */
static void offer(struct guest_window_cache *c, uint64_t seq, const struct guest_window *w)
{
	uint64_t version = atomic_load(&c->version);

	if (atomic_load_relaxed(&c->seq) == seq && atomic_load_relaxed(&c->w.bytes) >= w->bytes)
		return;
	if ((version & 1) || !atomic_cmpxchg(&c->version, &version, version + 1))
		return;
	atomic_store_relaxed(&c->seq, seq);
	atomic_store_relaxed(&c->w.base, w->base);
	atomic_store_relaxed(&c->w.bytes, w->bytes);
	atomic_store_relaxed(&c->w.host, w->host);
	atomic_store(&c->version, version + 2);
}

bool guest_window_find(const struct mmu *mmu, gpa_t at, struct guest_window *out)
{
	/* Read first: should the table change now, what is found is taken for older than it is, and not used again. */
	uint64_t seq = atomic_load(&mmu->slots.seq), in_slot, in_run, before, after;
	const struct backing_run *r;
	struct slot s;

	if (!slots_find(&mmu->slots, gpa_to_gfn(at), &s)) {
		*out = (struct guest_window){ 0 };
		return false;
	}
	in_slot = gpa_to_gfn(at).v - s.base;
	r = backing_find(s.backing, s.backing_page + in_slot);
	in_run = s.backing_page + in_slot - r->first;
	before = min(in_slot, in_run);
	after = min(s.pages - in_slot, r->pages - in_run);
	out->base = (gpa_to_gfn(at).v - before) << PAGE_SHIFT;
	out->bytes = (before + after) << PAGE_SHIFT;
	out->host = pfn_to_virt(pfn(r->pfn.v + in_run - before));
	offer(&((struct mmu *)mmu)->window, seq, out);
	return true;
}
