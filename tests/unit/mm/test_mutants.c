/* SPDX-License-Identifier: MIT */
/*
 * Every planted fault of mm/mutant.h must be caught. A mutant that lives means that the oracle is blind.
 * Each runs in a process of its own, which is to die: by the oracle, an assertion, a sanitizer or the CPU time that
 * it may take (a bump that never returns). The same seeds each time: what was caught once is caught again.
 *
 *	LETHE_MUTANT=no_wait build/unit/mm/test_mutants		only this one, and what the oracle says to it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mm/mutant.h"
#include "tests/support/nested/nested.h"
#include "tests/support/shadow/shadow_sim.h"
#include "tests/support/sim/sim.h"

#define ROUNDS	    40u /* most are dead in the first, all in the fourth */
#define ROUNDS_NONE 8u
#define STEPS	    6000u
#define CPU_SECONDS 120u /* the longest takes about twenty */

static void announce(uint64_t seed, const char *config)
{
	if (!getenv("LETHE_MUTANT"))
		return;
	printf("seed %lu, %s\n", seed, config);
	fflush(stdout);
}

/* All configurations, one seed after the other, until it is dead. */
static void hunt(enum mutant m)
{
	static const int caught[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };
	struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS };

	/* cmocka's handlers would go on with the next test, in this process. */
	for (unsigned i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		signal(caught[i], SIG_DFL);
	setrlimit(RLIMIT_CPU, &cpu);
	if (!getenv("LETHE_MUTANT")) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
	}
	mutant_select(mutant_name(m));
	for (unsigned round = 0; round < (m == MUTANT_none ? ROUNDS_NONE : ROUNDS); round++) {
		uint64_t seed = 1000 + round;

		for (unsigned i = 0; i < nested_nconfigs; i++) {
			announce(seed, nested_configs[i].name);
			nested_run(&nested_configs[i], seed, STEPS);
		}
		for (unsigned i = 0; i < sim_nconfigs; i++) {
			announce(seed, sim_configs[i].name);
			sim_run(&sim_configs[i], seed, STEPS);
		}
		for (unsigned i = 0; i < shadow_nconfigs; i++) {
			announce(seed, shadow_configs[i].name);
			shadow_run(&shadow_configs[i], seed, STEPS);
		}
	}
	_exit(0);
}

static bool dies(enum mutant m)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		hunt(m);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (getenv("LETHE_MUTANT") && WIFSIGNALED(status))
		printf("ended by: %s\n", strsignal(WTERMSIG(status)));
	return status != 0;
}

static void mutant_is_killed(void **state)
{
	enum mutant m = (enum mutant)(uintptr_t)*state;

	if (!dies(m))
		fail_msg("mutant %s lives", mutant_name(m));
}

/* And the unbroken MMU lives through the same: else the kills would prove nothing. */
static void no_mutant_lives(void **state)
{
	assert_false(dies(MUTANT_none));
}

/* no_fence: broken in what no interleaving of whole instructions can show; the protocol model has it (tests/model). Tests of their
 * own have the order of an exit's steps (test_bounds), floods of stores, many unsynchronised tables, and rights that went without a flush (test_shadow_tables). */
static bool elsewhere(enum mutant m)
{
	return m == MUTANT_no_fence || m == MUTANT_busy_late || m == MUTANT_drained_late ||
	       m == MUTANT_flood_ignored || m == MUTANT_stale_forgotten || m == MUTANT_ahead_forgotten;
}

int main(void)
{
	struct CMUnitTest tests[MUTANTS_END + 1];
	const char *only = getenv("LETHE_MUTANT");
	unsigned n = 0;

	memset(tests, 0, sizeof(tests));
	if (only && !strcmp(only, mutant_name(MUTANT_no_fence))) {
		fprintf(stderr,
			"mutant %s: no test that runs whole instructions one after the other can see it; tests/model/run kills it in flush.pml and tables.pml\n",
			only);
		return 2;
	}
	if (!only)
		tests[n++] = (struct CMUnitTest){ "none", no_mutant_lives, NULL, NULL, NULL };
	for (unsigned m = 1; m < MUTANTS_END; m++)
		if (only ? !strcmp(only, mutant_name(m)) : !elsewhere(m))
			tests[n++] = (struct CMUnitTest){ mutant_name(m), mutant_is_killed, NULL, NULL,
				(void *)(uintptr_t)m };
	if (!n) {
		fprintf(stderr, "there is no mutant %s\n", only);
		return 2;
	}
	return _cmocka_run_group_tests("mutants", tests, n, NULL, NULL);
}
