/* SPDX-License-Identifier: MIT */
/*
 * The trace ring: the last events of each CPU in fixed-size binary records, cheap enough to leave on, printed
 * by panic and, for the subjects that lethe.conf names, as readable lines when they happen.
 *
 * A line takes the serial port some milliseconds. So that showing an event causes no further event, the console sends
 * without interrupts while anything is traced live (drivers/console/console.c); and so that a guest whose own timer is faster
 * than that gets on, each subject has a number of lines after which no more are shown.
 */
#pragma once

#include "lib/cpu_id.h"
#include "lib/exit_reasons.h"
#include "lib/types.h"

enum trace_subject {
	TRACE_EXITS, /* VM exits and entries */
	TRACE_MMU,   /* faults, bumps, reclaim, flushes */
	TRACE_IRQ,   /* interrupts injected, acknowledged */
	TRACE_IO,    /* device accesses */
	TRACE_BOOT,  /* start-up steps */
	TRACE_SUBJECTS
};

struct trace_record {
	uint64_t tsc;
	const char *what; /* a literal with up to three %lx-style conversions, formatted only when shown */
	uint64_t a, b, c;
	uint16_t subject, vm, vcpu;
};

#define TRACE_RECORDS 128 /* per CPU; a power of two */

#define TRACE_LINES 1000       /* shown of a subject unless lethe.conf says how many */
#define TRACE_ALL   UINT32_MAX /* lines: no bound */

/* What lethe.conf's `trace` asks for. */
struct trace_conf {
	uint32_t live;			/* bit per subject: shown when it happens */
	uint32_t lines[TRACE_SUBJECTS]; /* how many lines of it, or TRACE_ALL */
	uint64_t reasons[(EXIT_REASONS + 63) /
			 64]; /* bit per exit reason that is traced; all clear: every reason */
};

/* Bit per subject: recorded in the ring; also printed when it happens. Device accesses, interrupts and exits come so
 * often that recording them costs as much as they do: they are recorded only if lethe.conf names them. (The last
 * exits of a vCPU are kept all the same, hv/exit/exit.c.) */
#define TRACE_DEFAULT (1u << TRACE_MMU | 1u << TRACE_BOOT)
extern uint32_t trace_mask, trace_live;

/* Takes over what lethe.conf says. `off`: nothing is recorded. Before the other CPUs start. */
void trace_set(const struct trace_conf *conf, bool off);
/* True if exits of this basic reason are traced. */
bool trace_wants_exit(unsigned reason);

void trace_record(enum trace_subject s, const char *what, uint64_t a, uint64_t b, uint64_t c);
/* Prints the newest records of every CPU, oldest first, to the log without taking its lock (panic). */
void trace_dump(unsigned most);
/* Reads "exits:cpuid+io:100, mmu": subjects with, after colons, exit reasons (of `exits` only) and the number of lines
 * to show, or `all`. Returns NULL, or what was expected at the place that is wrong. */
const char *trace_parse(const char *words, struct trace_conf *out);

/* Gives a CPU its ring: trace_ring_bytes() of memory. Without one its events are shown live, but not kept. */
size_t trace_ring_bytes(void);
void trace_attach(unsigned cpu, void *memory);

/* What runs on each CPU now, for the records: hv/ writes it when it switches vCPUs. */
struct trace_context {
	uint16_t vm, vcpu;
};
extern struct trace_context trace_context[CPUS_MAX];

#define TRACE(s, what, a, b, c)                                                                              \
	do {                                                                                                 \
		if (unlikely(trace_mask & 1u << (s)))                                                        \
			trace_record((s), (what), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c));              \
	} while (0)
