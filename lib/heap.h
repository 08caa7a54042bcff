/* SPDX-License-Identifier: MIT */
/*
 * A heap of nodes that lie in its elements: a leftist tree. The element with the smallest key is at the root; among equal keys,
 * the smallest `order`.
 *
 *	     2		dist: nodes on the way down the right side, the shortest way to a node without children. It is never
 *	    / \		longer on the right than on the left, so that way has at most log2(n + 1) nodes, and insertion and removal
 *	   5   3	follow no other: both take O(log n) steps at worst, without memory of their own.
 *	  / \
 *	 9   6
 */
#pragma once

#include "lib/types.h"

struct heap_node {
	struct heap_node *left, *right, *parent;
	uint64_t key, order;
	unsigned dist;
};

struct heap {
	struct heap_node *first; /* NULL: empty */
};

/* Does a come before b? */
static inline bool heap_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* n is in no heap. Its key and order stay as they are until it is removed. */
void heap_insert(struct heap *h, struct heap_node *n);
/* n is in h, wherever. */
void heap_remove(struct heap *h, struct heap_node *n);
