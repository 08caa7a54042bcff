/* SPDX-License-Identifier: MIT */
#include "tests/support/rig/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/x86.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"

/* Benchmarks are of the release build, which has no YIELD(): what the tests' nested machine sets has no effect there. */
#ifndef LETHE_DEBUG
void (*mmu_yield)(void);
#endif

double tick_ns;

uint64_t measure_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

double measure_clear_ns(void)
{
	enum { MEASURED = 9, STRETCH = 16 * MiB };
	static char *at;
	uint64_t took[MEASURED];

	if (!at) {
		at = mmap(
			NULL, MEASURED * STRETCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(at, MEASURED * STRETCH, MADV_HUGEPAGE);
	}
	memset(at, 1,
		MEASURED * STRETCH); /* more than is cached: the first is cold again when the last is done */
	for (unsigned i = 0; i < MEASURED; i++) {
		uint64_t from = rdtsc();

		for (uint64_t p = 0; p < STRETCH; p += PAGE_SIZE)
			entries_zero((uint64_t *)(at + i * STRETCH + p), ENTRIES);
		took[i] = rdtsc() - from;
	}
	return (double)quantile(took, MEASURED, 0.5) * tick_ns * PAGE_SIZE / STRETCH;
}

static void calibrate(void)
{
	struct timespec a, b;
	uint64_t t0, t1;

	clock_gettime(CLOCK_MONOTONIC, &a);
	t0 = rdtsc();
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < 50000000l);
	t1 = rdtsc();
	tick_ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)(t1 - t0);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t quantile(uint64_t *v, uint64_t n, double part)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[min((uint64_t)((double)n * part), n - 1)];
}

double typical(uint64_t *v, uint64_t n)
{
	uint64_t part = n / 20;
	double best = 1e300;

	for (uint64_t at = 0; at + part <= n; at += part) {
		uint64_t sum = 0, from = part / 4, to = part - part / 4;

		qsort(v + at, part, sizeof(*v), by_size);
		for (uint64_t i = from; i < to; i++)
			sum += v[at + i];
		best = min(best, (double)sum / (double)(to - from));
	}
	return best;
}

void figure(const char *name, double value, const char *unit)
{
	printf("bench %s %.*f %s\n", name, value < 10 ? 3 : value < 1000 ? 1 : 0, value, unit);
	fflush(stdout);
}

static int missed;

void aim(const char *name, double value, const char *unit, enum aim what, double target)
{
	bool good = what == AT_LEAST ? value >= target : value <= target;

	figure(name, value, unit);
	fprintf(stderr, "bench: %-8s %s = %.4g, target at %s %.4g\n", good ? "ok" : "MISSED", name, value,
		what == AT_LEAST ? "least" : "most", target);
	if (!good && what == EXACT_AT_MOST)
		missed = 1;
}

int measure_end(void)
{
	return missed;
}

/* As a machine's RAM is: mapped with large pages, and there. (Else the host's page faults are measured.) */
static void machine(struct arena *a, uint64_t bytes)
{
	arena_open(a, hpa(4 * GiB), bytes);
	madvise(a->mem, bytes, MADV_HUGEPAGE);
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
		((volatile char *)a->mem)[at] = 1;
	arena_start(a);
	rig_use_arena(a);
}

void measure_begin(uint64_t arena_bytes)
{
	static struct arena arena;

	calibrate();
	machine(&arena, arena_bytes);
}

struct backing *measure_start(unsigned vcpus, uint64_t ram_pages)
{
	struct mmu_params p = { .vcpus = vcpus, .caps = rig_caps(), .guest_maxphyaddr = 46 };
	struct slot_desc d = { .base = gfn(0), .pages = ram_pages };
	struct backing *bar;
	slot_id id;

	p.caps.ept_2m = false;
	p.caps.maxphyaddr = 46;
	p.tick_us = (uint64_t)(1000 / tick_ns);
	rig_start_with(&p, 0, false);
	if (backing_over(MEASURE_RAM, ram_pages, &d.backing) ||
		backing_alloc(MEASURE_BAR_PAGES, RIG_RAM, &bar))
		oracle_fail("bench: backing");
	rig_own(d.backing);
	rig_own(bar);
	if (slot_add(rig.mmu, &d, &id))
		oracle_fail("bench: slot");
	return bar;
}

void measure_serve(unsigned v)
{
	test_cpu_id = v % 4;
	while (mmu_serve(&rig.v[v]))
		rig_drain();
}

struct drained drained;

void drain(struct drained *d)
{
	uint64_t n = 0, pages = 0, begin = measure_cpu_ns();

	while (mmu_reclaim_waiting(rig.mmu)) {
		uint64_t from, took;

		rig.mmu->stats.lock_ticks_max = 0;
		from = rdtsc();
		pages += mmu_reclaim(rig.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
		took = rdtsc() - from;
		if (n == BATCHES)
			oracle_fail("bench: more than %lu batches", n);
		if (n == d->batches) {
			d->took[n] = d->held[n] = UINT64_MAX;
			d->batches++;
		}
		d->took[n] = min(d->took[n], took);
		d->held[n] = min(d->held[n], rig.mmu->stats.lock_ticks_max);
		n++;
	}
	d->page = min(d->page, (double)(measure_cpu_ns() - begin) / (double)pages);
}

void drained_reset(void)
{
	drained.page = 1e9;
	drained.batches = 0;
}
