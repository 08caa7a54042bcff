/* SPDX-License-Identifier: MIT */
/*
 * The MMU's figures on a real CPU: `bench NAME VALUE UNIT`, one line each.
 *
 * Other programs share the machine, so times are medians or the least of several rounds, and claims are ratios. Guest RAM
 * is address space that is never touched (backing_over): only tables are real. "Live" pages after a bump are had back by
 * setting the counters back, which is all that a bump has changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/x86.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/measure.h"
#include "tests/support/rig/rig.h"

#define BAR	BIT(33) /* gfn of the slot that goes and comes */
#define REPEATS 20000

static struct backing *bar;
static slot_id bar_id;
static uint64_t bar_at = BAR;

static void start(unsigned vcpus, uint64_t ram_pages)
{
	struct slot_desc d = { .base = gfn(bar_at), .pages = MEASURE_BAR_PAGES };

	bar = d.backing = measure_start(vcpus, ram_pages);
	if (slot_add(rig.mmu, &d, &bar_id))
		oracle_fail("bench: slot");
}

/* As the run loop does after an exit. */
static void pay_if_due(struct mmu_vcpu *v, uint32_t now)
{
	if (mmu_pay_due(v, now))
		mmu_pay(v, false);
}

static void fault(unsigned v, uint64_t g)
{
	if (mmu_violation(&rig.v[v], gpa(g << 12), MMU_WRITE) != MMU_RESUME)
		oracle_fail("bench: fault at gfn %#lx", g);
}

/* `tables` leaf tables of one entry each become live. Vary the entry: real tables are not used at one offset. */
static void fill(uint64_t tables)
{
	measure_serve(0);
	for (uint64_t t = 0; t < tables; t++)
		fault(0, t * 512 + (t * 37 & 511));
}

static uint64_t delete_ticks(struct mmu_ticket *t)
{
	uint64_t a = rdtsc(), b;

	if (slot_delete(rig.mmu, bar_id, t))
		oracle_fail("bench: slot_delete");
	b = rdtsc();
	return b - a;
}

static void put_back(void)
{
	struct slot_desc d = { gfn(bar_at), 16, 0, bar, 0 };

	if (slot_add(rig.mmu, &d, &bar_id))
		oracle_fail("bench: slot_add");
}

/* Undoes what a bump did, for the next repeat. */
static void live_again(uint64_t gen, struct spage *root, uint64_t valid)
{
	rig.mmu->front.valid_gen = gen;
	rig.mmu->count.valid = valid;
	rig.mmu->root = root;
	for (unsigned i = 0; i < rig.params.vcpus; i++)
		rig.v[i].requests = 0;
	mmu_account(rig.mmu);
}

/*
 * Typical ticks of a slot delete: until it returns, and until the RAM is reusable with four vCPUs in the guest.
 *
 * The latter is the work that all of it takes, done by one thread: the call, and for each vCPU in turn its exit and the
 * top of its run loop, then the question whether the ticket is ready. It leaves out how long a kick is on its way and
 * how four CPUs contend for cache lines, neither of which knows how many tables there are. Four threads on a host with
 * two CPUs measure the host's scheduler instead: the same delete took 15,000 to 46,000 ticks from run to run; with
 * one thread as the vCPU it is 500 to 700, a cache line going to and fro.
 */
