/* SPDX-License-Identifier: MIT */
/* The simulated machine: vCPUs, and what they may reach. */
#include "tests/support/sim/sim_internal.h"

#include "mm/mmu/ept.h"
#include "tests/support/fakes/cpu_id.h"

/* Beside MMU_READ and MMU_WRITE: the CPU walks the guest's own tables. */
#define WALK BIT(3)

void sim_leave(struct sim_vcpu *v)
{
	bool vcpu_was = v->locked, cpu_was = sim.cpu[v->cpu].locked;

	v->locked = sim.cpu[v->cpu].locked = true;
	test_cpu_id = v->cpu;
	mmu_exit(&v->v);
	v->in = v->kicked = false;
	sim_log_drained(v);
	sim.cpu[v->cpu].vcpu = -1;
	v->locked = vcpu_was;
	sim.cpu[v->cpu].locked = cpu_was;
}

void sim_reclaim(void)
{
	unsigned pages = 1 + (unsigned)below(20), entries = 1 + (unsigned)below(below(2) ? 64 : 4096), n;
	uint64_t before = sim_seen.nested;

	if (sim.c->lazy)
		return;
	sim.mmu->stats.batch_entries_max = 0;
	n = mmu_reclaim(sim.mmu, pages, entries);
	sim_seen.reclaimed += n;
	if (n > pages)
		oracle_fail("a batch of %u pages freed %u", pages, n);
	if (before == sim_seen.nested && sim.mmu->stats.batch_entries_max > entries)
		oracle_fail("a batch of %u entries touched %lu", entries, sim.mmu->stats.batch_entries_max);
}

/* The handshake. What the map was before this vCPU entered, no vCPU reaches any more. */
static int handshake(struct sim_vcpu *v, unsigned c)
{
	uint64_t version = sim.m.version;
	int err = mmu_enter(&v->v, &v->eptp);

	if (err) {
		sim_seen.backed_out++;
		return err;
	}
	/* (A vCPU that is overtaken by a bump here is behind, and has been kicked.) */
	if ((v->eptp & EPTP_AD) && !sim.mmu->caps.ept_ad && v->v.root.gen == sim.mmu->front.valid_gen)
		oracle_fail("vCPU %u enters with EPT's A and D flags, which are off", v->v.index);
	if (v->cpu != c)
		sim_seen.migrations++;
	v->cpu = c;
	v->in = true;
	sim.cpu[c].vcpu = (int)(v - sim.vcpu);
	model_forget(&sim.m, version);
	return 0;
}

void sim_enter(struct sim_vcpu *v)
{
	int c = v->cpu < ORACLE_CPUS && below(8) && !sim.cpu[v->cpu].locked && sim.cpu[v->cpu].vcpu < 0
			? (int)v->cpu
			: sim_free_cpu();
	int err;

	if (c < 0)
		return;
	v->locked = true;
	sim.cpu[c].locked = true;
	test_cpu_id = (unsigned)c;
	sim.cpu[c].held = NULL;
	hw_load((unsigned)c, &v->v);
	sim_nest();
	/* As the run loop does it on a CPU that was made ready for v: the handshake first, and served only if that is
	 * refused. Or as a vCPU that has just come to the CPU. */
	err = v->v.cpu == (unsigned)c && below(2) ? handshake(v, (unsigned)c) : -E_AGAIN;
	if (err) {
		mmu_cpu_quiescent((unsigned)c);
		err = mmu_serve(&v->v);
		if (err == -E_AGAIN)
			sim_seen.blocked++;
		else if (err)
			oracle_fail("no root: %d", err);
		if (below(2))
			sim_reclaim();
		sim_nest();
		if (!err)
			err = handshake(v, (unsigned)c);
	}
	/* Kicked vCPUs leave within a few steps, and bumps are rare, so no vCPU waits for long. */
	v->outside = err ? v->outside + 1 : 0;
	if (v->outside > 200)
		oracle_fail("vCPU %u never enters again", v->v.index);
	sim.cpu[c].locked = false;
	v->locked = false;
}

static void check_hit(struct sim_vcpu *v, uint64_t gfn, unsigned access, uint64_t e, unsigned level)
{
	uint64_t f = ((e & BITS(51, 12)) >> 12) + (gfn & ((1ull << 9 * (level - 1)) - 1));
	unsigned cpu = v->cpu;

	sim_seen.hits++;
	sim_seen.large += level > 1;
	if (!model_allows(&sim.m, gfn, access, f))
		oracle_fail("vCPU %u on CPU %u reaches frame %#lx at gfn %#lx (access %u): it must not",
			v->v.index, cpu, f, gfn, access);
	if (bits_get(e, 5, 3) != MT_WB)
		oracle_fail("leaf %#lx has the wrong memory type", e);
	if (level > 1 && (e & MMU_EXEC) && !sim.c->caps.pschange_mc_no)
		oracle_fail("leaf %#lx of level %u is executable", e, level);
	/* What the guest's own tables said, as cached here for the VPID, must be what they say now. */
	if (hw_cpu[cpu].linear[v->v.vpid] && hw_cpu[cpu].linear[v->v.vpid] != v->linear)
		oracle_fail("vCPU %u meets a stale guest translation on CPU %u", v->v.index, cpu);
	hw_cpu[cpu].linear[v->v.vpid] = v->linear;
	if (access & MMU_WRITE)
		sim_log_write(v, gfn, f);
}

