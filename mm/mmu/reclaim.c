/* SPDX-License-Identifier: MIT */
/*
 * Reclaim: obsolete pages are given back, a bounded batch at a time (contract, rule 5).
 *
 *	active list	head  [gen 9] [gen 9] [gen 9] [gen 8] [gen 7] [gen 7]  tail
 *	                       valid ---------------   obsolete -----------
 *
 * New pages enter at the head, so the list is sorted by generation, and the walk from the tail ends at the first page
 * that is valid or that a vCPU may still be running on, however fast vCPUs allocate. A batch is
 *
 *	detach (lock)	pages off the list; from here on they are the drainer's alone
 *	clear (no lock)	their entries, as far as they were ever used; may stop inside a page and go on there next time
 *	put (lock)	into the pool
 *
 * Nothing is flushed and no vCPU is kicked: every vCPU has left the tables' generation, and translations made from
 * them are tagged with a root that no CPU enters again before an INVEPT (tags.c). No other structure is visited:
 * what a page had marked elsewhere carries its generation and is read as empty by now (rule 7).
 */
#include "lib/x86.h"
#include "mm/mmu/backend.h"

/* No caller asks for more; it bounds the stack. */
#define BATCH_MOST 64u

struct batch {
	unsigned n, entries;
	struct spage *page[BATCH_MOST];
};

/* Blocks of chains need not be cleared: as keys, they are written before they are read. */
static unsigned span(const struct spage *p)
{
	return p->lo < p->hi && !(p->role.v & ROLE_BLOCKS) ? (unsigned)(p->hi - p->lo) : 0;
}

/* p is done with, as far as it was to be cleared. */
static void put(struct mmu *mmu, struct spage *p)
{
	pool_put(&mmu->pool, p, !(p->role.v & ROLE_BLOCKS));
}

/* To look at an entry of an indirect page counts as to clear so many. */
#define UNDO_WEIGHT 16u

/* An indirect page that was given up in its generation: its entries stand in records still. Undoes some, as long as *touched stays
 * below `most`, one at least. True: none is left. */
static bool undo(struct mmu *mmu, struct spage *p, unsigned *touched, unsigned most)
{
	unsigned budget = max((most - min(*touched, most)) / UNDO_WEIGHT, 1u), left = budget;
	bool done = mmu->backend->detach(mmu, p, &left);

	*touched += (budget - left) * UNDO_WEIGHT;
	return done;
}

/* The next page that may be freed, off its list; NULL if there is none, or *touched has reached `most`. Pinned roots are put aside on the
 * way: they are not met again, their memory goes with the last pin. */
static struct spage *next(struct mmu *mmu, const struct horizon *h, unsigned *touched, unsigned most)
{
	while (!list_empty(&mmu->pages.pending)) {
		struct spage *p = list_first(&mmu->pages.pending, struct spage, link);

		/* Oldest first, so the first that must wait is not the only one. */
		if (p->epoch > h->epoch && !MUTANT(flush_without_ack))
			break;
		if (p->keys && !spage_obsolete(mmu, p) && !undo(mmu, p, touched, most))
			return NULL;
		list_del(&p->link);
		mmu->count.pending -= spage_frames(p);
		p->flags &= (uint16_t)~SPAGE_PENDING;
		return p;
	}
	while (!list_empty(&mmu->pages.active)) {
		struct spage *p = list_last(&mmu->pages.active, struct spage, link);

		if (!spage_obsolete(mmu, p) || (p->gen >= h->gen && !MUTANT(free_before_grace)))
			return NULL;
		__builtin_prefetch(p->link.prev);
		spage_detach(mmu, p);
		if (!p->pins || MUTANT(free_pinned_root)) {
			p->pins = 0;
			return p;
		}
		++*touched;
	}
	return NULL;
}

/* Pages that were given up wait for a flush that was not asked for yet: one for all of them, when the first could be freed. */
static struct horizon horizon_flushed(struct mmu *mmu)
{
	if (!list_empty(&mmu->pages.pending) && mmu->pages.wait_epoch > mmu->front.flush_epoch)
		mmu_flush_request(mmu, false);
	return mmu_horizon(mmu);
}

