/* SPDX-License-Identifier: MIT */
/*
 * A CPU: the run loop in the order that mm/mmu/mmu.h gives, and the guest in it, which reaches for memory by the hardware's
 * walk (tests/support/sim/oracle.c) until it faults, is kicked, or its time is up.
 */
#include "mm/host/mtrr.h"
#include "mm/mmu/ept.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/threads/world.h"

#define ENTRIES_EACH 20u /* tries to enter a vCPU before another gets the CPU */
#define TIME_SLICE   60u /* accesses until the timer ends it */
#define NO_TIMER     ~0u /* until kicked */

static uint64_t reach_gfn(const struct reach *r)
{
	return HOME(r->place, r->home) + r->page;
}

static struct reach reach_random(const struct vm *vm)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_READ, MMU_READ | MMU_WRITE };
	struct reach r = { .place = below(3) ? (unsigned)below(PLACES) : 0,
		.access = kinds[below(ARRAY_SIZE(kinds))] };

	/* Where something is, as a rule; and few of the many pages, so that they are met again. */
	r.told = atomic_load(&vm->place[r.place].told);
	r.home = !r.place ? 0 : below(4) ? (unsigned)bits_get(r.told, 3, 2) : (unsigned)below(HOMES);
	r.page = r.place ? below(below(8) ? 8 : 600) : below(below(4) ? 16 : RAM_PAGES);
	return r;
}

void reach_check(struct vcpu *v, const struct reach *r, const uint64_t *w)
{
	uint64_t is = atomic_load_relaxed(&w[STAMP]), after = atomic_load(&v->vm->place[r->place].told);
	enum expected x = place_expected(r->told, after, r->home, r->page);

	if (x == NOTHING || (x == ROM && (r->access & MMU_WRITE)))
		oracle_fail("vCPU %u.%u on CPU %u reaches gfn %#lx, access %u; it is told %#lx",
			v->vm->number, v->number, this_cpu_id(), reach_gfn(r), r->access, after);
	stamp_check(v->vm, r->place, is, x == ANYTHING ? 0 : after, "a vCPU");
	if (bits_get(is, 47, 32) != r->page)
		oracle_fail("vCPU %u.%u on CPU %u reaches page %lu of place %u, not %lu", v->vm->number,
			v->number, this_cpu_id(), bits_get(is, 47, 32), r->place, r->page);
	atomic_store_relaxed(&v->hits, v->hits + 1);
	count(hits, 1);
}

static void reached(struct vcpu *v, const struct reach *r, uint64_t e, uint64_t *w)
{
	struct hw_cpu *cpu = &hw_cpu[this_cpu_id()];

	reach_check(v, r, w);
	if (bits_get(e, 5, 3) != MT_WB)
		oracle_fail("leaf %#lx has the wrong memory type", e);
	if (cpu->linear[v->v.vpid] && cpu->linear[v->v.vpid] != v->linear)
		oracle_fail("vCPU %u.%u meets a stale guest translation on CPU %u", v->vm->number, v->number,
			this_cpu_id());
	cpu->linear[v->v.vpid] = v->linear;
}

bool interrupted(const struct vcpu *v)
{
	/* An interrupt takes a while to arrive. */
	return !below(8) && (atomic_load(&v->kicked) || atomic_load_relaxed(&world.stop));
}

/* In the guest. *r: what it reaches for first if `again`, what it could not reach if WHY_FAULT. */
static enum why guest(
	struct vcpu *v, uint64_t eptp, struct reach *r, bool again, unsigned slice, enum hw_result *result)
{
	unsigned cpu = this_cpu_id(), level;
	uint64_t e, *w;

	for (unsigned n = 0; n < slice; n++, again = false) {
		if (interrupted(v))
			return WHY_KICK;
		if (!below(200))
			return WHY_CHANGE;
		if (!below(100)) {
			/* It changes its own page tables, and flushes here. */
			v->linear++;
			hw_cpu[cpu].linear[v->v.vpid] = 0;
		}
		if (!again)
			*r = reach_random(v->vm);
		r->told = atomic_load(&v->vm->place[r->place].told);
		*result = hw_access(cpu, eptp, reach_gfn(r), r->access, &e, &level);
		if (*result != HW_HIT)
			return WHY_FAULT;
		w = words(pfn(ept_pfn(e).v + (reach_gfn(r) & (level_pages(level) - 1))));
		if (r->access & MMU_WRITE)
			atomic_store_relaxed(&w[WORD_VCPU + v->number], ++v->stores);
		reached(v, r, e, w);
	}
	return WHY_TIMER;
}

