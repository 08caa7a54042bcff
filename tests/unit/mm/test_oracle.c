/* SPDX-License-Identifier: MIT */
/*
 * The MMU against the oracle, in random order.
 *
 *	LETHE_SEED=n	the first of each configuration's four seeds: repeats a run. Else the clock's.
 *	LETHE_STEPS=n	steps for each seed, 20,000 by default (make soak: SOAK_STEPS)
 *	LETHE_CONFIG=s	only configurations whose names contain s
 *
 * A configuration that did not meet what it is there to meet would prove nothing. Whether one does is chance, so when
 * its seeds are through and something is missing it goes on with further ones, up to fifty of the usual length. What is
 * rarest, eviction from a pool of 48 pages, is met by one in three of those: a configuration that has not met it by then
 * never will.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/sim/sim.h"

#define SEEDS	   4u
#define STEPS	   20000u
#define MORE_SEEDS 50u /* until all was met, at most */

static struct {
	const char *name, *only;
	uint64_t seed;
	unsigned steps;
	struct timespec began, last;
} run;

/* Of CPU time: what it says of the speed does not depend on what else the machine does. */
static double since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) * 1e-9;
}

static void say_progress(unsigned done)
{
	double took = since(&run.last);

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &run.last);
	printf("oracle: %s, seed %lu: %u of %u steps, %.0f s of CPU, %.0f steps a second\n", run.name,
		run.seed, done, run.steps, since(&run.began), SIM_PROGRESS / took);
	fflush(stdout);
}

/* What c is there to meet and has not yet; NULL: all was met. */
static const char *missing(const struct sim_config *c)
{
	const struct {
		uint64_t seen;
		bool wanted;
		const char *what;
	} all[] = {
		{ sim_seen.hits, true, "accesses that reach RAM" },
		{ sim_seen.faults, true, "faults" },
		{ sim_seen.mmio, true, "MMIO" },
		{ sim_seen.rom, true, "stores to ROM" },
		{ sim_seen.freed, true, "RAM that is reused" },
		{ sim_seen.migrations, true, "vCPUs that change CPU" },
		{ sim_seen.bumps, true, "bumps" },
		{ sim_seen.kicks, true, "kicks" },
		{ sim_seen.reclaimed, !c->lazy, "pages reclaimed" },
		{ sim_seen.nested, c->freeing != MMU_FREE_EAGER, "others that come in between" },
		{ sim_seen.blocked, c->vcpus > 1 && c->freeing != MMU_FREE_EAGER, "waits for a generation" },
		{ sim_seen.backed_out, c->freeing != MMU_FREE_EAGER, "entries that back out" },
		{ sim_seen.evictions, c->pool_pages != 0, "evictions" },
		{ sim_seen.large, c->caps.ept_2m, "large leaves" },
		{ sim_seen.harvests, c->dirty, "readings of a dirty log" },
		{ sim_seen.dirty_pages, c->dirty, "dirty pages" },
		{ sim_seen.ad_off, c->walks, "page tables in ROM with EPT A/D" },
		{ sim_seen.pml, c->caps.pml, "pages logged by the CPU" },
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].wanted && !all[i].seen)
			return all[i].what;
	return NULL;
}

static void one_seed(const struct sim_config *c)
{
	printf("oracle: %s, LETHE_SEED=%lu, %u steps\n", c->name, run.seed, run.steps);
	fflush(stdout);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &run.last);
	sim_run(c, run.seed, run.steps);
	run.seed++;
}

static void config_run(void **state)
{
	const struct sim_config *c = *state;
	uint64_t from = run.seed;
	unsigned steps = run.steps;

	memset(&sim_seen, 0, sizeof(sim_seen));
	run.name = c->name;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &run.began);
	for (unsigned n = 0; n < SEEDS; n++)
		one_seed(c);
	for (unsigned n = 0; missing(c) && n < MORE_SEEDS; n++) {
		printf("oracle: %s: no %s yet, so it goes on\n", c->name, missing(c));
		run.steps = max(steps, STEPS);
		one_seed(c);
	}
	run.seed = from;
	run.steps = steps;
	printf("oracle: hits %lu (large %lu) faults %lu mmio %lu rom %lu bumps %lu reclaimed %lu evicted %lu moves %lu waits %lu backed out %lu freed %lu nested %lu kicks %lu dirty %lu (by the CPU %lu) in %lu readings\n",
		sim_seen.hits, sim_seen.large, sim_seen.faults, sim_seen.mmio, sim_seen.rom, sim_seen.bumps,
		sim_seen.reclaimed, sim_seen.evictions, sim_seen.migrations, sim_seen.blocked,
		sim_seen.backed_out, sim_seen.freed, sim_seen.nested, sim_seen.kicks, sim_seen.dirty_pages,
		sim_seen.pml, sim_seen.harvests);
	if (missing(c))
		fail_msg("%s never met %s", c->name, missing(c));
}

/* A number above 0, or `otherwise` if the variable is not set. */
static uint64_t from_environment(const char *name, uint64_t otherwise, uint64_t most)
{
	const char *text = getenv(name);
	char *end;
	uint64_t v;

	if (!text)
		return otherwise;
	v = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || !v || v > most) {
		fprintf(stderr, "%s=%s: a number from 1 to %lu is expected\n", name, text, most);
		exit(2);
	}
	return v;
}

int main(void)
{
	struct CMUnitTest tests[16];
	unsigned n = 0;

	memset(tests, 0, sizeof(tests));
	run.seed = from_environment("LETHE_SEED", (uint64_t)time(NULL), UINT64_MAX);
	run.steps = (unsigned)from_environment("LETHE_STEPS", STEPS, UINT32_MAX);
	run.only = getenv("LETHE_CONFIG");
	sim_progress = say_progress;
	for (unsigned i = 0; i < sim_nconfigs; i++)
		if (!run.only || strstr(sim_configs[i].name, run.only))
			tests[n++] = (struct CMUnitTest){ sim_configs[i].name, config_run, NULL, NULL,
				(void *)&sim_configs[i] };
	if (!n) {
		fprintf(stderr, "LETHE_CONFIG=%s: there is no such configuration\n", run.only);
		return 2;
	}
	return _cmocka_run_group_tests("oracle", tests, n, NULL, NULL);
}
