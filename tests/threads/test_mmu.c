/* SPDX-License-Identifier: MIT */
/*
 * The MMU under real threads, which run at the same time and whose stores wait in real store buffers; compiled with
 * ThreadSanitizer, which says of any two accesses whether the MMU's own atomics keep them apart. Four CPUs run the
 * vCPUs of two VMs, two devices change the maps; what is checked stands in world.h, cpu.c, shadow.c and device.c.
 *
 *	THREADS_SECONDS=n	for each pair of VMs, 2 by default
 *	LETHE_SEED=n		what each thread throws; the order of threads is the host's, so no run comes again
 *	LETHE_MUTANT=name	a planted fault (mm/mutant.h) is on all the time, to see what is said to it
 *
 * Of those, fourteen are hunted each time: tables and RAM in use after they were given back, the old map beside the new, stores
 * that the dirty log misses, and what shadow page tables show of the guest's when it has changed them. By hand, as long as one likes:
 *
 *	make build/unit/threads/test_mmu
 *	LETHE_MUTANT=free_before_grace THREADS_SECONDS=30 build/unit/threads/test_mmu
 *
 * It ends with what the oracle or ThreadSanitizer saw; "none" is the MMU unbroken. Mutants that break what one thread
 * does by itself are not for this test (tests/unit/mm/test_mutants.c has them all), and no_fence is shown only by
 * the model (tests/model): here a locked instruction follows close enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/assert.h"
#include "mm/mutant.h"
#include "tests/threads/world.h"

#define SECONDS	     2u
#define LATE_SECONDS 60u /* until all was met, at most; a machine may be busy */
#define STUCK	     20u /* seconds without any progress */
#define HUNTS	     12u /* runs for each mutant, at most; as a rule it is dead in the first */

#define CAPS_LITTLE .ept = true, .ept_wb = true, .vpid = true, .maxphyaddr = 39
#define CAPS_SHADOW .vpid = true, .maxphyaddr = 39, .pschange_mc_no = true
#define CAPS_MUCH   CAPS_LITTLE, .ept_2m = true, .ept_ad = true, .ept_uc = true

