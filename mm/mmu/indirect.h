/* SPDX-License-Identifier: MIT */
/*
 * Indirect pages: tables made from tables of the guest's. This is the ground on which shadow page tables and shadow EPT
 * stand: it knows which entry was made from what, and finds all that must go when a guest frame does; what the guest's
 * entries mean is the back end's.
 *
 *	the guest's table		the page made from it			what it leads to
 *
 *	frame 5c:  [.. e ..]  ------->	(gfn 5c, role)  [.. spte ..] ------->	a frame of guest RAM, or another page
 *	   ^					|	[.. key  ..]			^
 *	   |   write-protected wherever		|				 	| chain of all entries that lead there:
 *	   +--- the guest maps it (records.h) --+				 	+-- in the frame's record, or in the page
 *
 * A key says what was noted elsewhere when its entry was made: taking the entry away undoes exactly that, whatever the
 * guest's table, the slots or the page's role would say by then (rule 10).
 *
 * Entries are in the format of EPT or of page tables: both have the address in 51:12 and the right to write in bit 1.
 *
 * Functions that take rights away return true if a flush is needed, since a TLB may still have them. The caller asks
 * for one flush for all (rule 6), and waits for its acknowledgement before it relies on the change or frees memory.
 */
#pragma once

#include "mm/mmu/internal.h"

#define SPTE_W	  BIT(1)
#define SPTE_ADDR BITS(51, 12)

/* Pages of the pool that each can take, at most. Pin what must not be evicted when you make them available. */
#define INDIRECT_NEW_NEEDS  (2 + 3) /* the page, its keys, three records */
#define INDIRECT_MAP_NEEDS  (1 + 1) /* a record, a page of blocks */
#define INDIRECT_LINK_NEEDS 1

/* All with the MMU lock held. p is valid and indirect, i an index into its table. */

/* The page made from the guest's table in frame `at`, or NULL; with ROLE_DIRECT in the role: the one that maps what begins
 * at `at` linearly, as a large leaf of the guest's does, or all it has while its paging is off. */
static inline struct spage *indirect_find(const struct mmu *mmu, gfn_t at, role_t role)
{
	return hash_find(mmu, at, role);
}
/* The pages made from the guest's table in frame `at`, whatever their roles: the newest, or NULL; the one before p. */
static inline struct spage *indirect_first(const struct mmu *mmu, gfn_t at)
{
	return hash_find_any(mmu, at, ROLE_DIRECT | ROLE_NOTES, 0);
}
static inline struct spage *indirect_next(const struct spage *p)
{
	return hash_next_any(p, ROLE_DIRECT | ROLE_NOTES, 0);
}
/*
 * A new one, empty. From now on (unless it is linear) the guest cannot write to that frame unnoticed: leaves that map it
 * are write-protected, large ones are gone; *flush: some of them could be written through. Others may have asked for a
 * flush for the same reason a moment ago: read the guest's entries, of this page or one that was found, only when
 * mmu_flushed(mmu, mmu->front.flush_epoch).
 *
 * Of one frame, a level has at most INDIRECT_SAME_MOST pages: in the place of one more, the oldest goes.
 */
#define INDIRECT_SAME_MOST                                                                                   \
	16u /* a 32-bit directory has four quadrants, and there are NXE, PSE, WP, SMEP, rights above */
struct spage *indirect_new(struct mmu *mmu, gfn_t at, role_t role, bool *flush);

/* Entry i becomes a leaf of p's level that maps `at`. It loses its W if `at` is the frame of a table. Leaves above level
 * 1 are only for where indirect_large_allowed(). Returns whether to flush. */
bool indirect_map(struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, uint64_t entry);
/* The same with the record of `at` at that level at hand. */
bool indirect_map_noted(
	struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, uint64_t entry, uint64_t *record);
bool indirect_large_allowed(const struct mmu *mmu, gfn_t at, unsigned level);

/* Entry i links child, with these bits beside the address. Returns whether to flush. */
bool indirect_link(struct mmu *mmu, struct spage *p, unsigned i, struct spage *child, uint64_t bits);

/* Is there a page made from this frame? */
bool indirect_tracked(const struct mmu *mmu, gfn_t at);

