/* SPDX-License-Identifier: MIT */
/*
 * Reading the entries of a guest's page tables fast: a walk begins with the largest stretch of guest RAM that is
 * contiguous in the host, as a rule nearly all of it, and entries within cost a comparison and a load. Setting flags in
 * them is guest_cmpxchg()'s (mm/space/guest_mem.h), since that is a store like any other.
 *
 * A stretch belongs to the version of the slot table that it was found in. A CPU that checks the version after
 * a VM exit and finds it unchanged may use the stretch until it returns to the top of the run loop: a slot that goes
 * later waits for this CPU (mm/mmu/grace.c).
 */
#pragma once

#include "mm/mmu/internal.h"

/* The stretch around `at`; false, and an empty one, if no RAM is there. Takes no lock. */
bool guest_window_find(const struct mmu *mmu, gpa_t at, struct guest_window *out);

/* The one to begin with: from the cache if what it says is current, else empty. */
static inline struct guest_window guest_window_cached(const struct mmu *mmu)
{
	const struct guest_window_cache *c = &mmu->window;
	uint64_t version = atomic_load(&c->version);
	bool current = atomic_load_relaxed(&c->seq) == atomic_load(&mmu->slots.seq);
	struct guest_window w = {
		.base = atomic_load_relaxed(&c->w.base),
		.bytes = atomic_load_relaxed(&c->w.bytes),
		.host = atomic_load_relaxed(&c->w.host),
	};

	/* The loads above must be done before the version is read again (on x86 they are; the compiler must know). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (unlikely(!current || (version & 1) || atomic_load_relaxed(&c->version) != version))
		w.bytes = 0;
	return w;
}

/* The entry of `size` = 4 or 8 bytes at `at`, naturally aligned; all ones where there is no RAM, as on the bus. */
static inline uint64_t guest_entry_read(
	const struct mmu *mmu, struct guest_window *w, uint64_t at, unsigned size)
{
	const char *p;

	if (unlikely(at - w->base >= w->bytes)) {
		struct guest_window found; /* so that w itself can stay in registers */
		bool ram = guest_window_find(mmu, gpa(at), &found);

		*w = found;
		if (!ram)
			return size == 8 ? ~0ull : UINT32_MAX;
	}
	p = w->host + (at - w->base);
	return size == 8 ? atomic_load_relaxed((const uint64_t *)p)
			 : atomic_load_relaxed((const uint32_t *)p);
}
