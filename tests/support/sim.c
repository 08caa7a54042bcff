/* SPDX-License-Identifier: MIT */
#include "tests/support/sim.h"

#include <stdio.h>
#include <string.h>

#include "mm/backing.h"
#include "mm/ept.h"
#include "mm/mmu_internal.h"
#include "tests/support/arena.h"
#include "tests/support/cpu_id.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)
#define WIDTH	     40 /* guest-physical bits */
#define TICKETS	     16
#define SLOTS_BUSY   12	  /* of the model's, so that many are in use */
#define SPOTS	     24	  /* gfns around which everything happens */
#define LOG_PAGES    1100 /* more than any slot has */
#define PENDS	     64

struct sim_seen sim_seen;

/*
 * What the model knows of a slot's dirty log: pages that were written and must be in the next reading. Nothing is noted
 * while a write need not be recorded: before the ticket of the last reading (or of the start of logging) is ready.
 */
struct log {
	uint64_t serial; /* counts starts of logging; 0: off */
	bool reading, waits;
	struct mmu_ticket t;
	bool written[LOG_PAGES];
};

/* Written by a vCPU that logs by itself and has not left the guest since. */
struct pend {
	unsigned slot;
	uint64_t serial, page;
};

struct vcpu {
	struct mmu_vcpu v;
	bool in, kicked, locked; /* in the guest; to be kicked out; in the middle of something */
	unsigned cpu;
	uint64_t eptp, linear;
	bool again; /* the last access faulted: it is tried again */
	uint64_t again_gfn;
	unsigned again_access, stuck;
	struct pend pend[PENDS];
	unsigned npend;
	unsigned outside; /* tries to enter that failed, one after the other */
};

struct cpu {
	int vcpu; /* in the guest here; -1: none */
	bool locked;
	struct backing *held; /* a device's pointer into it, since this CPU last passed the top of its loop */
};

struct ticket {
	bool used;
	struct mmu_ticket t;
	uint64_t version;
	struct backing *free; /* when it is ready; NULL: nothing */
};

static struct {
	const struct sim_config *c;
	struct arena arena;
	struct mmu *mmu;
	struct vcpu vcpu[SIM_VCPUS];
	struct cpu cpu[ORACLE_CPUS];
	struct ticket ticket[TICKETS];
	struct model m;
	uint64_t spot[SPOTS];
	struct log log[SLOTS_BUSY];
	uint64_t linear_next, changes, log_serial, reads;
	unsigned depth;
} s;

static void step(void);

/* Other CPUs come in between. */
static void nest(void)
{
	unsigned was = test_cpu_id;

	if (s.depth >= 3 || below(4) || s.c->freeing == MMU_FREE_EAGER)
		return;
	s.depth++;
	sim_seen.nested++;
	for (unsigned n = 1 + (unsigned)below(3); n; n--)
		step();
	s.depth--;
	test_cpu_id = was;
}

static void leave(struct vcpu *v);

static void kicked(struct mmu_vcpu *v)
{
	struct vcpu *me = container_of(v, struct vcpu, v);
	unsigned was = test_cpu_id;

	me->kicked = true;
	sim_seen.kicks++;
	/* An eager bump waits for it with the lock held: it comes at once. */
	if (s.c->freeing == MMU_FREE_EAGER && me->in)
		leave(me);
	test_cpu_id = was;
}

static int free_cpu(void)
{
	unsigned c = (unsigned)below(ORACLE_CPUS);

	for (unsigned i = 0; i < ORACLE_CPUS; i++, c = (c + 1) % ORACLE_CPUS)
		if (!s.cpu[c].locked && s.cpu[c].vcpu < 0)
			return (int)c;
	return -1;
}

/* CPU c does something in the host. It comes out of idling if it was. */
static bool host_begin(int c)
{
	if (c < 0)
		return false;
	s.cpu[c].locked = true;
	test_cpu_id = (unsigned)c;
	if (!mmu_host_cpu[c].busy)
		mmu_cpu_quiescent((unsigned)c);
	return true;
}

static void host_end(int c)
{
	s.cpu[c].locked = false;
}

