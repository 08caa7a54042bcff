/* SPDX-License-Identifier: MIT */
/*
 * The MMU against the oracle, in random order. LETHE_SEED=n repeats a run, LETHE_STEPS=n makes it longer
 * (make soak does).
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

#include "mm/mutant.h"
#include "tests/support/sim.h"

static void config_run(void **state)
{
	const struct sim_config *c = *state;
	const char *seed = getenv("LETHE_SEED"), *steps = getenv("LETHE_STEPS");
	uint64_t from = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);

	memset(&sim_seen, 0, sizeof(sim_seen));
	for (uint64_t n = 0; n < 4; n++) {
		printf("oracle: %s, LETHE_SEED=%lu\n", c->name, from + n);
		fflush(stdout);
		sim_run(c, from + n, steps ? (unsigned)strtoul(steps, NULL, 0) : 20000);
	}
	printf("oracle: hits %lu (large %lu) faults %lu mmio %lu rom %lu bumps %lu reclaimed %lu evicted %lu "
	       "moves %lu "
	       "waits %lu backed out %lu freed %lu nested %lu kicks %lu dirty %lu in %lu readings\n",
		sim_seen.hits, sim_seen.large, sim_seen.faults, sim_seen.mmio, sim_seen.rom, sim_seen.bumps,
		sim_seen.reclaimed, sim_seen.evictions, sim_seen.migrations, sim_seen.blocked,
		sim_seen.backed_out, sim_seen.freed, sim_seen.nested, sim_seen.kicks, sim_seen.dirty_pages,
		sim_seen.harvests);
	/* A run that met none of this would prove nothing. */
	assert_true(sim_seen.hits && sim_seen.faults && sim_seen.mmio && sim_seen.rom && sim_seen.freed);
	assert_true(
		sim_seen.migrations && sim_seen.bumps && (sim_seen.nested || c->freeing == MMU_FREE_EAGER));
	if (c->pool_pages)
		assert_true(sim_seen.evictions);
	if (c->dirty)
		assert_true(sim_seen.dirty_pages);
	if (c->caps.pml)
		assert_true(sim_seen.pml);
	if (c->caps.ept_2m)
		assert_true(sim_seen.large);
}

int main(void)
{
	struct CMUnitTest tests[16];

	memset(tests, 0, sizeof(tests));
	for (unsigned i = 0; i < sim_nconfigs; i++)
		tests[i] = (struct CMUnitTest){ sim_configs[i].name, config_run, NULL, NULL,
			(void *)&sim_configs[i] };
	return _cmocka_run_group_tests("oracle", tests, sim_nconfigs, NULL, NULL);
}