/* The last runs on shadow page tables. */
static const struct pair {
	const char *name;
	struct world_vm vm[VMS];
} pairs[] = {
	{ "bumps; a small pool, unmapped entry by entry",
		{ { .caps = { CAPS_MUCH, .pschange_mc_no = true } },
			{ .caps = { CAPS_LITTLE }, .pool_pages = 48, .removal = MMU_REMOVAL_TARGETED } } },
	{ "dirty pages logged by the CPU; all freed inside the bump",
		{ { .caps = { CAPS_MUCH, .pml = true }, .removal = MMU_REMOVAL_AUTO },
			{ .caps = { CAPS_MUCH }, .freeing = MMU_FREE_EAGER } } },
	{ "shadow page tables: bumps; unmapped entry by entry",
		{ { .caps = { CAPS_SHADOW }, .shadow = true },
			{ .caps = { CAPS_SHADOW }, .removal = MMU_REMOVAL_TARGETED, .shadow = true } } },
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

/* Each is dead within a second or so. */
static const struct hunted {
	const char *name;
	bool shadow;
} hunted[] = {
	{ "no_recheck", false },
	{ "entered_late", false },
	{ "no_wait", false },
	{ "free_before_grace", false },
	{ "ticket_guest_only", false },
	{ "ticket_at_once", false },
	{ "no_invept_new_root", false },
	{ "dirty_no_flush", false },
	{ "host_store_unlogged", false },
	{ "free_before_grace", true },
	{ "cr3_without_flush", true },
	{ "invlpg_without_sync", true },
	{ "sync_ignores_d", true },
	{ "host_store_untold", true },
};
#define HUNTED (sizeof(hunted) / sizeof(hunted[0]))

/* The first report ends the program, and a test of its own fails for it. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:abort_on_error=0:exitcode=66:second_deadlock_stack=1";
}

static void panicked(const char *file, int line, const char *text)
{
	oracle_fail("%s:%d: %s", file, line, text);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text && *text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

/* ---- progress ---- */

#define WATCHED (CPUS + DEVICES + VMS * VCPUS)

/* The rounds of thread i, or the hits of a vCPU. */
static uint64_t progress(unsigned i)
{
	if (i < CPUS + DEVICES)
		return atomic_load_relaxed(&world.seen[i].rounds);
	i -= CPUS + DEVICES;
	return atomic_load_relaxed(&world.vm[i / VCPUS].vcpu[i % VCPUS].hits);
}

/* Each must have moved on since the last time that it is looked at, STUCK seconds ago. */
static void check_progress(uint64_t last[WATCHED])
{
	for (unsigned i = 0; i < WATCHED; i++) {
		uint64_t now = progress(i);

		if (i < CPUS + DEVICES && now == last[i])
			oracle_fail("%s %u stands still", i < CPUS ? "CPU" : "device", i);
		if (now == last[i])
			oracle_fail("vCPU %u.%u stands still", (i - CPUS - DEVICES) / VCPUS,
				(i - CPUS - DEVICES) % VCPUS);
		last[i] = now;
	}
}

static bool all_met(const struct seen *s)
{
	return s->hits && s->faults && s->mmio && s->rom && s->sure && s->blocked && s->kicked &&
	       s->changes && s->freed && s->reclaimed && s->held && s->stored && s->refused && s->copies &&
	       s->dirty;
}

static void watch(unsigned seconds)
{
	uint64_t last[WATCHED] = { 0 };
	struct seen s;

	for (unsigned tenths = 0;; tenths++) {
		world_pause(100000);
		if (tenths && tenths % (STUCK * 10) == 0)
			check_progress(last);
		world_seen(&s);
		if (tenths % 100 == 99) {
			printf("threads: %u s, %lu hits, %lu faults, %lu changes\n", tenths / 10 + 1, s.hits,
				s.faults, s.changes);
			fflush(stdout);
		}
		if (tenths >= 10 * seconds && all_met(&s))
			break;
		if (tenths >= 10 * (seconds + LATE_SECONDS))
			break;
	}
	for (unsigned i = 0; i < WATCHED; i++)
		if (!progress(i))
			oracle_fail("one of all (%u) has done nothing", i);
}

/* ---- tests ---- */

static void run_pair(const struct pair *p, unsigned seconds, uint64_t seed)
{
	pthread_t thread[CPUS + DEVICES];
	struct seen s;

	world_start(p->vm, seed);
	for (uintptr_t i = 0; i < CPUS + DEVICES; i++)
		if (pthread_create(&thread[i], NULL, i < CPUS ? cpu_thread : device_thread,
			    (void *)(i < CPUS ? i : i - CPUS)))
			oracle_fail("no thread");
	watch(seconds);
	atomic_store_relaxed(&world.stop, 1);
	for (unsigned i = 0; i < CPUS + DEVICES; i++)
		pthread_join(thread[i], NULL);
	world_end();
	world_seen(&s);
	printf("threads: hits %lu faults %lu mmio %lu rom %lu sure %lu waits %lu backed out %lu kicked %lu changes %lu freed %lu tables %lu held %lu stored %lu refused %lu copies %lu dirty %lu\n",
		s.hits, s.faults, s.mmio, s.rom, s.sure, s.blocked, s.backed_out, s.kicked, s.changes,
		s.freed, s.reclaimed, s.held, s.stored, s.refused, s.copies, s.dirty);
	fflush(stdout);
	if (!all_met(&s))
		oracle_fail("a run that has not met all of this proves nothing");
}

static void pair_runs(void **state)
{
	uint64_t seed = number_from("LETHE_SEED", (unsigned)time(NULL));

	printf("threads: LETHE_SEED=%lu\n", seed);
	fflush(stdout);
	run_pair(*state, number_from("THREADS_SECONDS", SECONDS), seed);
}

/* In a process of its own, which is to die. */
static void mutant_is_killed(void **state)
{
	const struct hunted *h = *state;
	int status, null;
	pid_t child;

	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGILL, SIG_DFL);
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		dup2(null, 2);
		mutant_select(h->name);
		for (unsigned i = 0; i < HUNTS; i++)
			run_pair(&pairs[h->shadow ? PAIRS - 1 : i % (PAIRS - 1)], SECONDS, i);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!status)
		fail_msg("mutant %s lives%s", h->name, h->shadow ? " on shadow page tables" : "");
}

int main(void)
{
	const char *mutant = getenv("LETHE_MUTANT");
	struct CMUnitTest all[PAIRS + HUNTED];

	memset(all, 0, sizeof(all));
	for (unsigned i = 0; i < PAIRS; i++)
		all[i] = (struct CMUnitTest){ pairs[i].name, pair_runs, NULL, NULL, (void *)&pairs[i] };
	for (unsigned i = 0; i < HUNTED; i++)
		all[PAIRS + i] = (struct CMUnitTest){ hunted[i].name, mutant_is_killed, NULL, NULL,
			(void *)&hunted[i] };
	panic_hook = panicked;
	if (mutant && !mutant_select(mutant)) {
		fprintf(stderr, "there is no mutant %s\n", mutant);
		return 2;
	}
	return _cmocka_run_group_tests("threads", all, mutant ? PAIRS : PAIRS + HUNTED, NULL, NULL);
}
