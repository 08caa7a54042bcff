/* SPDX-License-Identifier: MIT */
#include "lib/heap.h"

static unsigned heap_dist(const struct heap_node *n)
{
	return n ? n->dist : 0;
}

/* Puts n's children in their order. Returns true if that changes its dist. */
static bool heap_settle(struct heap_node *n)
{
	struct heap_node *left = n->left;
	unsigned before = n->dist;

	if (heap_dist(left) < heap_dist(n->right)) {
		n->left = n->right;
		n->right = left;
	}
	n->dist = heap_dist(n->right) + 1;
	return n->dist != before;
}

/* Returns the root of one tree of both; its parent is NULL. */
static struct heap_node *heap_merge(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *root = NULL, *at = NULL, *next;

	/* 1. down the right sides of both, which become one */
	while (a && b) {
		if (heap_before(b, a)) {
			next = a;
			a = b;
			b = next;
		}
		next = a->right;
		a->parent = at;
		if (at)
			at->right = a;
		else
			root = a;
		at = a;
		a = next;
	}
	next = a ? a : b;
	if (next)
		next->parent = at;
	if (!at)
		return next;
	at->right = next;
	/* 2. and up again */
	for (; at; at = at->parent)
		(void)heap_settle(at);
	return root;
}

void heap_insert(struct heap *h, struct heap_node *n)
{
	n->left = n->right = NULL;
	n->dist = 1;
	h->first = heap_merge(h->first, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *parent = n->parent, *rest = heap_merge(n->left, n->right);

	if (rest)
		rest->parent = parent;
	if (!parent)
		h->first = rest;
	else if (parent->left == n)
		parent->left = rest;
	else
		parent->right = rest;
	/* A step up goes on from a node whose dist has become smaller, to at least one less than its parent's was: at most
	 * log2(n + 1) steps. */
	while (parent && heap_settle(parent))
		parent = parent->parent;
}
