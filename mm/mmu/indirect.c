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
	if (!(role.v & ROLE_DIRECT))
		*flush |= make_room_at(mmu, at, role);
	p = spage_new(mmu, at, role, NULL);
	spage_add_keys(mmu, p);
	hash_add(mmu, p);
	if (role.v & ROLE_DIRECT)
		return p;
	record_track(mmu, at);
	if (!MUTANT(table_writable))
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

/* Room for one more in a full chain. */
static bool make_room(struct mmu *mmu, uint64_t head)
{
	return chain_count(head) == CHAIN_MOST && indirect_clear_entry(mmu, chain_victim(mmu, head));
}

bool indirect_map(struct mmu *mmu, struct spage *p, unsigned i, gfn_t at, uint64_t entry)
{
	unsigned level = role_level(p->role);
	bool flush = indirect_clear(mmu, p, i);
	uint64_t *record = record_make(mmu, at, level);

	ASSERT(level == 1 || indirect_large_allowed(mmu, at, level));
	if (level == 1 && record_blocks(*record))
		entry &= ~SPTE_W;
	flush |= make_room(mmu, *record);
	record_set(record, chain_add(mmu, *record, &spage_table(p)[i]));
	p->keys[i] = key_leaf(at, level);
	p->flags |= SPAGE_REFERENCED;
	spte_set(p, &spage_table(p)[i], entry);
	return flush;
}

bool indirect_link(struct mmu *mmu, struct spage *p, unsigned i, struct spage *child, uint64_t bits)
{
	bool flush = indirect_clear(mmu, p, i);

	flush |= make_room(mmu, child->parents);
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

/* Goes on at frame `done` with what was made from it: those pages that were there when it was come to, of which `left`
 * are left. (Those made since have read what was stored. There could be ever more of them.) */
static uint64_t stored_go(
	struct mmu *mmu, gfn_t first, uint64_t done, uint64_t pages, unsigned *left, bool *flush)
{
	uint64_t end = min(done + STORED_FRAMES, pages), since = mmu->pages.undone;

	for (; done < end; done++) {
		gfn_t at = { first.v + done };
		unsigned n;
		struct spage *p = oldest(mmu, at, 0, 0, &n);

		*left = min(*left, n);
		for (; *left; p = oldest(mmu, at, 0, 0, &n)) {
			if (mmu->pages.undone - since > STORED_WORK)
				return done;
			*flush |= indirect_zap(mmu, p);
			--*left;
		}
		*left = UINT32_MAX;
	}
	return done;
}

void indirect_stored(struct mmu *mmu, gfn_t first, uint64_t pages)
{
	unsigned left = UINT32_MAX;

	for (uint64_t done = 0; done < pages;) {
		bool flush = false;

		YIELD();
		mmu_lock(mmu);
		done = stored_go(mmu, first, done, pages, &left, &flush);
		/* As with the guest's own stores into its tables: when others take note is for it to order. */
		if (flush)
			mmu_flush_request(mmu, false);
		mmu_unlock(mmu);
	}
}
