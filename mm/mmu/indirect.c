/* SPDX-License-Identifier: MIT */
/* Indirect pages: making them and their entries. (What they are: mm/mmu/indirect.h. Taking away: mm/mmu/indirect_zap.c.) */
#include "mm/mmu/indirect.h"

#include "mm/mmu/ept.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/mmu/records.h"

/* The oldest page made from this frame, of those whose role has `value` among the bits of `mask`; counts them. */
static struct spage *oldest(const struct mmu *mmu, gfn_t at, uint32_t mask, uint32_t value, unsigned *n)
{
	struct spage *last = NULL;

	mask |= ROLE_DIRECT | ROLE_NOTES;
	*n = 0;
	for (struct spage *p = hash_find_any(mmu, at, mask, value); p; p = hash_next_any(p, mask, value)) {
		last = p;
		++*n;
	}
	return last;
}

/* Only one of the level that is to be made: all others may be on the path that the new one is made for. */
static bool make_room_at(struct mmu *mmu, gfn_t at, role_t role)
{
	unsigned n;
	struct spage *p = oldest(mmu, at, ROLE_LEVEL, role_level(role), &n);

	return n >= INDIRECT_SAME_MOST && indirect_zap(mmu, p);
}

struct spage *indirect_new(struct mmu *mmu, gfn_t at, role_t role, bool *flush)
{
	struct spage *p;

	ASSERT(mmu->indirect && !(role.v & ROLE_NOTES));
	if (!(role.v & ROLE_DIRECT)) {
		*flush |= make_room_at(mmu, at, role);
		/* Pages above level 1 are not compared: what is made from an unsynchronised frame goes, but where the guest is let store. */
		if (role_level(role) > 1 && indirect_is_unsync(mmu, at) && !indirect_has_directories(mmu, at))
			*flush |= indirect_zap_frame(mmu, at);
	}
	p = spage_new(mmu, at, role, NULL);
	spage_add_keys(mmu, p);
	hash_add(mmu, p);
	if (role.v & ROLE_DIRECT)
		return p;
	record_track(mmu, at);
	if (!MUTANT(table_writable) && !indirect_is_unsync(mmu, at))
		*flush |= indirect_write_protect(mmu, at);
	return p;
}

bool indirect_tracked(const struct mmu *mmu, gfn_t at)
{
	return record_blocks(record_get(record_find(mmu, at, 1))) != 0;
}

bool indirect_large_allowed(const struct mmu *mmu, gfn_t at, unsigned level)
{
	return level <= RECORD_LEVELS &&
	       (!record_blocks(record_get(record_find(mmu, at, level))) || MUTANT(large_over_table));
}

/* Links of one page, and large leaves for one region, are all taken away in one go, which takes long; small leaves lose a bit. */
#define FEW 64u

/* Room for one more in a chain of `most`. */
static bool make_room(struct mmu *mmu, uint64_t head, unsigned most)
{
	return chain_count(head) >= most && indirect_clear_entry(mmu, chain_victim(mmu, head));
}

bool indirect_map_noted(
	struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, uint64_t entry, uint64_t *record)
{
	unsigned level = role_level(p->role);
	uint64_t *at_entry = &spage_table(p)[i];
	bool flush = atomic_load_relaxed(at_entry) && indirect_clear(mmu, p, i);

	if (level == 1 && record_blocks(*record) && !(*record & RECORD_UNSYNC))
		entry &= ~SPTE_W;
	flush |= make_room(mmu, *record, level > 1 ? FEW : CHAIN_MOST);
	record_set(record, chain_add(mmu, *record, at_entry));
	p->keys[i] = key_leaf(at, level);
	p->flags |= SPAGE_REFERENCED;
	spte_set(p, at_entry, entry);
	return flush;
}

bool indirect_map(struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, uint64_t entry)
{
	unsigned level = role_level(p->role);

	ASSERT(level == 1 || indirect_large_allowed(mmu, at, level));
	return indirect_map_noted(mmu, p, i, at, entry, record_make(mmu, at, level));
}

bool indirect_link(struct mmu *mmu, struct spage *p, unsigned i, struct spage *child, uint64_t bits)
{
	bool flush = indirect_clear(mmu, p, i);

	flush |= make_room(mmu, child->parents, FEW);
	child->parents = chain_add(mmu, child->parents, &spage_table(p)[i]);
	p->keys[i] = KEY_LINK;
	p->children++;
	p->flags |= SPAGE_REFERENCED;
	child->flags |= SPAGE_REFERENCED;
	spte_set(p, &spage_table(p)[i], virt_to_hpa(spage_table(child)).v | bits);
	return flush;
}

