/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: what the dirty logs must say.
 *
 *	write		if it counts (log_counts()): at once into the slot's `written`; or, where CPUs log by themselves,
 *			into the `pend` of the vCPU whose buffer has it, and from there when that leaves the guest
 *	reading		all that was `written` when it began must be in the bitmap; what the bitmap has is not expected
 *			again; until its ticket is ready no write counts
 */
#include "tests/support/sim/sim_internal.h"

#include <string.h>

void sim_log_start(unsigned i, const struct mmu_ticket *t)
{
	memset(&sim.log[i], 0, sizeof(sim.log[i]));
	sim.log[i].serial = ++sim.log_serial;
	sim.log[i].waits = t != NULL;
	if (t)
		sim.log[i].t = *t;
}

/* True if a write of now must be in the next reading. */
static bool log_counts(struct sim_log *l)
{
	if (!l->serial || l->reading)
		return false;
	if (l->waits && mmu_ticket_ready(sim.mmu, &l->t))
		l->waits = false;
	return !l->waits;
}

void sim_log_store(uint64_t gfn)
{
	struct model_slot *m = model_find(&sim.m, sim.m.version, gfn);

	if (m && log_counts(&sim.log[m - model_now(&sim.m)]))
		sim.log[m - model_now(&sim.m)].written[gfn - m->base] = true;
}

/* True if it is noted already, until some vCPU leaves. */
static bool pending(unsigned slot, uint64_t page)
{
	for (unsigned i = 0; i < SIM_VCPUS; i++)
		for (unsigned n = 0; n < sim.vcpu[i].npend; n++)
			if (sim.vcpu[i].pend[n].slot == slot && sim.vcpu[i].pend[n].page == page &&
				sim.vcpu[i].pend[n].serial == sim.log[slot].serial)
				return true;
	return false;
}

/* True if gfn is in the buffer of vCPU i. */
static bool buffered(unsigned i, uint64_t gfn)
{
	const struct hw_pml *p = &hw_pml[i];

	for (unsigned n = (uint16_t)(p->index + 1); p->on && n < 512; n++)
		if (p->buffer[n] == gfn << PAGE_SHIFT)
			return true;
	return false;
}

/* Returns the vCPU whose buffer has the record of v's write. The CPU logs a page once, when D is set: that may have been
 * another vCPU's write, at a time when writes did not count yet. */
static struct sim_vcpu *holder(struct sim_vcpu *v, uint64_t gfn)
{
	if (buffered(v->v.index, gfn))
		return v;
	for (unsigned i = 0; i < sim.c->vcpus; i++)
		if (buffered(i, gfn))
			return &sim.vcpu[i];
	return v;
}

/* The guest has written frame f at gfn. The slot may have moved on meanwhile: then it has the same place in the list. */
void sim_log_write(struct sim_vcpu *v, uint64_t gfn, uint64_t f)
{
	for (uint64_t at = sim.m.version; at >= sim.m.oldest; at--) {
		struct model_slot *m = model_find(&sim.m, at, gfn), *now;
		struct sim_vcpu *who;
		unsigned i;

		if (!m || backing_pfn(m->backing, m->backing_page + gfn - m->base).v != f)
			continue;
		i = (unsigned)(m - sim.m.at[at % ORACLE_VERSIONS]);
		now = &model_now(&sim.m)[i];
		if (!now->used || now->backing != m->backing || !log_counts(&sim.log[i]))
			return;
		if (pending(i, gfn - m->base))
			return;
		who = holder(v, gfn);
		if (!who->v.pml)
			sim.log[i].written[gfn - m->base] = true;
		else if (who->npend < PENDS)
			who->pend[who->npend++] = (struct sim_pend){ i, sim.log[i].serial, gfn - m->base };
		return;
	}
}

/* v has left the guest. */
void sim_log_drained(struct sim_vcpu *v)
{
	sim_seen.pml += v->npend;
	for (unsigned i = 0; i < v->npend; i++)
		if (sim.log[v->pend[i].slot].serial == v->pend[i].serial)
			sim.log[v->pend[i].slot].written[v->pend[i].page] = true;
	v->npend = 0;
}

/* What a reading has said of page `page` is not expected again. */
static void log_said(unsigned slot, uint64_t page)
{
	sim.log[slot].written[page] = false;
	for (unsigned i = 0; i < SIM_VCPUS; i++)
		for (unsigned n = 0; n < sim.vcpu[i].npend; n++)
			if (sim.vcpu[i].pend[n].slot == slot && sim.vcpu[i].pend[n].page == page)
				sim.vcpu[i].pend[n].serial = 0;
}

void sim_read_log(void)
{
	static bool expected[3][LOG_PAGES]; /* by depth of nesting */
	static uint64_t bitmap[3][LOG_PAGES / 64 + 1];
	unsigned i = (unsigned)below(SLOTS_BUSY), depth = sim.depth;
	struct model_slot m = model_now(&sim.m)[i];
	struct sim_log *l = &sim.log[i];
	uint64_t serial = l->serial;
	struct mmu_ticket t;
	int c = sim_free_cpu(), err;

	if (!serial || l->reading || depth >= 3 || !sim_host_begin(c))
		return;
	memcpy(expected[depth], l->written, sizeof(l->written));
	l->reading = true;
	err = dirty_log_read_clear(sim.mmu, m.id, 0, m.pages, bitmap[depth], &t);
	sim.reads++;
	if (l->serial == serial) {
		if (err)
			oracle_fail("reading the log of slot %u: %d", m.id, err);
		for (uint64_t p = 0; p < m.pages; p++) {
			bool dirty = bitmap[depth][p / 64] >> p % 64 & 1;

			if (expected[depth][p] && !dirty)
				oracle_fail(
					"page %#lx of slot %u was written, its log does not say so", p, m.id);
			if (dirty)
				log_said(i, p);
			sim_seen.dirty_pages += dirty;
		}
		l->reading = false;
		/* What a CPU of the host looked up before logging began is not logged until that is over. */
		if (l->waits)
			t.host_epoch = max(t.host_epoch, l->t.host_epoch);
		l->waits = true;
		l->t = t;
		sim_seen.harvests++;
	}
	sim_host_end(c);
}