static void deletes(double *call, double *reusable)
{
	static uint64_t a[REPEATS], b[REPEATS];
	struct mmu *m = rig.mmu;
	uint64_t gen, valid;
	struct mmu_ticket t;
	struct spage *root;

	for (unsigned i = 0; i < 4; i++)
		measure_serve(i);
	gen = m->front.valid_gen;
	valid = m->count.valid;
	root = m->root;
	for (unsigned n = 0; n < REPEATS; n++) {
		a[n] = delete_ticks(&t);
		put_back();
		live_again(gen, root, valid);
	}
	for (unsigned n = 0; n < REPEATS; n++) {
		uint64_t from;

		for (unsigned i = 0; i < 4; i++) {
			test_cpu_id = i;
			if (mmu_enter(&rig.v[i], &rig.eptp[i]))
				oracle_fail("bench: enter");
		}
		test_cpu_id = 5;
		mmu_cpu_quiescent(5);
		from = rdtsc();
		delete_ticks(&t);
		/* Each CPU by itself: the kick arrives, it leaves, it comes to the top of its loop. */
		for (unsigned i = 0; i < 4; i++) {
			test_cpu_id = i;
			mmu_exit(&rig.v[i]);
			mmu_cpu_quiescent(i);
		}
		mmu_cpu_quiescent(5);
		if (!mmu_ticket_ready(m, &t))
			oracle_fail("bench: not reusable");
		b[n] = rdtsc() - from;
		put_back();
		live_again(gen, root, valid);
	}
	*call = typical(a, REPEATS);
	*reusable = typical(b, REPEATS);
}

static double flat(const double *v)
{
	return max(max(v[0], v[1]), v[2]) / min(min(v[0], v[1]), v[2]);
}

/* A fault as the run loop has it: the vCPU leaves the guest, the fault is handled, some debt is paid, the vCPU enters. What
 * is missing is the exit itself: there is no CPU for it here. */
static uint64_t one_fault(uint64_t g)
{
	uint64_t from = rdtsc();
	uint32_t now;

	mmu_exit(&rig.v[0]);
	fault(0, g);
	now = rdtsc_low();
	if (mmu_reclaim_waiting(rig.mmu))
		pay_if_due(&rig.v[0], now);
	if (mmu_enter(&rig.v[0], &rig.eptp[0]))
		oracle_fail("bench: enter");
	return rdtsc() - from;
}

/* An equally long piece of work that no other part of the program has anything to do with. */
static uint64_t spin(uint64_t ticks)
{
	uint64_t from = rdtsc(), now;

	do
		now = rdtsc();
	while (now - from < ticks);
	return now - from;
}

struct faults {
	double ns;     /* of one: the median over pieces of a thousand */
	uint64_t p999; /* ticks of single ones at p99.9 */
	uint64_t spin; /* ticks of spins that should take the median's time, at p99.9 */
};

/* n faults, twice. step: gfns from one to the next. */
static struct faults faults(uint64_t n, uint64_t step)
{
	uint64_t *took = malloc(n * sizeof(*took)), pieces = n / 1000, median;
	struct faults f;

	for (uint64_t i = 0; i < n; i++)
		took[i] = one_fault(i * step);
	f.p999 = quantile(took, n, 0.999);
	median = quantile(took, n, 0.5);
	for (uint64_t i = 0; i < n; i++)
		took[i] = spin(median);
	f.spin = quantile(took, n, 0.999);
	for (uint64_t p = 0; p < pieces; p++) {
		uint64_t t = rdtsc();

		for (uint64_t i = 0; i < 1000; i++)
			one_fault((n + p * 1000 + i) * step);
		took[p] = rdtsc() - t;
	}
	f.ns = (double)quantile(took, pieces, 0.5) * tick_ns / 1000;
	free(took);
	return f;
}