static uint64_t random_gfn(void)
{
	struct model_slot *slot = &model_now(&s.m)[below(SLOTS_BUSY)];

	for (unsigned i = 0; i < SLOTS_BUSY && !slot->used; i++)
		slot = &model_now(&s.m)[i];
	if (slot->used && below(6))
		return slot->base + below(below(2) ? slot->pages : min(slot->pages, 8ul));
	return s.spot[below(SPOTS)] + below(64);
}

/* Is there a version between these two for which the answer about gfn would be right? */
static bool some_version(uint64_t from, uint64_t gfn, bool want_slot, bool want_rom)
{
	for (uint64_t v = max(from, s.m.version - min(s.m.version, ORACLE_VERSIONS - 1ul)); v <= s.m.version;
		v++) {
		struct model_slot *m = model_find(&s.m, v, gfn);

		if ((m != NULL) == want_slot && (!want_rom || (m->flags & SLOT_READONLY)))
			return true;
	}
	return false;
}

/* ---- the dirty log ---- */

static void log_start(unsigned i, const struct mmu_ticket *t)
{
	memset(&s.log[i], 0, sizeof(s.log[i]));
	s.log[i].serial = ++s.log_serial;
	s.log[i].waits = t != NULL;
	if (t)
		s.log[i].t = *t;
}

/* Does a write of now have to be in the next reading? */
static bool log_counts(struct log *l)
{
	if (!l->serial || l->reading)
		return false;
	if (l->waits && mmu_ticket_ready(s.mmu, &l->t))
		l->waits = false;
	return !l->waits;
}

static void log_store(uint64_t gfn)
{
	struct model_slot *m = model_find(&s.m, s.m.version, gfn);

	if (m && log_counts(&s.log[m - model_now(&s.m)]))
		s.log[m - model_now(&s.m)].written[gfn - m->base] = true;
}

/* Does another vCPU's buffer hold it? The CPU logs a page once: who sets D. */
static bool pending(unsigned slot, uint64_t page)
{
	for (unsigned i = 0; i < SIM_VCPUS; i++)
		for (unsigned n = 0; n < s.vcpu[i].npend; n++)
			if (s.vcpu[i].pend[n].slot == slot && s.vcpu[i].pend[n].page == page &&
				s.vcpu[i].pend[n].serial == s.log[slot].serial)
				return true;
	return false;
}

/* The guest has written frame f at gfn. The slot may have moved on meanwhile: then it has the same place in the list. */
static void log_write(struct vcpu *v, uint64_t gfn, uint64_t f)
{
	for (uint64_t at = s.m.version; at >= s.m.oldest; at--) {
		struct model_slot *m = model_find(&s.m, at, gfn), *now;
		unsigned i;

		if (!m || backing_pfn(m->backing, m->backing_page + gfn - m->base).v != f)
			continue;
		i = (unsigned)(m - s.m.at[at % ORACLE_VERSIONS]);
		now = &model_now(&s.m)[i];
		if (!now->used || now->backing != m->backing || !log_counts(&s.log[i]))
			return;
		if (pending(i, gfn - m->base))
			return;
		if (v->v.pml)
			v->pend[v->npend++] = (struct pend){ i, s.log[i].serial, gfn - m->base };
		else
			s.log[i].written[gfn - m->base] = true;
		return;
	}
}

/* v has left the guest. */
static void log_drained(struct vcpu *v)
{
	sim_seen.pml += v->npend;
	for (unsigned i = 0; i < v->npend; i++)
		if (s.log[v->pend[i].slot].serial == v->pend[i].serial)
			s.log[v->pend[i].slot].written[v->pend[i].page] = true;
	v->npend = 0;
}

/* What a reading has said of page `page` is not expected again. */
static void log_said(unsigned slot, uint64_t page)
{
	s.log[slot].written[page] = false;
	for (unsigned i = 0; i < SIM_VCPUS; i++)
		for (unsigned n = 0; n < s.vcpu[i].npend; n++)
			if (s.vcpu[i].pend[n].slot == slot && s.vcpu[i].pend[n].page == page)
				s.vcpu[i].pend[n].serial = 0;
}

static int free_cpu(void);
static bool host_begin(int c);
static void host_end(int c);

