/* SPDX-License-Identifier: MIT */
/* Slots that come and go, and the dirty log of one. */
#include <string.h>

#include "mm/map/backing.h"
#include "mm/space/slots_change.h"
#include "tests/support/shadow/shadow_sim_internal.h"

static struct {
	struct backing *backing; /* NULL: it is not there */
	slot_id id;
	unsigned model, flags;
	bool changing;
	uint64_t changes; /* and readings */
	/* What must be in the next reading of its log. */
	bool logs, waits;
	struct mmu_ticket from;
	bool written[BAR_PAGES];
} bar;

static struct {
	bool used;
	struct mmu_ticket t;
	uint64_t version;
	struct backing *free;
} tickets[TICKETS];

static unsigned add(
	uint64_t at, uint64_t pages, unsigned flags, struct backing *b, uint64_t page, slot_id *id)
{
	struct slot_desc d = {
		.base = gfn(at), .pages = pages, .flags = flags, .backing = b, .backing_page = page
	};
	struct model_map m = {
		.base = at, .pages = pages, .flags = flags, .backing = b, .backing_page = page
	};
	unsigned op = shadow_model_begin(at, pages), n = shadow_model_slot_add(&m);

	if (slot_add(shadow_sim.mmu, &d, id))
		oracle_fail("shadow: slot_add");
	shadow_model_slot_done(n);
	shadow_model_end(op);
	return n;
}

static struct backing *memory(uint64_t pages)
{
	struct backing *b;

	if (backing_alloc(pages, OWNER_RAM, &b))
		oracle_fail("shadow: no RAM");
	return b;
}

void shadow_slots_init(void)
{
	slot_id id;

	memset(&bar, 0, sizeof(bar));
	memset(tickets, 0, sizeof(tickets));
	shadow_sim.ram = memory(RAM_PAGES);
	shadow_sim.rom = memory(ROM_PAGES);
	add(0, RAM_PAGES, 0, shadow_sim.ram, 0, &id);
	add(ROM, ROM_PAGES, SLOT_READONLY, shadow_sim.rom, 0, &id);
	if (shadow_sim.c->alias)
		add(ALIAS, ALIAS_PAGES, 0, shadow_sim.ram, 0, &id);
}

void shadow_slots_fini(void)
{
	backing_free(shadow_sim.ram);
	backing_free(shadow_sim.rom);
	if (bar.backing)
		backing_free(bar.backing);
}

static void log_from(const struct mmu_ticket *t)
{
	memset(bar.written, 0, sizeof(bar.written));
	bar.logs = true;
	bar.waits = t != NULL;
	if (t)
		bar.from = *t;
}

static void remove_bar(struct mmu_ticket *t)
{
	shadow_model_slot_gone(bar.model);
	if (slot_delete(shadow_sim.mmu, bar.id, t))
		oracle_fail("shadow: slot_delete");
	shadow_model_slot_done(bar.model);
}

static void move_bar(struct mmu_ticket *t)
{
	const struct model_map *m = shadow_model_slot(bar.model);
	struct model_map there = *m;
	uint64_t to = BAR + (m->base == BAR) * BAR_STEP;
	unsigned op = shadow_model_begin(to, BAR_PAGES), n;

	there.base = to;
	n = shadow_model_slot_add(&there);
	shadow_model_slot_gone(bar.model);
	if (slot_move(shadow_sim.mmu, bar.id, gfn(to), t))
		oracle_fail("shadow: slot_move");
	shadow_model_slot_done(bar.model);
	shadow_model_slot_done(n);
	shadow_model_end(op);
	bar.model = n;
}

