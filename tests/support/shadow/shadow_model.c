/* SPDX-License-Identifier: MIT */
/* The model: tables, their cells, and what was in these when. */
#include <stdio.h>
#include <string.h>

#include "mm/map/backing.h"
#include "tests/support/shadow/shadow_model_internal.h"

#define OPS	  16u
#define OP_FRAMES 2u
#define WRITES	  8u

#define FLAGS_A (BIT(5) | BIT(37))
#define FLAGS_D (BIT(6) | BIT(38))

const uint16_t shadow_model_index[MODEL_CELLS] = { 0, 1, 2, 3, 4, 5, 256, 257, 511 };

struct model_state model_state;
struct model_seen model_seen;

static struct {
	bool used;
	bool touches[MODEL_TABLES];
	uint64_t frame[OP_FRAMES]; /* that are stored into, wherever they are in the guest by then; 0: none */
} ops[OPS];
static struct model_question writes[WRITES];
static unsigned nwrites;

void shadow_model_reset(struct mmu *mmu)
{
	memset(&model_state, 0, sizeof(model_state));
	memset(model_state.table_at, -1, sizeof(model_state.table_at));
	memset(ops, 0, sizeof(ops));
	nwrites = 0;
	model_state.mmu = mmu;
	model_state.now = 1;
}

int shadow_model_cell(unsigned i)
{
	for (unsigned c = 0; c < MODEL_CELLS; c++)
		if (shadow_model_index[c] == i)
			return (int)c;
	return -1;
}

uint64_t shadow_model_now(void)
{
	return model_state.now;
}

static uint64_t cell_in(uint64_t frame, unsigned c)
{
	return frame ? atomic_load((uint64_t *)pfn_to_virt(pfn(frame)) + shadow_model_index[c]) : ~0ull;
}

static void append(struct model_cell *c, uint64_t value)
{
	if (c->n == MODEL_ITEMS) {
		c->lost = max(c->lost, c->item[0].until == MODEL_OPEN ? model_state.now : c->item[0].until);
		memmove(c->item, c->item + 1, sizeof(c->item) - sizeof(c->item[0]));
		c->n--;
	}
	c->item[c->n++] = (struct model_item){ model_state.now, MODEL_OPEN, value };
	model_seen.changes++;
}

void shadow_model_table(uint64_t gfn)
{
	struct model_table *t = &model_state.table[model_state.ntables];

	if (gfn >= MODEL_GFNS || model_state.ntables == MODEL_TABLES)
		oracle_fail("model: too many tables");
	t->gfn = gfn;
	model_state.table_at[gfn] = (int8_t)model_state.ntables++;
	for (unsigned c = 0; c < MODEL_CELLS; c++)
		append(&t->cell[c], cell_in(shadow_model_frame(gfn), c));
}

/* Closes what is not observed any more: all but the last. */
static void close_items(struct model_cell *c, uint64_t at)
{
	for (unsigned i = 0; i + 1 < c->n; i++)
		c->item[i].until = min(c->item[i].until, at);
}

/* These D flags of cell n were set by a walk: was there a write for it, through this table or another at the same frame? */
static bool dirty_allowed(const struct model_table *t, unsigned n, uint64_t bits)
{
	uint64_t frame = shadow_model_frame(t->gfn), allowed = 0;

	for (unsigned i = 0; i <= nwrites; i++) {
		for (unsigned o = 0; o < model_state.ntables; o++)
			if (shadow_model_frame(model_state.table[o].gfn) == frame)
				allowed |= model_state.table[o].cell[n].dirty;
		if (!(bits & ~allowed))
			return true;
		if (i < nwrites)
			shadow_model_mark(&writes[i]);
	}
	return false;
}

