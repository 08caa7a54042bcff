/* SPDX-License-Identifier: MIT */
/* Chains of entries. (What they look like: mm/mmu/chain.h.) */
#include "mm/mmu/internal.h"

#define POINTER BITS(47, 1)
#define MANY	BIT(0)

#define BLOCK_ENTRIES 6u

struct chain_block {
	struct chain_block *next;
	uint32_t n, all;
	uint64_t *entry[BLOCK_ENTRIES];
};
_Static_assert(sizeof(struct chain_block) == 64, "a cache line");

#define PAGE_BLOCKS (PAGE_SIZE / sizeof(struct chain_block))

/* Linear addresses are 48 bits, the upper ones like bit 47 (SDM Vol. 1, 3.3.7.1). */
static void *pointer(uint64_t head)
{
	return (void *)((int64_t)((head & POINTER) << 16) >> 16);
}

static struct chain_block *blocks(uint64_t head)
{
	return head & MANY ? pointer(head) : NULL;
}

static uint64_t owners(uint64_t head)
{
	return head & ~(POINTER | MANY);
}

static uint64_t to_entry(uint64_t head, const uint64_t *entry)
{
	return owners(head) | ((uint64_t)entry & POINTER);
}

static uint64_t to_blocks(uint64_t head, const struct chain_block *b)
{
	return owners(head) | ((uint64_t)b & POINTER) | MANY;
}

static struct chain_block *block_take(struct mmu *mmu)
{
	struct chain_blocks *from = &mmu->blocks;
	struct chain_block *b = from->free;

	if (from->gen != mmu->front.valid_gen && !MUTANT(stale_blocks)) {
		*from = (struct chain_blocks){ .gen = mmu->front.valid_gen };
		b = NULL;
	}
	if (b) {
		from->free = b->next;
		return b;
	}
	if (!from->page || from->used == PAGE_BLOCKS) {
		from->page = spage_new(mmu, gfn(0), (role_t){ ROLE_BLOCKS }, NULL);
		from->used = 0;
	}
	return (struct chain_block *)spage_table(from->page) + from->used++;
}

static void block_put(struct mmu *mmu, struct chain_block *b)
{
	b->next = mmu->blocks.free;
	mmu->blocks.free = b;
}

static struct chain_block *block_new(struct mmu *mmu, struct chain_block *next, uint64_t *entry)
{
	struct chain_block *b = block_take(mmu);

	b->next = next;
	b->n = 1;
	b->all = 1 + (next ? next->all : 0);
	b->entry[0] = entry;
	return b;
}

unsigned chain_count(uint64_t head)
{
	return blocks(head) ? blocks(head)->all : (head & POINTER) != 0;
}

/* Not in the first block, where new ones are. What was added last takes the place of the one that goes (chain_remove),
 * and the turn comes round to it when all others had theirs. */
uint64_t *chain_victim(struct mmu *mmu, uint64_t head)
{
	struct chain_block *b = blocks(head)->next;
	unsigned i = mmu->blocks.turn++ % b->all;

	for (; i >= BLOCK_ENTRIES; i -= BLOCK_ENTRIES)
		b = b->next;
	return b->entry[i];
}

uint64_t chain_add(struct mmu *mmu, uint64_t head, uint64_t *entry)
{
	struct chain_block *b = blocks(head);

	ASSERT(chain_count(head) < CHAIN_MOST);
	if (!(head & POINTER))
		return to_entry(head, entry);
	if (!b)
		b = block_new(mmu, NULL, pointer(head));
	if (b->n < BLOCK_ENTRIES) {
		b->entry[b->n++] = entry;
		b->all++;
	} else {
		b = block_new(mmu, b, entry);
	}
	return to_blocks(head, b);
}

/* Where `entry` is in the chain of blocks from b on. It must be. */
static uint64_t **find(struct mmu *mmu, struct chain_block *b, const uint64_t *entry)
{
	for (; b; b = b->next, mmu->pages.undone++)
		for (unsigned i = 0; i < b->n; i++)
			if (b->entry[i] == entry)
				return &b->entry[i];
	panic("an entry is not in the chain that it was put into");
}

uint64_t chain_remove(struct mmu *mmu, uint64_t head, const uint64_t *entry)
{
	struct chain_block *b = blocks(head);

	if (!b) {
		ASSERT(pointer(head) == entry);
		return owners(head);
	}
	/* The last one of the first block takes its place. */
	*find(mmu, b, entry) = b->entry[b->n - 1];
	b->all--;
	b->n--;
	/* A block that holds less than two is needed no more. */
	if (b->n > 1 || (b->n && b->next))
		return to_blocks(head, b);
	head = b->n ? to_entry(head, b->entry[0]) : to_blocks(head, b->next);
	block_put(mmu, b);
	return head;
}

void chain_each(uint64_t head, void (*f)(uint64_t *entry, void *with), void *with)
{
	if (!blocks(head)) {
		if (head & POINTER)
			f(pointer(head), with);
		return;
	}
	for (struct chain_block *b = blocks(head); b; b = b->next)
		for (unsigned i = 0; i < b->n; i++)
			f(b->entry[i], with);
}

void chain_drain(struct mmu *mmu, uint64_t head, void (*f)(uint64_t *entry, void *with), void *with)
{
	struct chain_block *next;

	if (!blocks(head)) {
		if (head & POINTER)
			f(pointer(head), with);
		return;
	}
	for (struct chain_block *b = blocks(head); b; b = next) {
		next = b->next;
		for (unsigned i = 0; i < b->n; i++)
			f(b->entry[i], with);
		block_put(mmu, b);
	}
}
