/* SPDX-License-Identifier: MIT */
/*
 * Chains: which entries of tables lead to this guest frame, or to this table? Most have one, so the head is a word that
 * points to the entry itself; more hang on blocks.
 *
 *	head  63      48 47                    1 0
 *	     +----------+-----------------------+-+      0: the one entry (all 0: none)
 *	     | owner's  |        pointer        | |      1: the first block
 *	     +----------+-----------------------+-+
 *
 *	block   next  -> ... -> NULL		only the first is not full
 *		n	entries in this one
 *		all	and in those behind it
 *		entry[6]
 *
 * Blocks lie 64 to a page of the pool, which stands on the active list: they are born with their generation and reclaimed
 * with it, and an obsolete chain is never taken apart (rule 7).
 *
 * A guest decides how often it maps a frame, so a chain ends at CHAIN_MOST: to add one more, the caller takes one
 * away first. That bounds every walk of a chain under the lock.
 */
#pragma once

#include "lib/types.h"

struct mmu;
struct spage;
struct chain_block;

#define CHAIN_MOST 256u

/* Where new blocks come from; means something while gen is the valid generation. */
struct chain_blocks {
	uint64_t gen;
	struct chain_block *free;
	struct spage *page; /* the newest page of them */
	unsigned used;	    /* blocks of it that were ever taken */
	unsigned turn;	    /* of chain_victim() */
};

/* All with the MMU lock held. The owner's bits of the head stay as they are. */

unsigned chain_count(uint64_t head);
/* The one that goes when the chain is full: each in turn, but none of those added last, for the instruction that they
 * were added for may need them all at one time. */
uint64_t *chain_victim(struct mmu *mmu, uint64_t head);
/* The head with `entry` added. One page of the pool must be available, and the chain shorter than CHAIN_MOST. */
uint64_t chain_add(struct mmu *mmu, uint64_t head, uint64_t *entry);
/* The head without `entry`, which must be in it. */
uint64_t chain_remove(struct mmu *mmu, uint64_t head, const uint64_t *entry);
/* Calls f for each entry. It must not change the chain. */
void chain_each(uint64_t head, void (*f)(uint64_t *entry, void *with), void *with);
/* The same, and the chain is no more: the caller forgets its head, but for the owner's bits. f may change what the entries are in. */
void chain_drain(struct mmu *mmu, uint64_t head, void (*f)(uint64_t *entry, void *with), void *with);