static void op_read_log(void)
{
	static bool expected[3][LOG_PAGES]; /* by depth of nesting */
	static uint64_t bitmap[3][LOG_PAGES / 64 + 1];
	unsigned i = (unsigned)below(SLOTS_BUSY), depth = s.depth;
	struct model_slot m = model_now(&s.m)[i];
	struct log *l = &s.log[i];
	uint64_t serial = l->serial;
	struct mmu_ticket t;
	int c = free_cpu(), err;

	if (!serial || l->reading || depth >= 3 || !host_begin(c))
		return;
	memcpy(expected[depth], l->written, sizeof(l->written));
	l->reading = true;
	err = dirty_log_read_clear(s.mmu, m.id, 0, m.pages, bitmap[depth], &t);
	s.reads++;
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
	host_end(c);
}

/* ---- vCPUs ---- */

static void leave(struct vcpu *v)
{
	bool vcpu_was = v->locked, cpu_was = s.cpu[v->cpu].locked;

	v->locked = s.cpu[v->cpu].locked = true;
	test_cpu_id = v->cpu;
	mmu_exit(&v->v);
	v->in = v->kicked = false;
	log_drained(v);
	s.cpu[v->cpu].vcpu = -1;
	v->locked = vcpu_was;
	s.cpu[v->cpu].locked = cpu_was;
}

static void op_reclaim_here(void)
{
	unsigned pages = 1 + (unsigned)below(20), entries = 1 + (unsigned)below(below(2) ? 64 : 4096), n;
	uint64_t before = sim_seen.nested;

	if (s.c->lazy)
		return;
	s.mmu->stats.batch_entries_max = 0;
	n = mmu_reclaim(s.mmu, pages, entries);
	sim_seen.reclaimed += n;
	if (n > pages)
		oracle_fail("a batch of %u pages freed %u", pages, n);
	if (before == sim_seen.nested && s.mmu->stats.batch_entries_max > entries)
		oracle_fail("a batch of %u entries touched %lu", entries, s.mmu->stats.batch_entries_max);
}

static void op_enter(struct vcpu *v)
{
	int c = v->cpu < ORACLE_CPUS && below(8) && !s.cpu[v->cpu].locked && s.cpu[v->cpu].vcpu < 0
			? (int)v->cpu
			: free_cpu();
	uint64_t version;
	int err;

	if (c < 0)
		return;
	v->locked = true;
	s.cpu[c].locked = true;
	test_cpu_id = (unsigned)c;
	s.cpu[c].held = NULL;
	mmu_cpu_quiescent((unsigned)c);
	hw_load((unsigned)c, &v->v);
	nest();
	err = mmu_serve(&v->v);
	if (err == -E_AGAIN)
		sim_seen.blocked++;
	else if (err)
		oracle_fail("no root: %d", err);
	if (below(2))
		op_reclaim_here();
	nest();
	if (!err) {
		version = s.m.version;
		err = mmu_enter(&v->v, &v->eptp);
		if (err) {
			sim_seen.backed_out++;
		} else {
			if (v->cpu != (unsigned)c)
				sim_seen.migrations++;
			v->cpu = (unsigned)c;
			v->in = true;
			s.cpu[c].vcpu = (int)(v - s.vcpu);
			model_forget(&s.m, version);
		}
	}
	/* Kicked vCPUs leave within a few steps, and bumps are not that many: nobody waits for long. */
	v->outside = err ? v->outside + 1 : 0;
	if (v->outside > 200)
		oracle_fail("vCPU %u never enters again", v->v.index);
	s.cpu[c].locked = false;
	v->locked = false;
}

static void check_hit(struct vcpu *v, uint64_t gfn, unsigned access, uint64_t e, unsigned level)
{
	uint64_t f = ((e & BITS(51, 12)) >> 12) + (gfn & ((1ull << 9 * (level - 1)) - 1));
	unsigned cpu = v->cpu;

	sim_seen.hits++;
	sim_seen.large += level > 1;
	if (!model_allows(&s.m, gfn, access, f))
		oracle_fail("vCPU %u on CPU %u reaches frame %#lx at gfn %#lx (access %u): it must not",
			v->v.index, cpu, f, gfn, access);
	if (bits_get(e, 5, 3) != MT_WB)
		oracle_fail("leaf %#lx has the wrong memory type", e);
	if (level > 1 && (e & MMU_EXEC) && !s.c->caps.pschange_mc_no)
		oracle_fail("leaf %#lx of level %u is executable", e, level);
	/* What the guest's own tables said, as cached here for the VPID, must be what they say now. */
	if (hw_cpu[cpu].linear[v->v.vpid] && hw_cpu[cpu].linear[v->v.vpid] != v->linear)
		oracle_fail("vCPU %u meets a stale guest translation on CPU %u", v->v.index, cpu);
	hw_cpu[cpu].linear[v->v.vpid] = v->linear;
	if (access & MMU_WRITE)
		log_write(v, gfn, f);
}