static bool hole(uint64_t version, uint64_t gfn)
{
	return !model_find(&sim.m, version, gfn);
}

static bool rom(uint64_t version, uint64_t gfn)
{
	struct model_slot *m = model_find(&sim.m, version, gfn);

	return m && (m->flags & SLOT_READONLY);
}

/* The vCPU has found gfn to be a hole (or ROM), and may tell the others: none may reach what was there (rule 3). */
static void told(bool (*so)(uint64_t version, uint64_t gfn), uint64_t from, uint64_t gfn)
{
	uint64_t v = sim.m.version;

	while (v > max(from, sim.m.oldest) && !so(v, gfn))
		v--;
	while (v > sim.m.oldest && so(v - 1, gfn))
		v--;
	model_forget(&sim.m, v);
}

static void check_verdict(enum mmu_verdict d, uint64_t from, uint64_t gfn, unsigned access)
{
	bool ok = true;

	switch (d) {
	case MMU_RESUME:
		break;
	case MMU_MMIO:
		sim_seen.mmio++;
		ok = sim_some_version(from, gfn, false, false);
		break;
	case MMU_EXEC_MMIO:
		sim_seen.mmio++;
		ok = (access & MMU_EXEC) && sim_some_version(from, gfn, false, false);
		break;
	case MMU_ROM:
		sim_seen.rom++;
		/* (A walk by a CPU that does not count it as a write is none: it faults as a read.) */
		ok = (access & MMU_WRITE) && !(access & WALK) && sim_some_version(from, gfn, true, true);
		break;
	default:
		ok = false;
	}
	if (ok && d != MMU_RESUME)
		told(d == MMU_ROM ? rom : hole, from, gfn);
	if (!ok)
		oracle_fail("verdict %d for gfn %#lx, access %u", d, gfn, access);
}

void sim_access(struct sim_vcpu *v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_READ, MMU_READ | MMU_WRITE };
	uint64_t gfn, e, from, changes;
	unsigned access, level;
	enum mmu_verdict d;
	enum hw_result r;

	if ((v->kicked && below(2)) || v->npend == PENDS) {
		sim_leave(v);
		return;
	}
	gfn = v->again && below(8) ? v->again_gfn : sim_random_gfn();
	access = v->again && gfn == v->again_gfn     ? v->again_access
		 : sim.c->walks && !below(SIM_WALKS) ? WALK
						     : kinds[below(ARRAY_SIZE(kinds))];
	/* It may be tried again under another EPTP, and count as something else then. */
	if (access & WALK)
		access = WALK | hw_walk(v->eptp);
	r = hw_access(v->cpu, v->eptp, gfn, access & ~WALK, &e, &level);
	if (r == HW_HIT) {
		check_hit(v, gfn, access & ~WALK, e, level);
		v->again = false;
		v->stuck = 0;
		return;
	}
	sim_seen.faults++;
	v->locked = true;
	sim.cpu[v->cpu].locked = true;
	sim_leave(v);
	sim.hot = gfn;
	from = sim.m.version;
	changes = sim.changes;
	d = r == HW_PML_FULL	? MMU_RESUME
	    : r == HW_MISCONFIG ? mmu_misconfig(&v->v, gpa(gfn << 12))
	    : access & WALK	? hw_walk_fault(&v->v, gpa(gfn << 12), access & ~WALK)
				: mmu_violation(&v->v, gpa(gfn << 12), access);
	check_verdict(d, from, gfn, access);
	v->again = d == MMU_RESUME;
	v->again_gfn = gfn;
	v->again_access = access;
	v->stuck = v->again && changes == sim.changes ? v->stuck + 1 : 0;
	if (v->stuck > 300)
		oracle_fail("vCPU %u faults for ever at gfn %#lx", v->v.index, gfn);
	sim.cpu[v->cpu].locked = false;
	v->locked = false;
}

/* The guest changes its own page tables and flushes, as it must, on the CPU that it is on. */
void sim_linear(struct sim_vcpu *v)
{
	v->linear = ++sim.linear_next;
	hw_cpu[v->cpu].linear[v->v.vpid] = 0;
}
