/* SPDX-License-Identifier: MIT */
/*
 * Reading the entries of a guest's page tables fast: one look-up finds a stretch of guest RAM that is contiguous in the
 * host (as a rule most of the guest's memory), and entries within it cost a comparison and a load. Setting flags in
 * them is guest_cmpxchg()'s (mm/slots.h), since that is a store like any other.
 */
#pragma once

#include "lib/atomic.h"
#include "mm/slots.h"

struct guest_window {
	uint64_t base, bytes; /* of guest-physical memory; bytes 0: none yet */
	const char *host;
};

/* The stretch around `at`; false if no RAM is there. It must not be kept across the top of the run loop. No lock. */
bool guest_window_find(const struct mmu *mmu, gpa_t at, struct guest_window *out);

/* The entry of `size` = 4 or 8 bytes at `at`, naturally aligned; all ones where there is no RAM, as on the bus. */
static inline uint64_t guest_entry_read(
	const struct mmu *mmu, struct guest_window *w, uint64_t at, unsigned size)
{
	const char *p;

	if (unlikely(at - w->base >= w->bytes) && !guest_window_find(mmu, gpa(at), w))
		return size == 8 ? ~0ull : UINT32_MAX;
	p = w->host + (at - w->base);
	return size == 8 ? atomic_load_relaxed((const uint64_t *)p)
			 : atomic_load_relaxed((const uint32_t *)p);
}
