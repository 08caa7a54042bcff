/* SPDX-License-Identifier: MIT */
/* Circular doubly linked list; the head is a node that belongs to no element. */
#pragma once

#include "lib/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)                                                                                      \
	{                                                                                                    \
		&(name), &(name)                                                                             \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_after(struct list *at, struct list *n)
{
	n->next = at->next;
	n->prev = at;
	at->next->prev = n;
	at->next = n;
}
static inline void list_add_head(struct list *head, struct list *n)
{
	list_insert_after(head, n);
}
static inline void list_add_tail(struct list *head, struct list *n)
{
	list_insert_after(head->prev, n);
}
/* Leaves n pointing at itself, so that removing twice is harmless and list_empty(n) says "on no list". */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
static inline void list_move_head(struct list *head, struct list *n)
{
	list_del(n);
	list_add_head(head, n);
}

#define list_entry(p, type, m)	  container_of(p, type, m)
#define list_first(head, type, m) list_entry((head)->next, type, m)
#define list_last(head, type, m)  list_entry((head)->prev, type, m)
#define list_for_each(pos, head, type, m)                                                                    \
	for (type *pos = list_first(head, type, m); &pos->m != (head); pos = list_entry(pos->m.next, type, m))
/* As above, but pos may be removed within the body. */
#define list_for_each_safe(pos, head, type, m)                                                               \
	for (type *pos = list_first(head, type, m), *pos##_next = list_entry(pos->m.next, type, m);          \
		&pos->m != (head); pos = pos##_next, pos##_next = list_entry(pos->m.next, type, m))
