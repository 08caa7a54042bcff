/* SPDX-License-Identifier: MIT */
/*
 * The trace ring: the last events of each CPU in fixed-size binary records, cheap enough to leave on, printed
 * by panic and, for the subjects that lethe.conf names, as readable lines when they happen.
 */
#pragma once

#include "lib/cpu_id.h"
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

/* Bit per subject: recorded in the ring; also printed when it happens. Device accesses, interrupts and exits come so
 * often that recording them costs as much as they do: they are recorded only if lethe.conf names them. (The last
 * exits of a vCPU are kept all the same, hv/exit.c.) */
#define TRACE_DEFAULT (1u << TRACE_MMU | 1u << TRACE_BOOT)
extern uint32_t trace_mask, trace_live;

void trace_record(enum trace_subject s, const char *what, uint64_t a, uint64_t b, uint64_t c);
/* Prints the newest records of every CPU, oldest first, to the log without taking its lock (panic). */
void trace_dump(unsigned most);
/* "exits, mmu": sets trace_live. 0, or -E_INVAL with *bad (not NULL) at the word that is unknown. */
int trace_parse(const char *words, uint32_t *mask, const char **bad);

/* Each CPU's ring is attached by whoever allocates per-CPU memory; without one, records are dropped. */
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
