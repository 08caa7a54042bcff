/* SPDX-License-Identifier: MIT */
/* Indirect pages: making them and their entries. (What they are: mm/indirect.h. Taking away: mm/indirect_zap.c.) */
#include "mm/indirect.h"

#include "mm/ept.h"
#include "mm/indirect_keys.h"
#include "mm/records.h"

struct spage *indirect_new(struct mmu *mmu, gfn_t at, role_t role, bool *flush)
{
	struct spage *p = spage_new(mmu, at, role, NULL);

	ASSERT(mmu->indirect && !(role.v & ROLE_NOTES));
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

/* Room for one more in a full chain: its newest entry goes. */
static bool make_room(struct mmu *mmu, uint64_t head)
{
	return chain_count(head) == CHAIN_MOST && indirect_clear_entry(mmu, chain_first(head));
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

/* Frames looked up in one go under the lock. */
#define STORED_GO 64u

void indirect_stored(struct mmu *mmu, gfn_t first, uint64_t pages)
{
	for (uint64_t done = 0; done < pages; done += STORED_GO) {
		bool flush = false;

		mmu_lock(mmu);
		for (uint64_t n = done; n < min(done + STORED_GO, pages); n++)
			flush |= indirect_zap_made_from(mmu, (gfn_t){ first.v + n });
		/* As with the guest's own stores into its tables: when others take note is for it to order. */
		if (flush)
			mmu_flush_request(mmu, false);
		mmu_unlock(mmu);
	}
}