static void sizes(void)
{
	static const uint64_t live[3] = { 0, 1000, MILLION };
	double call[3] = { 1e9, 1e9, 1e9 }, reusable[3] = { 1e9, 1e9, 1e9 };

	/* In turns, and the best of each: the CPU's own speed changes in the course of seconds. */
	for (unsigned round = 0; round < 5; round++) {
		if (round)
			rig_stop();
		start(4, 1100000ul * 512);
		for (unsigned i = 0; i < 3; i++) {
			double now_call, now_reusable;

			fill(live[i]);
			deletes(&now_call, &now_reusable);
			call[i] = min(call[i], now_call);
			reusable[i] = min(reusable[i], now_reusable);
		}
	}
	figure("delete_0_ns", call[0] * tick_ns, "ns");
	figure("delete_1k_ns", call[1] * tick_ns, "ns");
	figure("delete_1m_ns", call[2] * tick_ns, "ns");
	aim("delete_flat_ratio", flat(call), "ratio", AT_MOST, 1.05);
	figure("reusable_1m_ns", reusable[2] * tick_ns, "ns");
	aim("reusable_flat_ratio", flat(reusable), "ratio", AT_MOST, 1.10);
	drained_reset();
	for (unsigned round = 0; round < 5; round++) {
		fill(MILLION);
		mmu_invalidate_all(rig.mmu);
		measure_serve(0);
		drain(&drained);
	}
	figure("reclaim_direct_ns_per_page", drained.page, "ns");
	aim("reclaim_batch_max_pages", (double)rig_stats().batch_pages_max, "pages", EXACT_AT_MOST,
		MMU_BATCH_PAGES);
	aim("reclaim_batch_max_entries", (double)rig_stats().batch_entries_max, "entries", EXACT_AT_MOST,
		MMU_BATCH_ENTRIES);
	aim("reclaim_batch_p9999_ns", (double)quantile(drained.took, drained.batches, 0.9999) * tick_ns, "ns",
		AT_MOST, 20000);
	figure("mmu_lock_longest_ns", (double)quantile(drained.held, drained.batches, 1) * tick_ns, "ns");
	rig_stop();
}

static void dense(void)
{
	uint64_t tables = 40 * 502 - 76; /* 40 chunks of the pool, the levels above and its reserve */
	uint64_t bytes;
	double clear;

	start(1, 1100000ul * 512);
	measure_serve(0);
	for (uint64_t g = 0; g < tables * 512; g++)
		fault(0, g);
	bytes = frames_owned(RIG_TABLES) * PAGE_SIZE;
	aim("mmu_bytes_per_4k_direct", (double)bytes / (double)(tables * 512), "bytes", EXACT_AT_MOST, 8.2);
	mmu_invalidate_all(rig.mmu);
	measure_serve(0);
	drained_reset();
	clear = measure_clear_ns();
	drain(&drained);
	clear = (clear + measure_clear_ns()) / 2;
	figure("reclaim_direct_full_ns_per_page", drained.page, "ns");
	figure("clear_cold_page_ns", clear, "ns");
	aim("reclaim_direct_full_ratio", drained.page / clear, "ratio", AT_MOST, 2);
	rig_stop();
}

enum debt { NONE, DEBT, BEHIND, DEBTS };

static struct faults faults_with(enum debt debt, uint64_t n, uint64_t step)
{
	struct faults f;

	start(1, 2200000ul * 512);
	if (debt != NONE) {
		fill(MILLION);
		mmu_invalidate_all(rig.mmu);
	}
	/* As if fewer had ever been valid at one time: the pool is above 1.5 times that at once. */
	if (debt == BEHIND)
		rig.mmu->pages.live_set = MILLION / 2;
	measure_serve(0);
	if (mmu_enter(&rig.v[0], &rig.eptp[0]))
		oracle_fail("bench: enter");
	f = faults(n, step);
	if (debt != NONE && !mmu_reclaim_waiting(rig.mmu))
		oracle_fail("bench: the debt was gone before the measurement ended");
	mmu_exit(&rig.v[0]);
	rig_stop();
	return f;
}

