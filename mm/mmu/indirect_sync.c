/* SPDX-License-Identifier: MIT */
/*
 * Unsynchronised tables (mm/mmu/indirect.h). They are few at a time, and stand in a list.
 *
 *	synchronised	the guest's stores fault: leaves that map the frame are write-protected
 *	    |  a store: indirect_unsync()
 *	    v
 *	unsynchronised	RECORD_UNSYNC in the frame's record, so that leaves may be written through; in the list
 *	    |  the guest flushes, no vCPU is in the guest: indirect_sync()
 *	    v
 *	synchronised	compared; or, where that takes too long, unlinked: SPAGE_STALE, compared when it is linked again
 *
 * With another vCPU in the guest, which may be writing, a page is compared and stays as it is.
 */
#include "mm/mmu/indirect.h"
#include "mm/mmu/records.h"

/* Instructions: of a page that is compared, of an entry of it, of one that has 4 bytes, and of one that goes. */
#define SYNC_PAGE   200u
#define SYNC_NARROW 32u
#define SYNC_UNDO   300u

/* The list, emptied if it is of an older generation. */
static struct mmu_unsync *unsync_list(struct mmu *mmu)
{
	if (mmu->unsync.gen != mmu->front.valid_gen) {
		mmu->unsync.gen = mmu->front.valid_gen;
		mmu->unsync.n = 0;
	}
	return &mmu->unsync;
}

bool indirect_is_unsync(const struct mmu *mmu, gfn_t at)
{
	return record_get(record_find(mmu, at, 1)) & RECORD_UNSYNC;
}

/* Pages that nothing links: the guest uses the frame for something else, as a rule. */
static void zap_orphans(struct mmu *mmu, gfn_t at)
{
	struct spage *p = indirect_first(mmu, at), *next;

	for (; p; p = next) {
		next = indirect_next(p);
		if (!p->pins && !chain_count(p->parents))
			indirect_zap(mmu, p);
	}
}

/* Puts `at` into the list, if it is not there. False: it is full. */
static bool unsync_note(struct mmu *mmu, gfn_t at)
{
	struct mmu_unsync *u = unsync_list(mmu);

	for (unsigned i = 0; i < u->n; i++)
		if (u->gfn[i] == at.v)
			return true;
	if (u->n == UNSYNC_MOST)
		return false;
	u->gfn[u->n++] = at.v;
	return true;
}

/* Pages of a level above 1 cannot be compared: they are given up instead. */
bool indirect_has_directories(const struct mmu *mmu, gfn_t at)
{
	for (struct spage *p = indirect_first(mmu, at); p; p = indirect_next(p))
		if (role_level(p->role) > 1)
			return true;
	return false;
}

bool indirect_unsync(struct mmu *mmu, gfn_t at)
{
	uint64_t *record;

	zap_orphans(mmu, at);
	record = record_find(mmu, at, 1);
	if (!record_blocks(record_get(record)) || *record & RECORD_UNSYNC)
		return true;
	if (indirect_has_directories(mmu, at) || !unsync_note(mmu, at))
		return false;
	record_set(record, *record | RECORD_UNSYNC);
	return true;
}

void indirect_let_store(struct mmu *mmu, gfn_t at)
{
	uint64_t *record = record_find(mmu, at, 1);
	struct mmu_unsync *u = unsync_list(mmu);

	if (!record_blocks(record_get(record)))
		return;
	if (!unsync_note(mmu, at)) {
		indirect_zap_frame(mmu, (gfn_t){ u->gfn[0] });
		u->gfn[0] = at.v;
	}
	record_set(record, *record | RECORD_UNSYNC);
}

void indirect_end_stores(struct mmu *mmu)
{
	const struct mmu_unsync *u = unsync_list(mmu);

	for (unsigned i = 0; i < u->n; i++) {
		gfn_t at = { u->gfn[i] };

		if (indirect_is_unsync(mmu, at) && indirect_has_directories(mmu, at))
			indirect_zap_frame(mmu, at);
	}
}

bool indirect_must_sync(const struct mmu *mmu, const struct spage *p)
{
	return p->flags & SPAGE_STALE ||
	       (!(p->role.v & ROLE_DIRECT) && role_level(p->role) == 1 && indirect_is_unsync(mmu, p->gfn));
}

void indirect_synced(struct spage *p)
{
	p->flags &= (uint16_t)~SPAGE_STALE;
}

/* Compares the pages of one frame, and takes those that nothing links. *left: instructions that this may still take. */
static void sync_frame(
	struct mmu *mmu, gfn_t at, bool (*sync)(struct mmu *mmu, struct spage *p), unsigned *left)
{
	struct spage *p = indirect_first(mmu, at), *next;

	for (; p; p = next) {
		unsigned n = p->lo < p->hi ? (unsigned)(p->hi - p->lo) : 0;

		n = SYNC_PAGE + n * (p->role.v & ROLE_NARROW ? SYNC_NARROW : 1);

		next = indirect_next(p);
		if ((!p->pins && !chain_count(p->parents)) || role_level(p->role) > 1) {
			indirect_zap(mmu, p);
		} else if (n <= *left) {
			uint64_t since = mmu->pages.undone;

			if (sync(mmu, p))
				p->flags &= (uint16_t)~SPAGE_STALE;
			else
				indirect_zap(mmu, p);
			*left -= (unsigned)min((uint64_t)*left, n + SYNC_UNDO * (mmu->pages.undone - since));
		} else {
			indirect_unlink(mmu, p);
			p->flags |= MUTANT(stale_forgotten) ? 0 : SPAGE_STALE;
		}
	}
}

void indirect_unlink_unsync(struct mmu *mmu)
{
	const struct mmu_unsync *u = unsync_list(mmu);

	for (unsigned i = 0; i < u->n; i++) {
		gfn_t at = { u->gfn[i] };
		struct spage *p = indirect_is_unsync(mmu, at) ? indirect_first(mmu, at) : NULL;

		for (; p; p = indirect_next(p))
			indirect_unlink(mmu, p);
	}
}

/* The frames of the list are write-protected. (No large leaf maps them.) True: no vCPU can write to them unnoticed any more. */
static bool protect_all(struct mmu *mmu, const struct mmu_unsync *u)
{
	bool flush = false;

	/* Another vCPU is in the guest. */
	if (!mmu_flushed(mmu, mmu->front.flush_epoch + 1))
		return false;
	for (unsigned i = 0; i < u->n && !MUTANT(sync_unprotected); i++)
		flush |= indirect_protect_small(mmu, (gfn_t){ u->gfn[i] });
	if (flush || mmu->pages.ahead_epoch > mmu->front.flush_epoch)
		mmu_flush_request(mmu, false);
	return mmu_flushed(mmu, mmu->front.flush_epoch);
}

void indirect_sync(struct mmu *mmu, bool (*sync)(struct mmu *mmu, struct spage *p), unsigned most)
{
	struct mmu_unsync *u = unsync_list(mmu);
	unsigned left = most;
	bool protected;

	if (!u->n)
		return;
	protected = protect_all(mmu, u);
	for (unsigned i = 0; i < u->n; i++) {
		gfn_t at = { u->gfn[i] };
		uint64_t *record = record_find(mmu, at, 1);

		if (!record || !(*record & RECORD_UNSYNC))
			continue;
		if (protected)
			record_set(record, *record & ~RECORD_UNSYNC);
		sync_frame(mmu, at, sync, &left);
	}
	if (protected)
		u->n = 0;
}
