/* SPDX-License-Identifier: MIT */
/*
 * Entries of level 1 compared with what the guest's table says now. What is still right stays, so that a flush costs no faults.
 *
 * The key of each entry is the guest's entry as it was when ours was made, or when it was looked at last (also where ours is empty): so the
 * guest's table and the keys are two tables that are the same, but for what has changed.
 */
#include "lib/x86.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/shadow/shadow_internal.h"
#include "mm/space/guest_entry.h"

/* Entries that have changed, and of those that were in use, with the blocks of their chains, such as do not hold any more: a page in which
 * there are more of them goes as a whole, which takes no time now. */
#define SYNC_CHANGED 128u
#define SYNC_UNDONE  16u

/* Where in the guest's table entry i was made from. */
static uint64_t entry_at(const struct spage *p, unsigned i)
{
	bool narrow = p->role.v & ROLE_NARROW;
	uint64_t n = i + (narrow ? bits_get(p->role.v, 8, 7) * ENTRIES : 0);

	return (p->gfn.v << PAGE_SHIFT) + n * (narrow ? 4 : 8);
}

/* Bits that make an entry of level 1 a reserved one (as in mm/space/walker.c). */
uint64_t shadow_reserved(const struct mmu *mmu, role_t role)
{
	if (role.v & ROLE_NARROW)
		return 0;
	return BITS(role.v & ROLE_PAE ? 62 : 51, mmu->guest_maxphyaddr) | (role.v & ROLE_NXE ? 0 : PTE_NX);
}

/* Is the leaf `e` of ours, made for gfn `at`, what the guest's entry g gives still, or less than that? */
static bool holds(const struct mmu *mmu, role_t role, uint64_t e, gfn_t at, uint64_t g)
{
	const uint64_t same = PTE_U | PTE_PWT | PTE_PCD | PTE_PAT4K;
	uint64_t address = g & (role.v & ROLE_NARROW ? BITS(31, 12) : PTE_ADDR);

	/* Made for one access, of a supervisor without WP: seldom, so that it may fault again. */
	if (role.v & ROLE_WP0)
		return false;
	if ((g & (PTE_P | PTE_A)) != (PTE_P | (MUTANT(sync_ignores_a) ? g & PTE_A : PTE_A)) ||
		g & shadow_reserved(mmu, role) || address >> PAGE_SHIFT != at.v)
		return false;
	if (((e ^ g) & same && !MUTANT(sync_ignores_rights)) || (!(role.v & ROLE_NARROW) && (e ^ g) & PTE_NX))
		return false;
	return !(e & PTE_W) ||
	       (g & (PTE_W | PTE_D)) == (PTE_W | (MUTANT(sync_ignores_d) ? g & PTE_D : PTE_D));
}

/* The guest's entry that entry i of p was made from, by way of its table, which is one page of RAM. NULL: it is none any more. */
const void *shadow_guest_table(struct mmu *mmu, const struct spage *p)
{
	struct guest_window w = guest_window_cached(mmu);
	uint64_t at = entry_at(p, 0);

	if (at - w.base >= w.bytes && !guest_window_find(mmu, gpa(at), &w))
		return NULL;
	return w.host + (at - w.base);
}

uint64_t shadow_guest_entry(const struct spage *p, const void *table, unsigned i)
{
	if (!table)
		return ~0ull; /* as on the bus */
	return p->role.v & ROLE_NARROW ? atomic_load_relaxed((const uint32_t *)table + i)
				       : atomic_load_relaxed((const uint64_t *)table + i);
}

/* How many of the n words at a and b are the same, before the first that is not. One instruction: a guest's flush passes hundreds of them
 * here. (The guest may be storing into its table: each word is read once.) */
static unsigned same_words(const uint64_t *a, const uint64_t *b, unsigned n)
{
	uint64_t left = n;
	bool same = true;

	if (n)
		__asm__ volatile("repe cmpsq" : "+S"(a), "+D"(b), "+c"(left), "=@ccz"(same) : : "memory");
	return same ? n : n - (unsigned)left - 1;
}

/* The key becomes what the guest's entry is now. */
static void sync_entry(struct mmu *mmu, struct spage *p, const void *table, unsigned i)
{
	uint64_t e = atomic_load_relaxed(&spage_table(p)[i]), g = shadow_guest_entry(p, table, i);

	if (e && !holds(mmu, p->role, e, key_gfn(p->keys[i]), g))
		indirect_clear(mmu, p, i);
	p->keys[i] = g;
}

void shadow_copy_keys(struct mmu *mmu, struct spage *p)
{
	const uint64_t *table = shadow_guest_table(mmu, p);
	uint64_t *key = p->keys, n = ENTRIES;

	if (table && !(p->role.v & ROLE_NARROW))
		__asm__ volatile("rep movsq" : "+S"(table), "+D"(key), "+c"(n) : : "memory");
}

bool shadow_sync_page(struct mmu *mmu, struct spage *p)
{
	const uint64_t *table = shadow_guest_table(mmu, p), *entry = spage_table(p);
	bool wide = table && !(p->role.v & ROLE_NARROW);
	uint64_t since = mmu->pages.undone;
	unsigned changed = 0, end = p->hi;

	for (unsigned i = p->lo; i < end; i++) {
		/* Changes come in runs. */
		if (wide && p->keys[i] == atomic_load_relaxed(&table[i]))
			i += same_words(p->keys + i, table + i, end - i);
		if (i == end)
			break;
		changed++;
		if (wide && !entry[i])
			p->keys[i] = atomic_load_relaxed(&table[i]);
		else
			sync_entry(mmu, p, table, i);
		if (mmu->pages.undone - since > SYNC_UNDONE || (wide && changed > SYNC_CHANGED))
			return false;
	}
	return true;
}

void shadow_invlpg(struct mmu_vcpu *v, gva_t at)
{
	struct mmu *mmu = v->mmu;
	struct spage *p;
	unsigned level = 0;

	mmu_lock(mmu);
	indirect_end_stores(mmu);
	p = v->root.gen == mmu->front.valid_gen && !(v->root.page->flags & SPAGE_INVALID) ? v->root.page
											  : NULL;
	if (p && role_level(p->role) == 3)
		at.v = (uint32_t)at.v;
	for (level = p ? role_level(p->role) : 0; level > 1; level--) {
		uint64_t e = atomic_load_relaxed(&spage_table(p)[level_index(at.v >> PAGE_SHIFT, level)]);

		if (!(e & PTE_P) || e & PTE_PS)
			break;
		p = spage_of(pfn((e & SPTE_ADDR) >> PAGE_SHIFT));
	}
	/* Above level 1 each store is seen, and below a large page of the guest's there is nothing to compare. */
	if (level == 1 && !(p->role.v & ROLE_DIRECT) &&
		(indirect_must_sync(mmu, p) || p->role.v & ROLE_WP0) && !MUTANT(invlpg_without_sync))
		sync_entry(mmu, p, shadow_guest_table(mmu, p), level_index(at.v >> PAGE_SHIFT, 1));
	mmu_unlock(mmu);
	if (!MUTANT(invlpg_without_flush))
		atomic_store_relaxed(&v->entered_epoch, 0ull); /* this vCPU's tags go (mmu_make_ready) */
}
