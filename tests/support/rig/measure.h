/* SPDX-License-Identifier: MIT */
/*
 * Measuring on a real CPU that others use, too: times are medians or the least of several rounds, and claims are ratios.
 * Figures go to standard output, `bench NAME VALUE UNIT`, one line each.
 */
#pragma once

#include "tests/support/rig/rig.h"

#define MILLION	    1000000ul
#define MEASURE_RAM hpa(BIT(43)) /* guest RAM that is never touched, far beyond the arena */

extern double tick_ns;

/* The arena of all rigs that follow, as a machine's RAM is; and the TSC's rate. */
void measure_begin(uint64_t arena_bytes);
/* Nanoseconds to clear a page by string stores, of a stretch of cold ones one after the other: the median of several
 * stretches. */
double measure_clear_ns(void);
/* Nanoseconds that this thread has run. */
uint64_t measure_cpu_ns(void);
/* The quantile: the value below which `part` of all values lie. Sorts v. */
uint64_t quantile(uint64_t *v, uint64_t n, double part);
/* The usual value among v: the mean of the middle half of the quietest twentieth of the run. (A median would be too
 * coarse: one step of the clock is a third of the shortest times.) v must be in the order of time; its order is
 * changed. */
double typical(uint64_t *v, uint64_t n);
void figure(const char *name, double value, const char *unit);
/*
 * The same, with its target. For times and their ratios the target is only printed, since other work of the machine
 * changes them. EXACT figures are counts that do not vary (pages, entries, bytes, ticks of a simulated CPU): if one
 * misses its target, the bench fails (measure_end()).
 */
enum aim { AT_MOST, AT_LEAST, EXACT_AT_MOST };
void aim(const char *name, double value, const char *unit, enum aim what, double target);
/* The exit status: 1 if an EXACT target was missed. */
int measure_end(void);

/*
 * Starts the rig with small leaves only, so that tables are many, and with ram_pages of RAM from gfn 0 on: address space of
 * MEASURE_RAM. Returns the backing for slots of MEASURE_BAR_PAGES, which come and go; rig_stop() frees it.
 */
#define MEASURE_BAR_PAGES 16
struct backing *measure_start(unsigned vcpus, uint64_t ram_pages);
/* vCPU v of the rig takes the root that is valid now. */
void measure_serve(unsigned v);

/*
 * Gives all back. What a batch does is the same in each round, and what the machine does meanwhile (interrupts, other
 * programs, a hypervisor below) only ever adds to it: so of each batch, by its number, the least of all rounds counts,
 * and quantiles are taken over batches. A batch that is slow by itself is slow in each round.
 */
#define BATCHES (MILLION / MMU_BATCH_PAGES * 2)
struct drained {
	double page; /* ns of the thread's CPU time, the least of all rounds */
	uint64_t batches;
	uint64_t took[BATCHES], held[BATCHES]; /* ticks: the whole batch, the MMU lock at one time */
};
extern struct drained drained;
void drained_reset(void);
void drain(struct drained *d);