/* Fault throughput with a million obsolete pages, some of which are paid for after each fault, against none. */
static void with_debt(const char *name, uint64_t step, uint64_t n, double least)
{
	static const char *const of[DEBTS] = { "", "", "_behind" };
	enum { ROUNDS = 3 };
	double ratio[DEBTS][ROUNDS];
	struct faults f[DEBTS];
	char text[80];

	/* In turns, each compared with its neighbour: the machine has other things to do, too. All take pages that were never
	 * used before. */
	for (unsigned round = 0; round < ROUNDS; round++)
		for (enum debt d = NONE; d < DEBTS; d++) {
			f[d] = faults_with(d, n, step);
			ratio[d][round] = f[NONE].ns / f[d].ns;
		}
	for (enum debt d = NONE; d < DEBTS; d++)
		printf("# %s%s: a fault %.0f ns, p99.9 %.0f ns, of a spin as long %.0f ns\n", name,
			d == NONE ? " without debt" : of[d], f[d].ns, (double)f[d].p999 * tick_ns,
			(double)f[d].spin * tick_ns);
	for (enum debt d = DEBT; d < DEBTS; d++) {
		double *r = ratio[d];

		snprintf(text, sizeof(text), "%s%s", name, of[d]);
		aim(text, max(min(r[0], r[1]), min(max(r[0], r[1]), r[2])), "ratio", AT_LEAST, least);
	}
}

/* A million obsolete pages of one entry each. */
static void debt_make(void)
{
	start(1, 1100000ul * 512);
	fill(MILLION);
	mmu_invalidate_all(rig.mmu);
	measure_serve(0);
}

/* Exits until the debt is gone, each after so many ticks in the guest. */
static double exits_until_paid(uint64_t ticks)
{
	uint64_t exits = 0;

	debt_make();
	for (; mmu_reclaim_waiting(rig.mmu); exits++) {
		if (ticks)
			spin(ticks);
		pay_if_due(&rig.v[0], rdtsc_low());
	}
	rig_stop();
	return (double)exits;
}

/* Milliseconds until it is gone, of a vCPU that leaves the guest by the deadline only. The time in the guest is taken for
 * passed. */
static double ms_until_paid(void)
{
	uint64_t periods = 0;

	debt_make();
	for (; mmu_reclaim_waiting(rig.mmu); periods++) {
		rig.v[0].paid_at = rdtsc_low() - (uint32_t)(MMU_PAY_PERIOD_US * rig.mmu->tick_us);
		pay_if_due(&rig.v[0], rdtsc_low());
	}
	rig_stop();
	return (double)periods * MMU_PAY_PERIOD_US / 1000;
}

static void debt_ends(void)
{
	/* The bounds hold whatever a page costs; a few hundred pages are tables of the levels above. */
	double pages = MILLION + 4096;

	aim("reclaim_debt_exits", exits_until_paid(0), "exits", EXACT_AT_MOST, pages * MMU_PAY_EXITS);
	figure("reclaim_debt_exits_of_1us", exits_until_paid((uint64_t)(1000 / tick_ns)), "exits");
	aim("reclaim_debt_ms", ms_until_paid(), "ms", EXACT_AT_MOST,
		pages / MMU_PAY_LEAST * MMU_PAY_PERIOD_US / 1000);
}

/*
 * What `removal = auto` weighs (mm/mmu/ept.h, EPT_WEIGHT_*): what it takes to unmap an entry, and a table, of the slot that
 * goes, against faulting one page in again after a bump. A fault here has no VM exit, which is the larger half of it
 * in a real one. removal_drop_entries, a table in entries, is EPT_WEIGHT_DROP / EPT_WEIGHT_LEAF on this CPU.
 */