/* One go under the lock ends after so many frames, or the page that reaches this (mmu->pages.undone). */
#define STORED_FRAMES 64u
#define STORED_WORK   2048u
/* A page is given up whole after so many stores without a fault that goes through it, or a store of so many bytes: the guest
 * fills in a table that it does not use yet, or uses the frame for something else. */
#define STORED_FLOOD  4u
#define STORED_MOST   64u

/* Which entries of p were made from bytes [from, end) of the guest's table: [*first, *last). A 4-byte entry of level 2 maps 4 MiB,
 * which are two entries of p's; a quadrant is what p has of the 1024. */
static void entries_of(role_t role, uint64_t from, uint64_t end, unsigned *first, unsigned *last)
{
	bool narrow = role.v & ROLE_NARROW;
	unsigned size = narrow ? 4 : 8,
		 each = narrow && role_level(role) == 2 && !MUTANT(half_entry_kept) ? 2 : 1;
	unsigned base = narrow ? (unsigned)bits_get(role.v, 8, 7) * ENTRIES : 0;
	unsigned a = (unsigned)(from / size) * each, b = (unsigned)((end + size - 1) / size) * each;

	*first = max(a, base) - base;
	*last = min(b, base + ENTRIES) - min(b, base);
}

/* p was made from the table that has had a store into bytes [from, end). Returns whether to flush. */
static bool stored_into(struct mmu *mmu, struct spage *p, uint64_t from, uint64_t end)
{
	unsigned first, last;
	bool flush = false;

	if ((p->flags & SPAGE_STORES) >= STORED_FLOOD * SPAGE_STORE && !MUTANT(flood_ignored))
		return indirect_zap(mmu, p);
	p->flags = (uint16_t)(p->flags + SPAGE_STORE);
	entries_of(p->role, from, end, &first, &last);
	for (unsigned i = first; i < last; i++)
		flush |= indirect_clear(mmu, p, i);
	return flush;
}

/* The same for all pages made from this frame. */
static bool stored_each(struct mmu *mmu, gfn_t frame, uint64_t from, uint64_t end)
{
	struct spage *p = indirect_first(mmu, frame), *next;
	bool flush = false;

	for (; p; p = next) {
		next = indirect_next(p);
		flush |= stored_into(mmu, p, from, end);
	}
	return flush;
}

/* Goes on at frame `*done` of `pages` with what was made from it: those pages that were there when it was come to. (Those made since
 * have read what was stored. There could be ever more of them, so that the newest come first and are left out: `left`.) */
static bool stored_go(
	struct mmu *mmu, gpa_t at, uint64_t bytes, uint64_t *done, uint64_t pages, unsigned *left)
{
	uint64_t stop = min(*done + STORED_FRAMES, pages), since = mmu->pages.undone;
	bool flush = false;

	for (; *done < stop; ++*done) {
		gfn_t frame = { gpa_to_gfn(at).v + *done };
		uint64_t from = *done ? 0 : at.v & PAGE_MASK;
		uint64_t end = min((at.v & PAGE_MASK) + bytes - *done * PAGE_SIZE, PAGE_SIZE);
		unsigned n;
		struct spage *p = oldest(mmu, frame, 0, 0, &n);

		if (!p)
			continue;
		/* Few bytes: entries go, and the pages stay. */
		if (end - from <= STORED_MOST) {
			flush |= stored_each(mmu, frame, from, end);
			continue;
		}
		for (*left = min(*left, n); *left; p = oldest(mmu, frame, 0, 0, &n)) {
			if (mmu->pages.undone - since > STORED_WORK)
				return flush;
			flush |= indirect_zap(mmu, p);
			--*left;
		}
		*left = UINT32_MAX;
	}
	return flush;
}

void indirect_stored(struct mmu *mmu, gpa_t at, uint64_t bytes, bool flush)
{
	uint64_t pages = (((at.v & PAGE_MASK) + bytes - 1) >> PAGE_SHIFT) + 1;
	unsigned left = UINT32_MAX;

	for (uint64_t done = 0; done < pages;) {
		YIELD();
		mmu_lock(mmu);
		if (stored_go(mmu, at, bytes, &done, pages, &left) && flush)
			mmu_flush_request(mmu, false);
		mmu_unlock(mmu);
	}
}
