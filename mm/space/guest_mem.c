/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as the host reaches it (contract, rule 14): always by gpa, looked up anew each time, so that no device
 * holds a pointer when a slot goes. Between the look-up and the end of the copy the memory stays where it is: a
 * removed slot's RAM is reused only when every CPU has passed the top of its run loop (grace.c).
 */
#include "mm/space/guest_mem.h"

#include "lib/string.h"
#include "mm/mmu/backend.h"
#include "mm/space/guest_entry.h"

enum how { READ, WRITE, WRITE_ROM };

/* A piece of guest memory that is contiguous in the host. */
struct piece {
	char *at;
	uint64_t bytes;
	struct dirty_log *log;
	uint64_t page; /* of the slot, for the log */
};

static int find(const struct mmu *mmu, uint64_t at, enum how how, struct piece *out)
{
	const struct backing_run *r;
	uint64_t page, off = at & PAGE_MASK, left;
	struct slot s;

	if (!slots_find(&mmu->slots, gpa_to_gfn(gpa(at)), &s) || (how == WRITE && (s.flags & SLOT_READONLY)))
		return -E_FAULT;
	page = s.backing_page + ((at >> PAGE_SHIFT) - s.base);
	r = backing_find(s.backing, page);
	left = min(r->first + r->pages - page, s.backing_page + s.pages - page);
	out->at = (char *)pfn_to_virt(pfn(r->pfn.v + (page - r->first))) + off;
	out->bytes = left * PAGE_SIZE - off;
	out->log = s.log;
	out->page = (at >> PAGE_SHIFT) - s.base;
	return 0;
}

/* Is all of [at, at + n) there? */
static int check(const struct mmu *mmu, uint64_t at, uint64_t n, enum how how)
{
	struct piece p;

	if (at + n < at)
		return -E_FAULT;
	for (uint64_t done = 0; done < n; done += p.bytes) {
		if (find(mmu, at + done, how, &p))
			return -E_FAULT;
	}
	return 0;
}

/* The guest may be reading or writing the same bytes: an aligned access must be one, as it would be its own. */
static void copy(void *to, const void *from, uint64_t n)
{
	uint64_t both = (uint64_t)to | (uint64_t)from;

	if (n == 8 && !(both & 7))
		atomic_store_relaxed((uint64_t *)to, atomic_load_relaxed((const uint64_t *)from));
	else if (n == 4 && !(both & 3))
		atomic_store_relaxed((uint32_t *)to, atomic_load_relaxed((const uint32_t *)from));
	else if (n == 2 && !(both & 1))
		atomic_store_relaxed((uint16_t *)to, atomic_load_relaxed((const uint16_t *)from));
	else
		memcpy(to, from, n);
}

/* 8 to 16 bytes by two loads that may overlap: an instruction is fetched as 15. */
static inline void copy_short(char *to, const char *from, uint64_t n)
{
	uint64_t first, last;

	__builtin_memcpy(&first, from, 8);
	__builtin_memcpy(&last, from + n - 8, 8);
	__builtin_memcpy(to, &first, 8);
	__builtin_memcpy(to + n - 8, &last, 8);
}

/* Same, where only the guest's side is known to be aligned. */
static void copy_single(char *to, const char *from, uint64_t n, bool to_guest)
{
	uint64_t v = 0;

	if (n > 8 || (n & (n - 1)) || ((uint64_t)(to_guest ? to : from) & (n - 1))) {
		memcpy(to, from, n);
		return;
	}
	if (to_guest) {
		memcpy(&v, from, n);
		copy(to, &v, n);
	} else {
		copy(&v, from, n);
		memcpy(to, &v, n);
	}
}

static void mark(const struct piece *p, uint64_t bytes)
{
	uint64_t last = (((uint64_t)p->at & PAGE_MASK) + bytes - 1) >> PAGE_SHIFT;

	if (!p->log || MUTANT(host_store_unlogged))
		return;
	for (uint64_t i = 0; i <= last; i++)
		dirty_mark(p->log, p->page + i);
}