static void check_verdict(enum mmu_verdict d, uint64_t from, uint64_t gfn, unsigned access)
{
	bool ok = true;

	switch (d) {
	case MMU_RESUME:
		break;
	case MMU_MMIO:
		sim_seen.mmio++;
		ok = some_version(from, gfn, false, false);
		break;
	case MMU_EXEC_MMIO:
		sim_seen.mmio++;
		ok = (access & MMU_EXEC) && some_version(from, gfn, false, false);
		break;
	case MMU_ROM:
		sim_seen.rom++;
		ok = (access & MMU_WRITE) && some_version(from, gfn, true, true);
		break;
	default:
		ok = false;
	}
	if (!ok)
		oracle_fail("verdict %d for gfn %#lx, access %u", d, gfn, access);
}

static void op_access(struct vcpu *v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_READ, MMU_READ | MMU_WRITE };
	uint64_t gfn, e, from, changes;
	unsigned access, level;
	enum mmu_verdict d;
	enum hw_result r;

	if ((v->kicked && below(2)) || v->npend == PENDS) {
		leave(v);
		return;
	}
	gfn = v->again && below(8) ? v->again_gfn : random_gfn();
	access = v->again && gfn == v->again_gfn ? v->again_access : kinds[below(ARRAY_SIZE(kinds))];
	r = hw_access(v->cpu, v->eptp, gfn, access, &e, &level);
	if (r == HW_HIT) {
		check_hit(v, gfn, access, e, level);
		v->again = false;
		v->stuck = 0;
		return;
	}
	sim_seen.faults++;
	v->locked = true;
	s.cpu[v->cpu].locked = true;
	leave(v);
	from = s.m.version;
	changes = s.changes;
	d = r == HW_PML_FULL	? MMU_RESUME
	    : r == HW_MISCONFIG ? mmu_misconfig(&v->v, gpa(gfn << 12))
				: mmu_fault(&v->v, gpa(gfn << 12), access);
	check_verdict(d, from, gfn, access);
	v->again = d == MMU_RESUME;
	v->again_gfn = gfn;
	v->again_access = access;
	v->stuck = v->again && changes == s.changes ? v->stuck + 1 : 0;
	if (v->stuck > 300)
		oracle_fail("vCPU %u faults for ever at gfn %#lx", v->v.index, gfn);
	s.cpu[v->cpu].locked = false;
	v->locked = false;
}

/* The guest changes its own page tables and flushes, as it must, on the CPU that it is on. */
static void op_linear(struct vcpu *v)
{
	v->linear = ++s.linear_next;
	hw_cpu[v->cpu].linear[v->v.vpid] = 0;
}

/* ---- devices ---- */

static void add_ticket(const struct mmu_ticket *t, struct backing *free)
{
	for (unsigned i = 0; i < TICKETS; i++)
		if (!s.ticket[i].used) {
			s.ticket[i] = (struct ticket){ true, *t, s.m.version, free };
			return;
		}
	oracle_fail("too many tickets");
}

static unsigned tickets(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TICKETS; i++)
		n += s.ticket[i].used;
	return n;
}

static bool still_used(struct backing *b)
{
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (model_now(&s.m)[i].used && model_now(&s.m)[i].backing == b)
			return true;
	return false;
}