static void detach_batch(struct mmu *mmu, struct batch *b, unsigned pages, unsigned entries)
{
	struct horizon h = horizon_flushed(mmu);

	if (mmu->drain.partial) {
		b->page[b->n++] = mmu->drain.partial;
		b->entries += span(mmu->drain.partial);
		mmu->drain.partial = NULL;
	}
	while (b->n < pages && b->entries < entries) {
		struct spage *p = next(mmu, &h, &b->entries, entries);

		if (!p)
			break;
		if (span(p))
			__builtin_prefetch(spage_table(p) + p->lo, 1);
		if (p->keys)
			__builtin_prefetch(spage_of(hpa_to_pfn(virt_to_hpa(p->keys))), 1);
		b->entries += span(p);
		b->page[b->n++] = p;
		mmu->count.detached += spage_frames(p);
	}
}

/* Clears up to `entries` entries of p. Returns how many; p is clean when span(p) is 0. */
static unsigned clear(struct spage *p, unsigned entries)
{
	unsigned n = MUTANT(batch_overrun) ? span(p) : min(span(p), entries);

	if (n)
		entries_zero(spage_table(p) + p->lo, n);
	p->lo = (uint16_t)(p->lo + n);
	return n;
}

unsigned mmu_reclaim(struct mmu *mmu, unsigned pages, unsigned entries)
{
	struct batch b; /* not cleared as a whole: that would take longer than a page does */
	unsigned done = 0, left = entries, touched = 0, logs;
	uint64_t since;

	b.n = b.entries = 0;
	if (!mmu_reclaim_waiting(mmu) || !pages || !entries)
		return 0;
	if (atomic_xchg(&mmu->drain.busy, 1) && !MUTANT(two_drainers))
		return 0;
	since = rdtsc();
	mmu_lock(mmu);
	logs = dirty_log_reap(mmu);
	if (pages > logs)
		detach_batch(mmu, &b, min(pages - logs, BATCH_MOST), entries);
	mmu_account(mmu);
	mmu_unlock(mmu);

	while (done < b.n) {
		unsigned n;

		YIELD();
		n = clear(b.page[done], left);

		left -= min(n, left);
		touched += n;
		if (span(b.page[done]))
			break;
		done++;
	}

	if (b.n) {
		mmu_lock(mmu);
		for (unsigned i = 0; i < done; i++) {
			mmu->count.detached -= spage_frames(b.page[i]);
			put(mmu, b.page[i]);
		}
		/* At most one page is left over: the budget was used up inside it, and it was the last. */
		if (done < b.n) {
			ASSERT(done + 1 == b.n);
			mmu->drain.partial = b.page[done];
		}
		mmu->stats.batches++;
		mmu->stats.pages_freed += done;
		mmu->stats.batch_pages_max = max(mmu->stats.batch_pages_max, (uint64_t)b.n);
		mmu->stats.batch_entries_max = max(mmu->stats.batch_entries_max, (uint64_t)touched);
		mmu->stats.batch_ticks_max = max(mmu->stats.batch_ticks_max, rdtsc() - since);
		mmu_account(mmu);
		mmu_unlock(mmu);
		TRACE(TRACE_MMU, "reclaimed %lu pages, %lu entries", done, touched, 0);
	}
	atomic_store(&mmu->drain.busy, 0);
	return done + logs;
}

/* What a page of mmu_retire() may take: a fault calls it for each page that it takes. */
#define RETIRE_ENTRIES 128u

unsigned mmu_retire(struct mmu *mmu, unsigned n)
{
	struct horizon h = horizon_flushed(mmu);
	unsigned done = 0, touched = 0;

	while (done < n) {
		struct spage *p =
			next(mmu, &h, &touched, min(n * RETIRE_ENTRIES, (unsigned)MMU_BATCH_ENTRIES));

		if (!p)
			break;
		pool_put(&mmu->pool, p, p->lo >= p->hi);
		mmu->stats.pages_freed++;
		done++;
	}
	mmu_account(mmu);
	return done;
}

void mmu_reclaim_all(struct mmu *mmu)
{
	unsigned touched = 0;
	struct horizon h;
	struct spage *p;

	/* What KVM did before 2013, to compare with: kick all vCPUs and wait, with the lock held. */
	mmu_kick_noted(mmu);
	while (!mmu_quiescent_below(mmu, mmu->front.valid_gen))
		cpu_relax();
	h = mmu_horizon(mmu);
	while ((p = next(mmu, &h, &touched, UINT32_MAX)) != NULL) {
		clear(p, ENTRIES);
		put(mmu, p);
		mmu->stats.pages_freed++;
	}
	mmu_account(mmu);
}