static void reflag_bar(struct mmu_ticket *t)
{
	unsigned flags = bar.flags ^ (below(2) ? SLOT_READONLY : SLOT_DIRTY_LOG);
	unsigned n = shadow_model_slot_flags(bar.model, flags);

	if (slot_set_flags(shadow_sim.mmu, bar.id, flags, t))
		oracle_fail("shadow: slot_set_flags");
	shadow_model_slot_done(bar.model);
	shadow_model_slot_done(n);
	bar.model = n;
	if (!(flags & SLOT_DIRTY_LOG))
		bar.logs = false;
	else if (!bar.logs)
		log_from(t);
	bar.flags = flags;
}

void shadow_slots_change(void)
{
	struct mmu_ticket t;
	uint64_t base;
	unsigned w = 0, op;

	while (w < TICKETS && tickets[w].used)
		w++;
	if (w == TICKETS || bar.changing)
		return;
	bar.changing = true;
	bar.changes++;
	shadow_seen.slots++;
	if (!bar.backing) {
		struct backing *b = memory(BAR_PAGES);

		bar.flags = below(4) ? 0 : below(2) ? SLOT_DIRTY_LOG : SLOT_READONLY;
		bar.model = add(BAR + below(2) * BAR_STEP, BAR_PAGES, bar.flags, b, 0, &bar.id);
		bar.backing = b;
		bar.logs = false;
		if (bar.flags & SLOT_DIRTY_LOG)
			log_from(NULL);
		bar.changing = false;
		return;
	}
	base = shadow_model_slot(bar.model)->base;
	op = shadow_model_begin(base, BAR_PAGES);
	switch (below(4)) {
	case 0:
	case 1:
		remove_bar(&t);
		tickets[w].free = bar.backing;
		bar.backing = NULL;
		bar.logs = false;
		break;
	case 2:
		move_bar(&t);
		tickets[w].free = NULL;
		break;
	case 3:
		reflag_bar(&t);
		tickets[w].free = NULL;
	}
	shadow_model_end(op);
	tickets[w].used = true;
	tickets[w].t = t;
	tickets[w].version = shadow_model_now();
	bar.changing = false;
}

void shadow_slots_tickets(void)
{
	for (unsigned w = 0; w < TICKETS; w++) {
		if (!tickets[w].used || !mmu_ticket_ready(shadow_sim.mmu, &tickets[w].t))
			continue;
		shadow_model_forget(tickets[w].version);
		tickets[w].used = false;
		if (!tickets[w].free)
			continue;
		backing_free(tickets[w].free);
		shadow_seen.freed++;
	}
}

uint64_t shadow_slots_changes(void)
{
	return bar.changes;
}

void shadow_slots_written(uint64_t frame)
{
	if (!bar.backing || !bar.logs || bar.changing)
		return;
	if (bar.waits && mmu_ticket_ready(shadow_sim.mmu, &bar.from))
		bar.waits = false;
	if (bar.waits)
		return;
	for (unsigned i = 0; i < BAR_PAGES; i++)
		if (backing_pfn(bar.backing, i).v == frame)
			bar.written[i] = true;
}

void shadow_slots_read_log(void)
{
	bool must[BAR_PAGES];
	struct mmu_ticket t;
	uint64_t bits;

	if (!bar.backing || !bar.logs || bar.changing)
		return;
	bar.changes++;
	bar.changing = true; /* nor is it read twice at once, and writes meanwhile are not looked for */
	memcpy(must, bar.written, sizeof(must));
	memset(bar.written, 0, sizeof(bar.written));
	if (dirty_log_read_clear(shadow_sim.mmu, bar.id, 0, BAR_PAGES, &bits, &t))
		oracle_fail("shadow: dirty_log_read_clear");
	for (unsigned i = 0; i < BAR_PAGES; i++) {
		if (must[i] && !(bits >> i & 1))
			oracle_fail("page %u of the BAR was written, its log does not say so", i);
		shadow_seen.dirty_pages += bits >> i & 1;
	}
	if (bar.waits)
		t.host_epoch = max(t.host_epoch, bar.from.host_epoch);
	bar.waits = true;
	bar.from = t;
	bar.changing = false;
}
