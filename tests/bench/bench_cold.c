/* SPDX-License-Identifier: MIT */
/*
 * A slot delete with cold caches, as a device meets it that deletes now and then: `bench NAME VALUE UNIT`, one line each.
 *
 * Before each delete, twice the last-level cache is read: data, code, the TLBs and what they walk are gone. It is compared
 * with a cache miss of the same moments: a step of a pointer chase through memory that is just as cold. No vCPU is in the
 * guest, so none is kicked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/x86.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/rig/measure.h"
#include "tests/support/rig/xorshift.h"

#define COLD_BYTES  (192 * MiB) /* more than is cached */
#define CHASE_BYTES (64 * MiB)
#define TLB_PAGES   4096 /* more than a TLB holds */
#define STEPS	    1024 /* of one chase: misses of the TLB are few among them */
#define SAMPLES	    31
#define BAR	    BIT(33)
#define GAP	    32 /* pages from one small slot to the next */

static char *cold, *pages;
static struct backing *bar;
static slot_id bar_id;

static void *memory(uint64_t bytes, int advice)
{
	char *p = mmap(NULL, bytes + 2 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		oracle_fail("bench: no memory");
	p = (char *)align_up((uint64_t)p, 2 * MiB);
	madvise(p, bytes, advice);
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
		p[at] = 1;
	return p;
}

static uint64_t random_below(uint64_t n)
{
	static uint64_t x = 88172645463325252ull;

	return xorshift(&x) % n;
}

/* Each line of `chase` points to another; all are one circle, in an order that no prefetcher knows. */
static void **chase;
#define CHASE_LINES (CHASE_BYTES / 64)

static void chase_make(void)
{
	uint32_t *order = malloc(CHASE_LINES * sizeof(*order));

	for (uint32_t i = 0; i < CHASE_LINES; i++)
		order[i] = i;
	for (uint64_t i = CHASE_LINES - 1; i; i--) {
		uint64_t j = random_below(i + 1);
		uint32_t t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	chase = memory(CHASE_BYTES, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < CHASE_LINES; i++)
		chase[order[i] * 8ul] = &chase[order[(i + 1) % CHASE_LINES] * 8ul];
	free(order);
}

/* The clock, when all that comes before is done and before anything that follows: a plain RDTSC runs ahead of as many misses
 * as the CPU has room for, some fifty of them. */
static uint64_t now(void)
{
	uint64_t t;

	__asm__ volatile("mfence; lfence" ::: "memory");
	t = rdtsc();
	__asm__ volatile("lfence" ::: "memory");
	return t;
}

static void evict(void)
{
	uint64_t sum = 0;

	for (uint64_t at = 0; at < COLD_BYTES; at += 64)
		sum += *(volatile char *)(cold + at);
	for (uint64_t page = 0; page < TLB_PAGES; page++)
		sum += *(volatile char *)(pages + page * PAGE_SIZE + page % 64 * 64);
	(void)sum;
}

/* Ticks of a miss: the median of STEPS single steps would hide that some hit, so it is the mean of all. */
static uint64_t chase_ticks(void)
{
	static void **at;
	uint64_t from;

	if (!at)
		at = chase;
	from = now();
	for (unsigned i = 0; i < STEPS; i++)
		at = *(void *volatile *)at;
	return now() - from;
}

static void add_bar(void)
{
	struct slot_desc d = { gfn(BAR), MEASURE_BAR_PAGES, 0, bar, 0 };

	if (slot_add(rig.mmu, &d, &bar_id))
		oracle_fail("bench: slot_add");
}

/* `slots` in all: RAM, the BAR, and others on both sides of it. */
static void start(unsigned slots)
{
	slot_id id;

	bar = measure_start(4, 1100000ul * 512);
	for (unsigned i = 2; i < slots; i++) {
		struct slot_desc d = { gfn(BAR + (i % 2 ? 1 : -1) * (int64_t)i * GAP), MEASURE_BAR_PAGES, 0,
			bar, 0 };

		if (slot_add(rig.mmu, &d, &id))
			oracle_fail("bench: slot %u", i);
	}
	add_bar();
}

static void fill(uint64_t tables)
{
	measure_serve(0);
	for (uint64_t t = 0; t < tables; t++)
		if (mmu_violation(&rig.v[0], gpa((t * 512 + (t * 37 & 511)) << 12), MMU_WRITE) != MMU_RESUME)
			oracle_fail("bench: fault");
}

/* A generation with so many tables, had back before each delete by setting back what a bump changes. */
struct live {
	uint64_t tables, gen, valid;
	struct spage *root;
	uint64_t took[SAMPLES], miss[SAMPLES];
};

static void live_make(struct live *l)
{
	mmu_invalidate_all(rig.mmu);
	for (unsigned i = 0; i < 4; i++)
		measure_serve(i);
	fill(l->tables);
	l->gen = rig.mmu->front.valid_gen;
	l->valid = rig.mmu->count.valid;
	l->root = rig.mmu->root;
}

static void sample(struct live *l, unsigned n)
{
	struct mmu *mmu = rig.mmu;
	struct mmu_ticket t;
	uint64_t from;

	mmu->front.valid_gen = l->gen;
	mmu->count.valid = l->valid;
	mmu->root = l->root;
	for (unsigned i = 0; i < 4; i++)
		rig.v[i].requests = 0;
	mmu_account(mmu);
	evict();
	l->miss[n] = chase_ticks();
	from = now();
	if (slot_delete(mmu, bar_id, &t))
		oracle_fail("bench: slot_delete");
	l->took[n] = now() - from;
	add_bar();
}

static void with_slots(unsigned slots, const char *suffix)
{
	static const char *const of[3] = { "0", "1k", "1m" };
	static struct live live[3] = { { .tables = 0 }, { .tables = 1000 }, { .tables = MILLION } };
	double took[3], misses = 0, miss = 0;
	char name[64];

	start(slots);
	for (unsigned i = 0; i < 3; i++)
		live_make(&live[i]);
	/* In turns: what else the machine does meets all three. */
	for (unsigned n = 0; n < SAMPLES; n++)
		for (unsigned i = 0; i < 3; i++)
			sample(&live[i], n);
	for (unsigned i = 0; i < 3; i++) {
		took[i] = (double)quantile(live[i].took, SAMPLES, 0.5);
		miss = (double)quantile(live[i].miss, SAMPLES, 0.5) / STEPS;
		misses = max(misses, took[i] / miss);
		snprintf(name, sizeof(name), "delete_cold_%s%s_ns", of[i], suffix);
		figure(name, took[i] * tick_ns, "ns");
	}
	snprintf(name, sizeof(name), "delete_cold%s_flat_ratio", suffix);
	aim(name, max(max(took[0], took[1]), took[2]) / min(min(took[0], took[1]), took[2]), "ratio", AT_MOST,
		1.10);
	snprintf(name, sizeof(name), "delete_cold%s_misses", suffix);
	aim(name, misses, "misses", AT_MOST, 20);
	printf("# %u slots: a miss took %.0f ns\n", slots, miss * tick_ns);
	rig_stop();
}

int main(void)
{
	measure_begin(4800 * MiB);
	cold = memory(COLD_BYTES, MADV_HUGEPAGE);
	pages = memory(TLB_PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	chase_make();
	with_slots(8, "");
	with_slots(500, "_500_slots");
	return measure_end();
}