static void removal(void)
{
	enum { ONE, ALL, TABLES, CASES };
	static const struct {
		uint64_t base, pages, n, step;
	} cases[CASES] = { [ONE] = { BAR + 513, 510, 1, 1 },
		[ALL] = { BAR + 513, 510, 510, 1 },
		[TABLES] = { BAR + 512, 512 * 24, 24, 512 } };
	static uint64_t took[CASES][201], refault[201];
	double unmap, drop, fault_ns;

	start(1, 4096 * 512);
	rig.mmu->removal.how = MMU_REMOVAL_TARGETED;
	for (unsigned n = 0; n < 201; n++)
		for (unsigned c = 0; c < CASES; c++) {
			slot_id id = rig_slot(cases[c].base, cases[c].pages, 0);
			struct mmu_ticket t;
			uint64_t from;

			measure_serve(0);
			from = rdtsc();
			for (uint64_t i = 0; i < cases[c].n; i++)
				fault(0, cases[c].base + i * cases[c].step);
			if (c == ALL)
				refault[n] = (rdtsc() - from) / cases[c].n;
			from = rdtsc();
			if (slot_delete(rig.mmu, id, &t))
				oracle_fail("bench: slot_delete");
			took[c][n] = rdtsc() - from;
			if (!t.flush_epoch)
				oracle_fail("bench: a bump where unmapping was to be measured");
			rig_forget(id);
			rig_drain();
		}
	unmap = (double)quantile(took[ALL], 201, 0.5) - (double)quantile(took[ONE], 201, 0.5);
	unmap = unmap / (double)(cases[ALL].n - 1) * tick_ns;
	drop = (double)quantile(took[TABLES], 201, 0.5) / (double)cases[TABLES].n * tick_ns;
	fault_ns = (double)quantile(refault, 201, 0.5) * tick_ns;
	figure("removal_unmap_ns_per_entry", unmap, "ns");
	figure("removal_drop_ns_per_table", drop, "ns");
	figure("removal_drop_entries", drop / unmap, "entries");
	figure("removal_refault_ns_per_entry", fault_ns, "ns");
	rig_stop();
}

/* Ten thousand bumps back to back; 64 vCPUs build up what they use in between; only they drain. */
static void storm(void)
{
	struct mmu_stats st;
	uint64_t flushes = 0, worst = 0;

	start(64, 512 * 512);
	fill(300);
	for (unsigned i = 0; i < 10000; i++) {
		unsigned v = i % 64;

		measure_serve(v);
		for (uint64_t t = 0; t < 40; t++)
			fault(v, (i * 7 + t) % 300 * 512 + t);
		mmu_invalidate_all(rig.mmu);
	}
	st = rig_stats();
	aim("pool_peak_ratio", (double)st.pages_peak / (double)st.pages_live_peak, "ratio", EXACT_AT_MOST, 2);
	for (unsigned c = 0; c < ORACLE_CPUS; c++)
		hw_cpu[c].invepts = hw_cpu[c].invvpids = 0;
	/* Four vCPUs, each on its CPU, through a thousand bumps. */
	for (unsigned v = 0; v < 4; v++) {
		measure_serve(v);
		mmu_enter(&rig.v[v], &rig.eptp[v]);
		mmu_exit(&rig.v[v]);
	}
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before[4];

		for (unsigned v = 0; v < 4; v++)
			before[v] = hw_cpu[v].invepts + hw_cpu[v].invvpids;
		mmu_invalidate_all(rig.mmu);
		for (unsigned v = 0; v < 4; v++) {
			measure_serve(v);
			for (unsigned n = 0; n < 3; n++) {
				if (mmu_enter(&rig.v[v], &rig.eptp[v]))
					oracle_fail("bench: enter");
				mmu_exit(&rig.v[v]);
				fault(v, i * 3 + n);
				rig_drain();
			}
		}
		for (unsigned v = 0; v < 4; v++) {
			flushes += hw_cpu[v].invepts + hw_cpu[v].invvpids - before[v];
			worst = max(worst, hw_cpu[v].invepts + hw_cpu[v].invvpids - before[v]);
		}
	}
	figure("flushes_per_bump_per_vcpu", (double)flushes / 4000, "flushes");
	aim("flushes_per_bump_per_vcpu_max", (double)worst, "flushes", EXACT_AT_MOST, 1);
	rig_stop();
}

int main(void)
{
	measure_begin(4800 * MiB);
	sizes();
	dense();
	storm();
	removal();
	with_debt("fault_ratio_obsolete_1m", 1, 400000, 0.90);
	with_debt("fault_ratio_obsolete_1m_sparse", 512, 50000, 0.80);
	debt_ends();
	return measure_end();
}
