/* SPDX-License-Identifier: MIT */
/* The simulated machine: a VM from its creation to its end, which part takes the next step, and what must always be true. */
#include "tests/support/sim/sim_internal.h"

#include <string.h>

#include "tests/support/fakes/cpu_id.h"

struct sim_seen sim_seen;
struct sim sim;
void (*sim_progress)(unsigned done);

static void step(void);

void sim_nest(void)
{
	unsigned was = test_cpu_id;

	if (sim.depth >= 3 || below(4) || sim.c->freeing == MMU_FREE_EAGER)
		return;
	sim.depth++;
	sim_seen.nested++;
	/* The map changes more often here than elsewhere, since a change in the middle of another CPU's work is the
	 * hardest case. Not where the version of the map must wrap while entries of the last round still exist. */
	if (!below(sim.c->wrap ? 50 : 12))
		sim_slots();
	for (unsigned n = 1 + (unsigned)below(3); n; n--)
		step();
	sim.depth--;
	test_cpu_id = was;
}

static void kicked(struct mmu_vcpu *v)
{
	struct sim_vcpu *me = container_of(v, struct sim_vcpu, v);
	unsigned was = test_cpu_id;

	me->kicked = true;
	sim_seen.kicks++;
	/* An eager bump waits for it with the lock held: it comes at once. */
	if (sim.c->freeing == MMU_FREE_EAGER && me->in)
		sim_leave(me);
	test_cpu_id = was;
}

int sim_free_cpu(void)
{
	unsigned c = (unsigned)below(ORACLE_CPUS);

	for (unsigned i = 0; i < ORACLE_CPUS; i++, c = (c + 1) % ORACLE_CPUS)
		if (!sim.cpu[c].locked && sim.cpu[c].vcpu < 0)
			return (int)c;
	return -1;
}

bool sim_host_begin(int c)
{
	if (c < 0)
		return false;
	sim.cpu[c].locked = true;
	test_cpu_id = (unsigned)c;
	if (!mmu_host_cpu[c].busy)
		mmu_cpu_quiescent((unsigned)c);
	return true;
}

void sim_host_end(int c)
{
	sim.cpu[c].locked = false;
}

uint64_t sim_random_gfn(void)
{
	struct model_slot *slot = &model_now(&sim.m)[below(SLOTS_BUSY)];

	if (!below(5))
		return sim.hot;
	for (unsigned i = 0; i < SLOTS_BUSY && !slot->used; i++)
		slot = &model_now(&sim.m)[i];
	if (slot->used && below(6))
		return slot->base + below(below(2) ? slot->pages : min(slot->pages, 8ul));
	return sim.spot[below(SPOTS)] + below(64);
}

bool sim_some_version(uint64_t from, uint64_t gfn, bool want_slot, bool want_rom)
{
	for (uint64_t v = max(from, sim.m.version - min(sim.m.version, ORACLE_VERSIONS - 1ul));
		v <= sim.m.version; v++) {
		struct model_slot *m = model_find(&sim.m, v, gfn);

		if ((m != NULL) == want_slot && (!want_rom || (m && (m->flags & SLOT_READONLY))))
			return true;
	}
	return false;
}

static void check_lists(void)
{
	struct mmu *mmu = sim.mmu;
	uint64_t gen = UINT64_MAX, n = 0, valid = 0;

	list_for_each (p, &mmu->pages.active, struct spage, link) {
		if (p->gen > gen)
			oracle_fail("the active list is not sorted: %lx after %lx", p->gen, gen);
		gen = p->gen;
		n++;
		valid += gen == mmu->front.valid_gen;
	}
	if (n != mmu->count.active || valid != mmu->count.valid)
		oracle_fail("%lu pages active, %lu valid; counted %lu and %lu", n, valid, mmu->count.active,
			mmu->count.valid);
	if (!mmu->params_pool_pages &&
		mmu->pool.peak > 2 * mmu->pages.live_set + SIM_VCPUS + 2 * MMU_LOW_WATER)
		oracle_fail("%lu pages in use, the live set is %lu", mmu->pool.peak, mmu->pages.live_set);
}