static void op_tickets(void)
{
	for (unsigned i = 0; i < TICKETS; i++) {
		struct ticket *t = &s.ticket[i];

		if (!t->used || !mmu_ticket_ready(s.mmu, &t->t))
			continue;
		model_forget(&s.m, t->version);
		t->used = false;
		if (!t->free)
			continue;
		for (unsigned c = 0; c < ORACLE_CPUS; c++)
			if (s.cpu[c].held == t->free)
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

	if (s.c->dirty && !below(3))
		d.flags |= SLOT_DIRTY_LOG;
	if (backing_alloc(pages, OWNER_RAM, &d.backing))
		oracle_fail("no RAM");
	d.base = gfn(s.spot[below(SPOTS)] + (below(4) ? 0 : below(600)));
	if (!below(4) && pages > 4) {
		d.backing_page = 1 + below(3);
		d.pages -= d.backing_page;
	}
	err = slot_add(s.mmu, &d, &id);
	if (err == -E_EXIST || err == -E_RANGE) {
		backing_free(d.backing);
		return;
	}
	if (err)
		oracle_fail("slot_add: %d", err);
	model_change(&s.m)[i] =
		(struct model_slot){ true, id, d.flags, d.base.v, d.pages, d.backing_page, d.backing, false };
	if (d.flags & SLOT_DIRTY_LOG)
		log_start(i, NULL);
	s.changes++;
}

/* As many changes of the map as bring its version close to where its low bits are 0 again. */
static void op_wrap(void)
{
	uint64_t seq = s.mmu->slots.seq, to = align_up(seq, BIT(EPT_MMIO_GEN_BITS)) - 4;

	if (s.c->wrap && to > seq + 12 && !s.depth)
		s.mmu->slots.seq = to + ((to ^ seq) & 1);
}

static void op_slots(void)
{
	int c = free_cpu(), err = 0;
	unsigned i = (unsigned)below(SLOTS_BUSY);
	struct model_slot *m = &model_now(&s.m)[i], old = *m;
	struct mmu_ticket t;

	if (tickets() > TICKETS - 3 || !host_begin(c))
		return;
	op_wrap();
	if (!m->used) {
		add_slot(i);
		host_end(c);
		return;
	}
	switch (below(4)) {
	case 0:
	case 1:
		err = slot_delete(s.mmu, m->id, &t);
		if (!err) {
			model_change(&s.m)[i].used = false;
			s.log[i].serial = 0;
			add_ticket(&t, still_used(old.backing) ? NULL : old.backing);
		}
		break;
	case 2: {
		uint64_t to = s.spot[below(SPOTS)];

		err = slot_move(s.mmu, m->id, gfn(to), &t);
		if (!err) {
			model_change(&s.m)[i].base = to;
			add_ticket(&t, NULL);
		} else if (err == -E_EXIST) {
			err = 0;
		}
		break;
	}
	case 3: {
		unsigned flags = m->flags ^ (s.c->dirty && below(2) ? SLOT_DIRTY_LOG : SLOT_READONLY);

		err = slot_set_flags(s.mmu, m->id, flags, &t);
		if (!err) {
			model_change(&s.m)[i].flags = flags;
			add_ticket(&t, NULL);
			if (!(flags & SLOT_DIRTY_LOG))
				s.log[i].serial = 0;
			else if (!(old.flags & SLOT_DIRTY_LOG))
				log_start(i, &t);
		}
	}
	}
	if (err)
		oracle_fail("slot %u: %d", old.id, err);
	s.changes++;
	host_end(c);
}

static void op_hold(void)
{
	struct slot found;
	int c = free_cpu();

	if (!host_begin(c))
		return;
	if (slots_find(s.mmu, gfn(random_gfn()), &found))
		s.cpu[c].held = found.backing;
	host_end(c);
}

static void op_top(void)
{
	int c = free_cpu();

	if (c < 0)
		return;
	s.cpu[c].held = NULL;
	if (below(3))
		mmu_cpu_quiescent((unsigned)c);
	else
		mmu_cpu_idle((unsigned)c);
}

static void op_store(void)
{
	char bytes[64] = { 0 };
	uint64_t g = random_gfn(), from = s.m.version, off = below(4000), changes = s.changes,
		 reads = s.reads;
	unsigned n = 1 + (unsigned)below(64);
	int c = free_cpu(), err;

	if (!host_begin(c))
		return;
	err = guest_write(s.mmu, gpa(g << 12 | off), bytes, n);
	if (off + n <= 4096 && !err && !some_version(from, g, true, false))
		oracle_fail("a store to gfn %#lx was not refused", g);
	if (off + n <= 4096 && err && !some_version(from, g, false, false) &&
		!some_version(from, g, true, true))
		oracle_fail("a store to gfn %#lx was refused: %d", g, err);
	/* With a reading in between, or half the slots changed, it may be in the one before. */
	if (!err && changes == s.changes && reads == s.reads) {
		log_store(g);
		if (off + n > 4096)
			log_store(g + 1);
	}
	host_end(c);
}

/* ---- what must always be true ---- */

static void check_lists(void)
{
	struct mmu *mmu = s.mmu;
	uint64_t gen = UINT64_MAX, n = 0, valid = 0;

	list_for_each (p, &mmu->active, struct spage, link) {
		if (p->gen > gen)
			oracle_fail("the active list is not sorted: %lx after %lx", p->gen, gen);
		gen = p->gen;
		n++;
		valid += gen == mmu->front.valid_gen;
	}
	if (n != mmu->nactive || valid != mmu->nvalid)
		oracle_fail("%lu pages active, %lu valid; counted %lu and %lu", n, valid, mmu->nactive,
			mmu->nvalid);
	if (!mmu->params_pool_pages && mmu->pool.peak > 2 * mmu->live_set + SIM_VCPUS + 2 * MMU_LOW_WATER)
		oracle_fail("%lu pages in use, the live set is %lu", mmu->pool.peak, mmu->live_set);
}

/* ---- the VM ---- */

static void vm_create(void)
{
	struct mmu_params p = {
		.kind = MMU_EPT,
		.ops = &hw_ops,
		.caps = s.c->caps,
		.owner = OWNER_TABLES,
		.guest_maxphyaddr = WIDTH,
		.vcpus = s.c->vcpus,
		.pool_pages = s.c->pool_pages,
		.removal = s.c->removal,
		.freeing = s.c->freeing,
	};

	if (mmu_create(&p, &s.mmu))
		oracle_fail("mmu_create");
	for (unsigned i = 0; i < s.c->vcpus; i++) {
		s.vcpu[i] = (struct vcpu){ .cpu = CPUS_MAX, .linear = ++s.linear_next };
		if (mmu_vcpu_init(&s.vcpu[i].v, s.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("mmu_vcpu_init");
	}
	memset(s.log, 0, sizeof(s.log));
	for (unsigned i = 0; i < SPOTS; i++) {
		uint64_t at = below(BIT(WIDTH - 12) - 2048);

		/* Some far apart, some in one table's reach, some at the ends. */
		s.spot[i] = i % 3 == 0	 ? align_down(at, 512)
			    : i % 3 == 1 ? s.spot[i - 1] + 100 * (i % 5)
					 : at;
	}
	s.spot[SPOTS - 1] = 0;
	mmu_yield = nest;
}

static void vm_destroy(void)
{
	mmu_yield = NULL;
	for (unsigned i = 0; i < s.c->vcpus; i++) {
		if (s.vcpu[i].in)
			leave(&s.vcpu[i]);
		mmu_vcpu_fini(&s.vcpu[i].v);
	}
	check_lists();
	sim_seen.evictions += s.mmu->stats.evictions;
	sim_seen.bumps += s.mmu->stats.bumps;
	for (unsigned c = 0; c < ORACLE_CPUS; c++) {
		s.cpu[c].held = NULL;
		mmu_cpu_idle(c);
	}
	/* With everybody gone, all is ready and all debt can be paid. */
	op_tickets();
	if (tickets())
		oracle_fail("a ticket is not ready though nobody is left");
	while (mmu_reclaim_waiting(s.mmu))
		if (!mmu_reclaim(s.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES) && mmu_reclaim_waiting(s.mmu) &&
			!s.mmu->partial)
			oracle_fail("%lu pages are never given back", s.mmu->front.debt);
	if (s.mmu->pool.used != s.mmu->nvalid)
		oracle_fail("%lu pages in use, but %lu valid, %lu active, %lu pending, %lu detached",
			s.mmu->pool.used, s.mmu->nvalid, s.mmu->nactive, s.mmu->npending, s.mmu->ndetached);
	mmu_destroy(s.mmu);
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (model_now(&s.m)[i].used)
			backing_free(model_now(&s.m)[i].backing);
	memset(model_now(&s.m), 0, sizeof(s.m.at[0]));
	model_change(&s.m);
	model_forget(&s.m, s.m.version);
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("the VM's memory leaks");
}

static void step(void)
{
	struct vcpu *v = &s.vcpu[below(s.c->vcpus)];

	if (!v->locked && below(4)) {
		if (!v->in)
			op_enter(v);
		else if (!below(40))
			leave(v);
		else if (!below(60))
			op_linear(v);
		else
			op_access(v);
		return;
	}
	switch (below(64)) {
	case 0 ... 1:
		op_slots();
		break;
	case 2 ... 23:
		op_top();
		break;
	case 24 ... 27:
		op_hold();
		break;
	case 28 ... 35:
		op_store();
		break;
	case 36 ... 45:
		op_tickets();
		break;
	case 46: {
		int c = below(3) ? -1 : free_cpu();

		if (host_begin(c)) {
			mmu_invalidate_all(s.mmu);
			s.changes++;
			host_end(c);
		}
		break;
	}
	case 56 ... 59:
		if (s.c->dirty)
			op_read_log();
		break;
	case 47 ... 55: {
		int c = free_cpu();

		if (host_begin(c)) {
			op_reclaim_here();
			host_end(c);
		}
	}
	}
}

void sim_run(const struct sim_config *c, uint64_t seed, unsigned steps)
{
	memset(&s, 0, sizeof(s));
	s.c = c;
	for (unsigned i = 0; i < ORACLE_CPUS; i++)
		s.cpu[i].vcpu = -1;
	oracle_seed(seed);
	oracle_mtrr_wb();
	hw_reset();
	hw_kick = kicked;
	mmu_debug = true;
	memset(mmu_host_cpu, 0, sizeof(mmu_host_cpu));
	arena_open(&s.arena, hpa(4 * GiB), 512 * MiB);
	arena_start(&s.arena);
	vm_create();
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (!below(64))
			check_lists();
		if (!below(4000)) {
			/* Another VM gets the same frames and the same VPIDs. */
			vm_destroy();
			vm_create();
		}
	}
	vm_destroy();
	test_cpu_id = 0;
	arena_close(&s.arena);
}

#define SMALL_ONLY .ept = true, .ept_wb = true, .vpid = true, .maxphyaddr = 39
#define CAPS_ALL   SMALL_ONLY, .ept_2m = true, .ept_1g = true, .ept_ad = true, .ept_uc = true
const struct sim_config sim_configs[] = {
	{ .name = "bulk", .vcpus = 4, .caps = { CAPS_ALL, .pschange_mc_no = true } },
	{ .name = "multihit", .vcpus = 3, .caps = { CAPS_ALL } },
	{ .name = "targeted", .vcpus = 4, .caps = { CAPS_ALL }, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "auto, small pool",
		.vcpus = 4,
		.pool_pages = 48,
		.caps = { SMALL_ONLY },
		.removal = MMU_REMOVAL_AUTO },
	{ .name = "small pool", .vcpus = 6, .pool_pages = 40, .caps = { CAPS_ALL } },
	{ .name = "smallest pool",
		.vcpus = 1,
		.pool_pages = 1,
		.caps = { CAPS_ALL },
		.removal = MMU_REMOVAL_TARGETED },
	{ .name = "nobody drains", .vcpus = 4, .caps = { SMALL_ONLY }, .lazy = true },
	{ .name = "MMIO comes round",
		.vcpus = 3,
		.caps = { CAPS_ALL },
		.removal = MMU_REMOVAL_TARGETED,
		.wrap = true },
	{ .name = "dirty log", .vcpus = 4, .caps = { CAPS_ALL }, .dirty = true },
	{ .name = "dirty log without A and D, targeted",
		.vcpus = 3,
		.pool_pages = 40,
		.caps = { SMALL_ONLY, .ept_2m = true },
		.removal = MMU_REMOVAL_TARGETED,
		.dirty = true },
	{ .name = "dirty log by the CPU",
		.vcpus = 4,
		.caps = { CAPS_ALL, .pml = true, .pschange_mc_no = true },
		.removal = MMU_REMOVAL_AUTO,
		.dirty = true },
	{ .name = "eager", .vcpus = 2, .caps = { CAPS_ALL }, .freeing = MMU_FREE_EAGER },
};
const unsigned sim_nconfigs = ARRAY_SIZE(sim_configs);