static void scan_cell(struct model_table *t, unsigned n, uint64_t value, bool *changed)
{
	struct model_cell *c = &t->cell[n];
	uint64_t was = c->item[c->n - 1].value, flips = value ^ was;

	if (!flips)
		return;
	*changed = true;
	append(c, value);
	if (!t->ops) {
		close_items(c, model_state.now + 1);
		if ((flips & ~(FLAGS_A | FLAGS_D)) || (flips & was))
			oracle_fail("table %#lx: an entry changed from %#lx to %#lx by itself", t->gfn, was,
				value);
		if (!dirty_allowed(t, n, flips & FLAGS_D))
			oracle_fail("table %#lx: a D flag was set for no write: %#lx, before %#lx", t->gfn,
				value, was);
	} else {
		c->dirty = 0;
	}
}

static void touch(unsigned op, unsigned t)
{
	model_state.table[t].ops += !ops[op].touches[t];
	ops[op].touches[t] = true;
}

/* A host CPU goes on with memory that it has looked up, though that may be elsewhere in the guest by now. */
static void touch_frame(unsigned t, uint64_t frame)
{
	for (unsigned op = 0; frame && op < OPS; op++)
		for (unsigned n = 0; ops[op].used && n < OP_FRAMES; n++)
			if (ops[op].frame[n] == frame)
				touch(op, t);
}

void shadow_model_scan(void)
{
	bool changed = false;

	for (unsigned t = 0; t < model_state.ntables; t++) {
		struct model_table *table = &model_state.table[t];
		uint64_t frame = shadow_model_frame(table->gfn);

		touch_frame(t, frame);
		for (unsigned c = 0; c < MODEL_CELLS; c++)
			scan_cell(table, c, cell_in(frame, c), &changed);
	}
	model_state.now += changed;
}

static unsigned begin(void)
{
	unsigned op = 0;

	shadow_model_scan();
	while (ops[op].used)
		if (++op == OPS)
			oracle_fail("model: too many operations");
	memset(&ops[op], 0, sizeof(ops[op]));
	ops[op].used = true;
	return op;
}

unsigned shadow_model_begin_frame(uint64_t frame)
{
	unsigned op = begin();

	ops[op].frame[0] = frame;
	for (unsigned t = 0; t < model_state.ntables; t++)
		touch_frame(t, shadow_model_frame(model_state.table[t].gfn));
	return op;
}

unsigned shadow_model_begin(uint64_t gfn, uint64_t pages)
{
	unsigned op = begin();

	for (uint64_t n = 0; n < min(pages, (uint64_t)OP_FRAMES); n++)
		ops[op].frame[n] = shadow_model_frame(gfn + n);
	for (unsigned t = 0; t < model_state.ntables; t++) {
		if (model_state.table[t].gfn - gfn < pages)
			touch(op, t);
		touch_frame(t, shadow_model_frame(model_state.table[t].gfn));
	}
	return op;
}

void shadow_model_end(unsigned op)
{
	shadow_model_scan();
	ops[op].used = false;
	for (unsigned t = 0; t < model_state.ntables; t++) {
		struct model_table *table = &model_state.table[t];

		if (!ops[op].touches[t] || --table->ops)
			continue;
		for (unsigned c = 0; c < MODEL_CELLS; c++) {
			close_items(&table->cell[c], model_state.now + 1);
			table->cell[c].dirty = 0;
		}
	}
	model_state.now++;
}

void shadow_model_alternative(uint64_t gfn, uint64_t pages, struct backing *backing, uint64_t page)
{
	for (unsigned t = 0; t < model_state.ntables; t++) {
		struct model_table *table = &model_state.table[t];
		uint64_t n = table->gfn - gfn;

		if (n < pages)
			for (unsigned c = 0; c < MODEL_CELLS; c++)
				append(&table->cell[c],
					cell_in(backing ? backing_pfn(backing, page + n).v : 0, c));
	}
}

void shadow_model_write_begin(const struct model_question *q)
{
	if (nwrites == WRITES)
		oracle_fail("model: too many writes");
	writes[nwrites++] = *q;
	shadow_model_mark(q);
}

void shadow_model_write_end(void)
{
	shadow_model_scan();
	nwrites--;
}
