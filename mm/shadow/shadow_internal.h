/* SPDX-License-Identifier: MIT */
/*
 * What the files of the shadow back end share.
 *
 *	paging.c	from the guest's registers to the shape of its tables, and the pages that stand for them
 *	fault.c		a page fault: the guest's own, or a missing entry of ours
 *	path.c		the pages on its way, from the root to the leaf (build.h)
 *	leaf.c		a leaf: from a guest's entry and a slot to what the CPU may do
 *	root.c		the root for a vCPU's CR3, and PAE's four PDPTEs
 *	prefetch.c	neighbours of a leaf, mapped by the same fault
 *	sync.c		entries compared with what the guest's tables say now
 *	backend.c	its place behind the seam of mm/mmu/backend.h
 *
 * Shadow tables have the CPU's own format, in PAE paging or with 4 or 5 levels. Level n of ours stands for level n of the
 * guest's, but that 32-bit paging, whose tables have 1024 entries, takes two or four of ours for one:
 *
 *	guest		root of ours, its entries	below
 *	off		level 3: 4 x 1 GiB		linear
 *	32-bit		level 3: 4 quadrants		level 2: one for each quadrant of the directory; level 1: one for each half of a table
 *	PAE		level 3: the latched PDPTEs	as the guest's
 *	4-, 5-level	as the guest's
 *
 * The CPU takes the rights of all levels together, ours as the guest's, so each entry of ours gives what the guest's gives, and
 * pages are shared whatever links them. With CR0.WP = 0 a supervisor may store through entries without W, which the CPU is not told: so
 * there links give all rights, roles say what the guest's entries above gave (ROLE_ACCESS), and leaves are made for the access.
 */
#pragma once

#include "mm/mmu/backend.h"
#include "mm/mmu/indirect.h"
#include "mm/shadow/shadow.h"
#include "mm/space/walker.h"

/* A level of the path takes a page and its link; the leaf at the end may be a chain of linear pages, within those levels. */
#define SHADOW_FAULT_NEEDS (LEVELS_MOST * (INDIRECT_NEW_NEEDS + INDIRECT_LINK_NEEDS) + INDIRECT_MAP_NEEDS)

#define LINK_ALL (PTE_P | PTE_W | PTE_U)

/* Which entry of a table of this level, of so many, translates a page of the guest's addresses. A root of level 3 has four. */
static inline unsigned paging_index(unsigned levels, unsigned level, uint64_t page)
{
	return level_index(page, level) & (levels == 3 && level == 3 ? 3u : ~0u);
}

/* How the guest pages. */
struct paging {
	unsigned levels; /* of our tables: 3, 4, 5 */
	uint32_t role;	 /* what the roles of all pages have, but for level and rights */
	bool on, narrow, pae;
};
struct paging paging_of(const struct paging_regs *r);
/* gfn and role of the root for v's CR3. */
gfn_t paging_root(const struct mmu_vcpu *v, const struct paging *g, role_t *role);
/* The frame of the table that an entry of the guest's leads to. */
gfn_t paging_table(const struct paging *g, uint64_t entry);

/* The page for PDPTE i of a root of level 3, and its role; false: there is none. */
bool root_below(const struct mmu_vcpu *v, const struct paging *g, unsigned i, gfn_t *at, role_t *role);
/* v's four PDPTEs become those of its root, if that has level 3. */
void root_fill_low(struct mmu_vcpu *v);

/* Where an access goes. */
struct target {
	gfn_t gfn;
	const struct slot *slot;
	const struct backing_run *run;
	uint64_t page; /* of the backing */
	pfn_t frame;
	uint64_t *record; /* of the gfn (mm/mmu/records.h), or NULL */
};
/* False: no RAM is there. */
bool leaf_target(struct mmu *mmu, gfn_t at, struct target *to);
/* The level of the largest leaf for it, at most `most`. access: MMU_* of the fault. */
unsigned leaf_most(struct mmu *mmu, const struct target *to, unsigned most, unsigned access);
/* Makes entry i of p the leaf for it. flags: PTE_U, PTE_NX, PTE_PWT, PTE_PCD, PTE_PAT4K, and PTE_W if it may be stored through. */
void leaf_map(struct mmu *mmu, struct spage *p, unsigned i, const struct target *to, uint64_t flags,
	unsigned access);

/* sync.c: compares all of p with what the guest's table says. False: so much is different that p is to be given up. */
bool shadow_sync_page(struct mmu *mmu, struct spage *p);

/* p, of level 1, is new: its keys become the guest's entries. */
void shadow_copy_keys(struct mmu *mmu, struct spage *p);
/* The guest's table that p was made from, at the entry for p's first: one page of RAM, or NULL. Valid as long as the lock is held. */
const void *shadow_guest_table(struct mmu *mmu, const struct spage *p);
/* Its entry for entry i of p; all ones if there is no table. */
uint64_t shadow_guest_entry(const struct spage *p, const void *table, unsigned i);
/* Bits that make an entry of level 1 a reserved one (as in mm/space/walker.c). */
uint64_t shadow_reserved(const struct mmu *mmu, role_t role);

/* prefetch.c: maps neighbours of entry i of p, a leaf of level 1 for `to`, made with `flags`. to->record is there. */
void shadow_prefetch(struct mmu *mmu, struct spage *p, unsigned i, const struct target *to, uint64_t flags);

/* ---- the back end's functions (mm/mmu/backend.h) ---- */
enum mmu_verdict shadow_build(struct mmu_vcpu *v, const struct mmu_fault *f);
int shadow_root(struct mmu_vcpu *v, struct spage **out);
uint64_t shadow_pointer(const struct mmu_vcpu *v, const struct spage *root);
void shadow_drop_tags(struct mmu_vcpu *v);
