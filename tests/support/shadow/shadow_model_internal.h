/* SPDX-License-Identifier: MIT */
/*
 * What the files of the model share:
 *
 *	shadow_model.c		tables, their cells, and what was in these when
 *	shadow_model_map.c	slots
 *	shadow_model_walk.c	the naive walk
 */
#pragma once

#include "lib/x86.h"
#include "tests/support/shadow/shadow_model.h"
#include "tests/support/sim/oracle.h"

#define MODEL_GFNS  8192u /* tables lie below */
#define MODEL_ITEMS 48u	  /* values of a cell that are remembered */

struct model_item {
	uint64_t from, until, value;
};

struct model_cell {
	struct model_item item[MODEL_ITEMS]; /* the last is what was seen last */
	unsigned n;
	uint64_t lost; /* values whose `until` is not above this have been forgotten */
	uint64_t
		dirty; /* D flags that may be set: BIT(6), and BIT(38) for the upper of two entries of 4 bytes */
};

struct model_table {
	uint64_t gfn;
	unsigned ops; /* operations under way that touch it */
	struct model_cell cell[MODEL_CELLS];
};

struct model_state {
	struct mmu *mmu;
	uint64_t now, forgotten;
	struct model_table table[MODEL_TABLES];
	unsigned ntables;
	int8_t table_at[MODEL_GFNS]; /* which, -1: none */
	struct model_map slot[MODEL_SLOTS];
	unsigned nslots;
};
extern struct model_state model_state;

/* Which cell is entry i of 8 bytes; -1: none. */
int shadow_model_cell(unsigned i);
/* The tables of [gfn, gfn + pages) may also hold what `backing` has from its page `page` on, or what a hole reads as (NULL). */
void shadow_model_alternative(uint64_t gfn, uint64_t pages, struct backing *backing, uint64_t page);
/* True if a walk to q->at may end in an entry whose D flag is not allowed to be set yet; allows it. */
bool shadow_model_mark(const struct model_question *q);
/* True if the access may reach the frame at gfn in some version of the map. */
bool shadow_model_reaches(uint64_t gfn, unsigned access, uint64_t frame);
/* What frames that are no tables hold: 0, or all ones where there is no RAM. True: both, at some time since then. */
bool shadow_model_blank(uint64_t gfn, uint64_t since, uint64_t *value);
