/* SPDX-License-Identifier: MIT */
/* The simulated machine: devices, which change the map, and the life of the RAM behind it. */
#include "tests/support/sim/sim_internal.h"

#include "mm/mmu/ept.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"

static void add_ticket(const struct mmu_ticket *t, struct backing *free)
{
	for (unsigned i = 0; i < TICKETS; i++)
		if (!sim.ticket[i].used) {
			sim.ticket[i] = (struct sim_ticket){ true, *t, sim.m.version, free };
			return;
		}
	oracle_fail("too many tickets");
}

unsigned sim_tickets_waiting(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TICKETS; i++)
		n += sim.ticket[i].used;
	return n;
}

static bool still_used(struct backing *b)
{
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (model_now(&sim.m)[i].used && model_now(&sim.m)[i].backing == b)
			return true;
	return false;
}

void sim_tickets(void)
{
	for (unsigned i = 0; i < TICKETS; i++) {
		struct sim_ticket *t = &sim.ticket[i];

		if (!t->used || !mmu_ticket_ready(sim.mmu, &t->t))
			continue;
		model_forget(&sim.m, t->version);
		t->used = false;
		if (!t->free)
			continue;
		for (unsigned c = 0; c < ORACLE_CPUS; c++)
			if (sim.cpu[c].held == t->free)
				oracle_fail("RAM is reused while CPU %u holds a pointer to it", c);
		backing_free(t->free);
		sim_seen.freed++;
	}
}

static void add_slot(unsigned i)
{
	/* Large ones sit at aligned places so that large leaves can be used; now and then one page off. */
	uint64_t pages = below(3) ? 1 + below(40) : 512 * (1 + below(2)) + below(30);
	struct slot_desc d = { .pages = pages, .flags = below(4) ? 0 : SLOT_READONLY };
	slot_id id;
	int err;

	if (sim.c->dirty && !below(3))
		d.flags |= SLOT_DIRTY_LOG;
	if (backing_alloc(pages, OWNER_RAM, &d.backing))
		oracle_fail("no RAM");
	d.base = gfn(sim.spot[below(SPOTS)] + (below(4) ? 0 : below(600)));
	if (!below(4) && pages > 4) {
		d.backing_page = 1 + below(3);
		d.pages -= d.backing_page;
	}
	err = slot_add(sim.mmu, &d, &id);
	if (err == -E_EXIST || err == -E_RANGE) {
		backing_free(d.backing);
		return;
	}
	if (err)
		oracle_fail("slot_add: %d", err);
	model_change(&sim.m)[i] =
		(struct model_slot){ true, id, d.flags, d.base.v, d.pages, d.backing_page, d.backing, false };
	if (d.flags & SLOT_DIRTY_LOG)
		sim_log_start(i, NULL);
	sim.changes++;
}

/* As many changes of the map as bring its version close to where its low bits are 0 again. */
static void wrap(void)
{
	uint64_t seq = sim.mmu->slots.seq, to = align_up(seq, BIT(EPT_MMIO_GEN_BITS)) - 4;

	if (sim.c->wrap && to > seq + 12 && !sim.depth)
		sim.mmu->slots.seq = to + ((to ^ seq) & 1);
}

void sim_slots(void)
{
	int c = sim_free_cpu(), err = 0;
	/* While a vCPU faults: mostly the slot that it faults on. */
	struct model_slot *hot = sim.depth && below(4) ? model_find(&sim.m, sim.m.version, sim.hot) : NULL;
	unsigned i = hot ? (unsigned)(hot - model_now(&sim.m)) : (unsigned)below(SLOTS_BUSY);
	struct model_slot *m = &model_now(&sim.m)[i], old = *m;
	struct mmu_ticket t;

	if (sim_tickets_waiting() > TICKETS - 3 || !sim_host_begin(c))
		return;
	wrap();
	if (!m->used) {
		add_slot(i);
		sim_host_end(c);
		return;
	}
	switch (below(4)) {
	case 0:
	case 1:
		err = slot_delete(sim.mmu, m->id, &t);
		if (!err) {
			model_change(&sim.m)[i].used = false;
			sim.log[i].serial = 0;
			add_ticket(&t, still_used(old.backing) ? NULL : old.backing);
		}
		break;
	case 2: {
		uint64_t to = sim.spot[below(SPOTS)];

		err = slot_move(sim.mmu, m->id, gfn(to), &t);
		if (!err) {
			model_change(&sim.m)[i].base = to;
			add_ticket(&t, NULL);
		} else if (err == -E_EXIST) {
			err = 0;
		}
		break;
	}
	case 3: {
		unsigned flags = m->flags ^ (sim.c->dirty && below(2) ? SLOT_DIRTY_LOG : SLOT_READONLY);

		err = slot_set_flags(sim.mmu, m->id, flags, &t);
		if (!err) {
			model_change(&sim.m)[i].flags = flags;
			add_ticket(&t, NULL);
			if (!(flags & SLOT_DIRTY_LOG))
				sim.log[i].serial = 0;
			else if (!(old.flags & SLOT_DIRTY_LOG))
				sim_log_start(i, &t);
		}
	}
	}
	if (err)
		oracle_fail("slot %u: %d", old.id, err);
	sim.changes++;
	sim_host_end(c);
}

void sim_hold(void)
{
	struct slot found;
	int c = sim_free_cpu();

	if (!sim_host_begin(c))
		return;
	if (slots_find(&sim.mmu->slots, gfn(sim_random_gfn()), &found))
		sim.cpu[c].held = found.backing;
	sim_host_end(c);
}

void sim_top(void)
{
	int c = sim_free_cpu();

	if (c < 0)
		return;
	sim.cpu[c].held = NULL;
	if (below(3))
		mmu_cpu_quiescent((unsigned)c);
	else
		mmu_cpu_idle((unsigned)c);
}

void sim_store(void)
{
	char bytes[64] = { 0 };
	uint64_t g = sim_random_gfn(), from = sim.m.version, off = below(4000), changes = sim.changes,
		 reads = sim.reads;
	unsigned n = 1 + (unsigned)below(64);
	int c = sim_free_cpu(), err;

	if (!sim_host_begin(c))
		return;
	err = guest_write(sim.mmu, gpa(g << 12 | off), bytes, n);
	if (off + n <= 4096 && !err && !sim_some_version(from, g, true, false))
		oracle_fail("a store to gfn %#lx was not refused", g);
	if (off + n <= 4096 && err && !sim_some_version(from, g, false, false) &&
		!sim_some_version(from, g, true, true))
		oracle_fail("a store to gfn %#lx was refused: %d", g, err);
	/* With a reading in between, or half the slots changed, it may be in the one before. */
	if (!err && changes == sim.changes && reads == sim.reads) {
		sim_log_store(g);
		if (off + n > 4096)
			sim_log_store(g + 1);
	}
	sim_host_end(c);
}
