/* SPDX-License-Identifier: MIT */
/* Entries of level 1 compared with what the guest's table says now. What is still right stays, so that a flush costs no faults. */
#include "lib/x86.h"
#include "mm/mmu/indirect_keys.h"
#include "mm/shadow/shadow_internal.h"
#include "mm/space/guest_entry.h"

/* Entries that do not hold, and the blocks of their chains: a page in which there are more of them goes as a whole, which takes no time now. */
#define SYNC_UNDONE 16u

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

/*
 * The usual case of holds(), which has nothing new: rights, flags and address are those that the entry was made with. Returns the first
 * entry from `from` on that is not so, or `end`: a guest's flush passes some hundred entries here.
 */
static unsigned first_changed(
	const uint64_t *entry, const uint64_t *key, const uint64_t *table, unsigned from, unsigned end)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_PWT | PTE_PCD | PTE_A | PTE_PAT4K | PTE_NX;
	const uint64_t address = PTE_ADDR;

	for (; from < end; from++) {
		uint64_t e = entry[from], g;

		if (!e)
			continue;
		g = table[from];
		/* Shifted by 5, W is where D is: an entry with W needs a D of the guest's. */
		if (((e ^ g) & flags) | ((key[from] ^ g) & address) | (e << 5 & ~g & PTE_D))
			break;
	}
	return from;
}

static void sync_entry(struct mmu *mmu, struct spage *p, const void *table, unsigned i)
{
	uint64_t e = atomic_load_relaxed(&spage_table(p)[i]);

	if (e && !holds(mmu, p->role, e, key_gfn(p->keys[i]), shadow_guest_entry(p, table, i)))
		indirect_clear(mmu, p, i);
}

void shadow_sync_entry(struct mmu *mmu, struct spage *p, unsigned i)
{
	sync_entry(mmu, p, shadow_guest_table(mmu, p), i);
}

bool shadow_sync_page(struct mmu *mmu, struct spage *p)
{
	const uint64_t *table = shadow_guest_table(mmu, p), *entry = spage_table(p);
	uint64_t since = mmu->pages.undone;
	unsigned from = p->lo, end = p->hi;
	/* Else other bits count: PAE reserves high ones. */
	bool plain = table && !(p->role.v & (ROLE_NARROW | ROLE_PAE | ROLE_WP0)) && p->role.v & ROLE_NXE;

	for (unsigned i = from;; i++) {
		i = plain ? first_changed(entry, p->keys, table, i, end) : i;
		if (i >= end)
			break;
		sync_entry(mmu, p, table, i);
		if (mmu->pages.undone - since > SYNC_UNDONE)
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
		shadow_sync_entry(mmu, p, level_index(at.v >> PAGE_SHIFT, 1));
	mmu_unlock(mmu);
	if (!MUTANT(invlpg_without_flush))
		v->entered_epoch = 0; /* this vCPU's tags go (mmu_make_ready) */
}