/* These bytes were stored into: entries made from them go, and a page whose table has had many stores. `flush`: a flush is asked for,
 * if entries went. Else it is for the guest to order, as after its own stores. Takes the lock. */
void indirect_stored(struct mmu *mmu, gpa_t at, uint64_t bytes, bool flush);

/* ---- indirect_zap.c: taking away; each returns whether to flush ---- */
/* Entry i becomes 0, and what its key says is undone. */
bool indirect_clear(struct mmu *mmu, struct spage *p, unsigned i);
/* All that link p go; p waits for the next flush, if it is a root for its last pin. Its entries are undone before it is freed, in
 * pieces (reclaim.c): until then they stand in the records of what they map. */
bool indirect_zap(struct mmu *mmu, struct spage *p);
/* The entries that link p go. */
void indirect_unlink(struct mmu *mmu, struct spage *p);
/* The entries of p alone, in pieces (backend->detach). */
bool indirect_detach(struct mmu *mmu, struct spage *p, unsigned *budget);
/* All pages made from this frame. */
bool indirect_zap_frame(struct mmu *mmu, gfn_t at);
/* No leaf that maps this frame can be written through any more. Then also whether TLBs may still have what is gone from the tables. */
bool indirect_write_protect(struct mmu *mmu, gfn_t at);
/* The leaves of 4 KiB alone, and without what TLBs may have. */
bool indirect_protect_small(struct mmu *mmu, gfn_t at);
/* The same for the pages of a dirty log: page `at` + n for bit n. Returns how many entries and records it looked at. */
unsigned indirect_rearm(struct mmu *mmu, gfn_t at, uint64_t bits);
/* All leaves that map [at, at + pages) go. False, and nothing is touched: that would cost more than `most` (instructions,
 * as EPT_WEIGHT_*), or a table of the guest's lies in the range. */
#define INDIRECT_WEIGHT_FIND   230u /* a page of records looked up, twice */
#define INDIRECT_WEIGHT_RECORD 70u  /* one of them read, twice */
#define INDIRECT_WEIGHT_LEAF   310u /* taken off its record's chain */
bool indirect_unmap(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most);

/* ---- indirect_sync.c: tables that the guest may write to unnoticed ---- */
/*
 * A table of level 1 may be unsynchronised: the guest writes to it unnoticed, and the pages made from it say what it said before.
 * That is what a TLB does, too, and as there it ends when the guest flushes: then indirect_sync() compares. What has not been in a
 * TLB must be right at once: so a page is compared before it is linked anew (indirect_must_sync()).
 */
/* The frame is that of a table, and writes to it go unnoticed. */
bool indirect_is_unsync(const struct mmu *mmu, gfn_t at);
/* The guest stores into a frame that is a table: makes it unsynchronised, or takes what was made from it if nothing links that. False:
 * the store must be emulated. */
bool indirect_unsync(struct mmu *mmu, gfn_t at);
/* A page of a level above 1 is made from this frame. */
bool indirect_has_directories(const struct mmu *mmu, gfn_t at);
/* The guest is to make one store into a frame that is a table, also of a level above 1, by which the store is translated. Until
 * indirect_end_stores() or indirect_sync() its stores go unnoticed; then all pages made from it are given up. */
void indirect_let_store(struct mmu *mmu, gfn_t at);
void indirect_end_stores(struct mmu *mmu);
/* p, which links will lead to, is out of date: the caller compares it, and calls indirect_synced(). */
bool indirect_must_sync(const struct mmu *mmu, const struct spage *p);
void indirect_synced(struct spage *p);
/* A page that links others is linked anew: unsynchronised pages may lie anywhere below it. So all of these are unlinked; each is
 * compared when it is linked again. */
void indirect_unlink_unsync(struct mmu *mmu);
/* All unsynchronised pages are compared by `sync`, which is to take at most some `most` instructions; what would be more is unlinked, and a page of which
 * `sync` says false given up. If no vCPU is in the guest,
 * they are synchronised from now on. */
void indirect_sync(struct mmu *mmu, bool (*sync)(struct mmu *mmu, struct spage *p), unsigned most);