/*
 * The store is done: a table of the guest's may have changed. Under the lock, so that a page made from it either was
 * made after the store, or is found here.
 */
static void tell(struct mmu *mmu, uint64_t at, uint64_t bytes)
{
	if (unlikely(mmu->indirect) && !MUTANT(host_store_untold))
		mmu->backend->stored(mmu, gpa(at), bytes);
}

static int transfer(struct mmu *mmu, uint64_t at, char *host, uint64_t n, enum how how)
{
	struct piece p;

	if (!n)
		return 0;
	if (find(mmu, at, how, &p))
		return -E_FAULT;
	/* The usual case is one piece. Else nothing may be touched before all of it is known to be there. */
	if (unlikely(p.bytes < n) && check(mmu, at, n, how))
		return -E_FAULT;
	for (;;) {
		uint64_t now = min(n, p.bytes);

		YIELD();
		if (how == READ) {
			copy_single(host, p.at, now, false);
		} else {
			if (host)
				copy_single(p.at, host, now, true);
			else
				memset(p.at, 0, now);
			YIELD();
			/* After the store: a reader of the log that clears the mark before this has yet to read the page. */
			mark(&p, now);
			tell(mmu, at, now);
		}
		n -= now;
		at += now;
		host = host ? host + now : NULL;
		if (!n)
			return 0;
		/* The map may have changed since the check: then the rest of the memory is gone, as with real RAM. */
		if (find(mmu, at, how, &p))
			return -E_FAULT;
	}
}

static bool within(const struct guest_window *w, uint64_t at, size_t n)
{
	return at - w->base < w->bytes && n <= w->bytes - (at - w->base);
}

int guest_read(struct mmu *mmu, gpa_t at, void *to, size_t n)
{
	struct guest_window w = guest_window_cached(mmu);

	/* Small reads from the bulk of RAM, instructions among them, need no look-up (mm/space/guest_entry.h). */
	if (unlikely(!within(&w, at.v, n)) && (!guest_window_find(mmu, at, &w) || !within(&w, at.v, n)))
		return transfer(mmu, at.v, to, n, READ);
	if (likely(n > 8 && n <= 16))
		copy_short(to, w.host + (at.v - w.base), n);
	else
		copy_single(to, w.host + (at.v - w.base), n, false);
	return 0;
}

int guest_write(struct mmu *mmu, gpa_t at, const void *from, size_t n)
{
	return transfer(mmu, at.v, (char *)from, n, WRITE);
}

int guest_write_rom(struct mmu *mmu, gpa_t at, const void *from, size_t n)
{
	return transfer(mmu, at.v, (char *)from, n, WRITE_ROM);
}

int guest_zero(struct mmu *mmu, gpa_t at, uint64_t n)
{
	return transfer(mmu, at.v, NULL, n, WRITE);
}

int guest_cmpxchg(struct mmu *mmu, gpa_t at, uint64_t *expected, uint64_t desired, size_t n)
{
	uint64_t was = *expected;
	struct piece p;
	bool swapped;

	if ((n != 4 && n != 8) || !is_aligned(at.v, n))
		return -E_INVAL;
	if (find(mmu, at.v, WRITE, &p))
		return -E_FAULT;
	if (n == 8) {
		swapped = atomic_cmpxchg((uint64_t *)p.at, expected, desired);
	} else {
		uint32_t e = (uint32_t)was;

		swapped = was <= UINT32_MAX && atomic_cmpxchg((uint32_t *)p.at, &e, (uint32_t)desired);
		*expected = was <= UINT32_MAX ? e : atomic_load_relaxed((uint32_t *)p.at);
	}
	if (!swapped)
		return -E_AGAIN;
	mark(&p, n);
	/* A page made from an entry without its A and D flags is as right as one made from it with them. (Those of 4 bytes may be bits 37
	 * and 38 of an entry of 8, in another way of paging.) */
	if (n == 4 || (desired != (was | PTE_A) && desired != (was | PTE_A | PTE_D)))
		tell(mmu, at.v, n);
	return 0;
}
