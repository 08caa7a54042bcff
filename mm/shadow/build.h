/* SPDX-License-Identifier: MIT */
/* A page fault while it is handled: what fault.c and path.c share. */
#pragma once

#include "lib/x86.h"
#include "mm/shadow/shadow_internal.h"

struct build {
	struct mmu_vcpu *v;
	struct mmu *mmu;
	const struct mmu_fault *f;
	const struct guest_walk *w;
	struct paging g;
	struct target to;
	unsigned leaf; /* level of the guest's leaf; while its paging is off: above all levels */
	unsigned end;  /* level of ours */
	struct spage *page[LEVELS_MOST + 1]; /* by level */
	unsigned linked; /* from the root down to this level the path was linked already */
	bool flush;
};

/* The fault was a supervisor's. */
static inline bool supervisor(const struct build *b)
{
	return !(b->f->error & PF_USER);
}
/* A supervisor's store through entries that give no right to write, which CR0.WP = 0 allows. */
bool path_store_without_w(const struct build *b);

/* Which entry of the page of this level the path goes through. */
unsigned path_index(const struct build *b, unsigned level);
/* The page that an entry of this level links, or NULL. */
struct spage *path_child(uint64_t e, unsigned level);

/* Finds or makes the page of each level down to the leaf. A table that is there already takes smaller leaves: what was made small for a
 * reason is not made large by the next fault. */
void path_find(struct build *b);
/* The guest's entries are still those that its walk has read. */
bool path_current(const struct build *b);
/* Links the pages. False: one was given up, and the guest tries again. */
bool path_link(struct build *b);
/* Rights and memory type of the leaf, as leaf_map() takes them. */
uint64_t path_leaf_flags(const struct build *b);