void reach_verdict(const struct vcpu *v, const struct reach *r, enum mmu_verdict d)
{
	enum expected x =
		place_expected(r->told, atomic_load(&v->vm->place[r->place].told), r->home, r->page);
	bool ok = true;

	switch (d) {
	case MMU_MMIO:
		count(mmio, 1);
		ok = x == ANYTHING || x == NOTHING;
		break;
	case MMU_EXEC_MMIO:
		ok = (r->access & MMU_EXEC) && (x == ANYTHING || x == NOTHING);
		break;
	case MMU_ROM:
		count(rom, 1);
		ok = (r->access & MMU_WRITE) && (x == ANYTHING || x == ROM);
		break;
	case MMU_TABLE:
		ok = (r->access & MMU_WRITE) && (x == ANYTHING || x == RAM);
		break;
	default:
		ok = false;
	}
	if (!ok)
		oracle_fail("vCPU %u.%u: verdict %d for gfn %#lx, access %u, it is told %#lx", v->vm->number,
			v->number, d, reach_gfn(r), r->access, r->told);
}

/* True: it is to try again. */
static bool fault(struct vcpu *v, const struct reach *r, enum hw_result result)
{
	gpa_t at = gfn_to_gpa(gfn(reach_gfn(r)));
	enum mmu_verdict d = result == HW_PML_FULL    ? MMU_RESUME
			     : result == HW_MISCONFIG ? mmu_misconfig(&v->v, at)
						      : mmu_violation(&v->v, at, r->access);

	count(faults, 1);
	if (d != MMU_RESUME)
		reach_verdict(v, r, d);
	return d == MMU_RESUME;
}

static void run(struct vcpu *v)
{
	struct mmu *mmu = v->vm->mmu;
	struct place *mine = &v->vm->place[1 + DEVICES + v->number];
	unsigned cpu = this_cpu_id(), slice;
	bool again = false, served = false, shadow = v->vm->what->shadow;
	struct reach r;

	for (unsigned n = 0; n < ENTRIES_EACH && !atomic_load_relaxed(&world.stop); n++) {
		enum hw_result result = HW_HIT;
		uint64_t pointer;
		enum why why;
		int err;

		mmu_cpu_quiescent(cpu);
		owner_reap(v->vm, &v->owner);
		/* A kick from here on ends the stay in the guest: interrupts are open there only. */
		atomic_store(&v->kicked, 0);
		/* On the CPU where it last ran the handshake itself finds out whether there is something to serve. */
		err = served && below(2) ? 0 : mmu_serve(&v->v);
		served = false;
		if (mmu_reclaim_waiting(mmu) && mmu_pay_due(&v->v, rdtsc_low()))
			count(reclaimed, mmu_pay(&v->v, below(2)));
		if (err == -E_AGAIN) {
			count(blocked, 1);
			world_pause(0);
			continue;
		}
		if (err)
			oracle_fail("no root: %d", err);
		hw_load(cpu, &v->v);
		if (mmu_enter(&v->v, &pointer)) {
			count(backed_out, 1);
			continue;
		}
		/* It runs again, so what it changed is changed for all (rule 3), and it says so. */
		if (mine->unsaid)
			place_tell(mine);
		slice = below(8) ? TIME_SLICE : NO_TIMER;
		why = shadow ? shadow_guest(v, pointer, again, slice)
			     : guest(v, pointer, &r, again, slice, &result);
		mmu_exit(&v->v);
		served = true;
		count(kicked, why == WHY_KICK);
		again = shadow ? shadow_exit(v, why) : why == WHY_FAULT && fault(v, &r, result);
		if (why == WHY_CHANGE)
			place_change(v->vm, mine, &v->owner);
	}
}

void *cpu_thread(void *number)
{
	unsigned cpu = (unsigned)(uintptr_t)number;

	test_cpu_id = cpu;
	oracle_seed(world.seed + 1 + cpu);
	while (!atomic_load_relaxed(&world.stop)) {
		struct vcpu *v = &world.vm[below(VMS)].vcpu[below(VCPUS)];

		count(rounds, 1);
		if (atomic_xchg(&v->taken, 1)) {
			/* Another thread has it: this CPU idles for a moment. */
			mmu_cpu_idle(cpu);
			world_pause(20);
			continue;
		}
		run(v);
		atomic_store(&v->taken, 0);
	}
	mmu_cpu_idle(cpu);
	return NULL;
}
