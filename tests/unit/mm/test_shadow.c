/* SPDX-License-Identifier: MIT */
/*
 * The shadow back end against its oracle, in random order (tests/support/shadow/).
 *
 *	LETHE_SEED=n	the first of each configuration's seeds: repeats a run. Else the clock's.
 *	LETHE_STEPS=n	steps for each seed, 20,000 by default
 *	LETHE_CONFIG=s	only configurations whose names contain s; also that of aliases, which does not hold yet
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

#include "tests/support/shadow/shadow_hw.h"
#include "tests/support/shadow/shadow_model.h"
#include "tests/support/shadow/shadow_sim.h"

#define SEEDS 2u
#define STEPS 20000u
#define MORE  20u /* seeds until all was met, at most */

static struct {
	uint64_t seed;
	unsigned steps;
	const char *only;
} run = { .steps = STEPS };

/* What c is there to meet and has not yet; NULL: all was met. */
static const char *missing(const struct shadow_config *c)
{
	const struct {
		uint64_t seen;
		bool wanted;
		const char *what;
	} all[] = {
		{ shadow_seen.injected, true, "faults of the guest's own" },
		{ shadow_seen.tables, true, "stores into tables by an exit" },
		{ shadow_seen.stores, true, "stores into tables without an exit" },
		{ shadow_seen.mmio, true, "device accesses" },
		{ shadow_seen.rom, true, "stores to ROM" },
		{ shadow_seen.loads, true, "CR3 loads" },
		{ shadow_seen.invlpgs, true, "INVLPG" },
		{ shadow_seen.unprotected, true, "tables that are given up" },
		{ shadow_seen.bumps, true, "bumps" },
		{ shadow_seen.freed, true, "RAM that is reused" },
		{ shadow_seen.reclaimed, true, "pages reclaimed" },
		{ shadow_seen.migrations, true, "vCPUs that change CPU" },
		{ shadow_seen.dirty_pages, true, "dirty pages" },
		{ shadow_seen.nested, !c->quiet, "others that come in between" },
		{ shadow_seen.evictions, c->pool_pages != 0, "evictions" },
	};

	for (unsigned m = 0; m < SHADOW_MODES; m++)
		if ((c->modes >> m & 1) && !shadow_seen.hits[m])
			return "accesses in each mode";
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].wanted && !all[i].seen)
			return all[i].what;
	return NULL;
}

static void config_run(void **state)
{
	const struct shadow_config *c = *state;
	uint64_t seed = run.seed;

	memset(&shadow_seen, 0, sizeof(shadow_seen));
	memset(&shadow_hw_seen, 0, sizeof(shadow_hw_seen));
	memset(&model_seen, 0, sizeof(model_seen));
	for (unsigned n = 0; n < SEEDS || (missing(c) && n < SEEDS + MORE); n++) {
		printf("%s, LETHE_SEED=%lu, %u steps\n", c->name, seed, run.steps);
		fflush(stdout);
		shadow_run(c, seed++, run.steps);
	}
	printf("%s: hits", c->name);
	for (unsigned m = 0; m < SHADOW_MODES; m++)
		printf(" %lu", shadow_seen.hits[m]);
	printf("; faults %lu: injected %lu, into tables %lu, MMIO %lu, ROM %lu; stores without exit %lu, by devices %lu; CR3 %lu, modes %lu, toggles %lu, INVLPG %lu; bumps %lu, evicted %lu, reclaimed %lu, moves %lu, waits %lu, nested %lu, freed %lu, dirty %lu; TLB %lu, PSC %lu, INVVPID %lu, large %lu; cells changed %lu, widest question %lu, given up %lu\n",
		shadow_seen.faults, shadow_seen.injected, shadow_seen.tables, shadow_seen.mmio,
		shadow_seen.rom, shadow_seen.stores, shadow_seen.device_stores, shadow_seen.loads,
		shadow_seen.modes, shadow_seen.toggles, shadow_seen.invlpgs, shadow_seen.bumps,
		shadow_seen.evictions, shadow_seen.reclaimed, shadow_seen.migrations, shadow_seen.blocked,
		shadow_seen.nested, shadow_seen.freed, shadow_seen.dirty_pages, shadow_hw_seen.tlb,
		shadow_hw_seen.psc, shadow_hw_seen.invvpids, shadow_hw_seen.large, model_seen.changes,
		model_seen.widest, model_seen.given_up);
	if (missing(c))
		fail_msg("%s never met %s", c->name, missing(c));
}

/* A number above 0, or `otherwise` if the variable is not set. */
static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t v;

	if (!text)
		return otherwise;
	v = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || !v) {
		fprintf(stderr, "%s=%s: a number above 0 is expected\n", name, text);
		exit(2);
	}
	return v;
}

int main(void)
{
	struct CMUnitTest tests[16];
	unsigned n = 0;

	memset(tests, 0, sizeof(tests));
	run.seed = from_environment("LETHE_SEED", (uint64_t)time(NULL));
	run.steps = (unsigned)from_environment("LETHE_STEPS", STEPS);
	run.only = getenv("LETHE_CONFIG");
	for (unsigned i = 0; i < shadow_nconfigs + (run.only != NULL); i++)
		if (!run.only || strstr(shadow_configs[i].name, run.only))
			tests[n++] = (struct CMUnitTest){ shadow_configs[i].name, config_run, NULL, NULL,
				(void *)&shadow_configs[i] };
	if (!n) {
		fprintf(stderr, "LETHE_CONFIG=%s: there is no such configuration\n", run.only);
		return 2;
	}
	return _cmocka_run_group_tests("shadow", tests, n, NULL, NULL);
}