static void vm_create(void)
{
	struct mmu_params p = {
		.backend = &mmu_backend_ept,
		.ops = &hw_ops,
		.caps = sim.c->caps,
		.owner = OWNER_TABLES,
		.guest_maxphyaddr = WIDTH,
		.vcpus = sim.c->vcpus,
		.pool_pages = sim.c->pool_pages,
		.removal = sim.c->removal,
		.freeing = sim.c->freeing,
	};

	if (mmu_create(&p, &sim.mmu))
		oracle_fail("mmu_create");
	for (unsigned i = 0; i < sim.c->vcpus; i++) {
		sim.vcpu[i] = (struct sim_vcpu){ .cpu = CPUS_MAX, .linear = ++sim.linear_next };
		if (mmu_vcpu_init(&sim.vcpu[i].v, sim.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("mmu_vcpu_init");
	}
	memset(sim.log, 0, sizeof(sim.log));
	for (unsigned i = 0; i < SPOTS; i++) {
		uint64_t at = below(BIT(WIDTH - 12) - 2048);

		/* Some far apart, some in one table's reach, some at the ends. */
		sim.spot[i] = i % 3 == 0   ? align_down(at, 512)
			      : i % 3 == 1 ? sim.spot[i - 1] + 100 * (i % 5)
					   : at;
	}
	sim.spot[SPOTS - 1] = 0;
	mmu_yield = sim_nest;
}

static void vm_destroy(void)
{
	mmu_yield = NULL;
	for (unsigned i = 0; i < sim.c->vcpus; i++) {
		if (sim.vcpu[i].in)
			sim_leave(&sim.vcpu[i]);
		mmu_vcpu_fini(&sim.vcpu[i].v);
	}
	check_lists();
	sim_seen.evictions += sim.mmu->stats.evictions;
	sim_seen.bumps += sim.mmu->stats.bumps;
	sim_seen.ad_off += sim.mmu->stats.ad_off;
	for (unsigned c = 0; c < ORACLE_CPUS; c++) {
		sim.cpu[c].held = NULL;
		mmu_cpu_idle(c);
	}
	/* With all vCPUs gone, all is ready and all debt can be paid. */
	sim_tickets();
	if (sim_tickets_waiting())
		oracle_fail("a ticket is not ready though no vCPU is left");
	while (mmu_reclaim_waiting(sim.mmu))
		if (!mmu_reclaim(sim.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES) &&
			mmu_reclaim_waiting(sim.mmu) && !sim.mmu->drain.partial)
			oracle_fail("%lu pages are never given back", sim.mmu->front.debt);
	if (sim.mmu->pool.used != sim.mmu->count.valid)
		oracle_fail("%lu pages in use, but %lu valid, %lu active, %lu pending, %lu detached",
			sim.mmu->pool.used, sim.mmu->count.valid, sim.mmu->count.active,
			sim.mmu->count.pending, sim.mmu->count.detached);
	mmu_destroy(sim.mmu);
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (model_now(&sim.m)[i].used)
			backing_free(model_now(&sim.m)[i].backing);
	memset(model_now(&sim.m), 0, sizeof(sim.m.at[0]));
	model_change(&sim.m);
	model_forget(&sim.m, sim.m.version);
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("the VM's memory leaks");
}

static void step(void)
{
	struct sim_vcpu *v = &sim.vcpu[below(sim.c->vcpus)];

	if (!v->locked && below(4)) {
		if (!v->in)
			sim_enter(v);
		else if (!below(40))
			sim_leave(v);
		else if (!below(60))
			sim_linear(v);
		else
			sim_access(v);
		return;
	}
	switch (below(64)) {
	case 0 ... 1:
		sim_slots();
		break;
	case 2 ... 23:
		sim_top();
		break;
	case 24 ... 27:
		sim_hold();
		break;
	case 28 ... 35:
		sim_store();
		break;
	case 36 ... 45:
		sim_tickets();
		break;
	case 46: {
		int c = below(3) ? -1 : sim_free_cpu();

		if (sim_host_begin(c)) {
			mmu_invalidate_all(sim.mmu);
			sim.changes++;
			sim_host_end(c);
		}
		break;
	}
	case 56 ... 59:
		if (sim.c->dirty)
			sim_read_log();
		break;
	case 47 ... 55: {
		int c = sim_free_cpu();

		if (sim_host_begin(c)) {
			sim_reclaim();
			sim_host_end(c);
		}
	}
	}
}

void sim_run(const struct sim_config *c, uint64_t seed, unsigned steps)
{
	memset(&sim, 0, sizeof(sim));
	sim.c = c;
	for (unsigned i = 0; i < ORACLE_CPUS; i++)
		sim.cpu[i].vcpu = -1;
	oracle_begin(seed, kicked, oracle_debug(seed));
	arena_open(&sim.arena, hpa(4 * GiB), 512 * MiB);
	arena_start(&sim.arena);
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
		if (sim_progress && (i + 1) % SIM_PROGRESS == 0)
			sim_progress(i + 1);
	}
	vm_destroy();
	test_cpu_id = 0;
	arena_close(&sim.arena);
}
