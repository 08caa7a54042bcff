/* SPDX-License-Identifier: MIT */
/*
 * An arena: host memory that plays the machine's RAM in hosted tests and benchmarks.
 *
 * Host-physical address `base + n` is byte n of the mapping; direct_map_base is set so that hpa_to_virt() finds
 * it. Pages cost nothing until they are touched. One arena at a time.
 *
 *	struct arena a;
 *	arena_open(&a, hpa(4 * GiB), 3 * GiB);		RAM at [4 GiB, 7 GiB)
 *	arena_start(&a);				all of it usable; frames_init
 *	...
 *	arena_close(&a);
 */
#pragma once

#include <setjmp.h>

#include "lib/boot_info.h"
#include "mm/host/frames.h"

struct arena {
	void *mem; /* aligned to 1 GiB, plus what base is past a GiB */
	uint64_t bytes;
	hpa_t base;
	struct boot_info bi; /* empty after arena_open; arena_range adds to it */
	void *map;	     /* as mmap gave it */
	size_t map_bytes;
};

/* Maps the memory and sets direct_map_base. Exits the program if the host refuses. Memory reads as zero. */
void arena_open(struct arena *a, hpa_t base, uint64_t bytes);
/* Adds a range to a->bi; in ascending order. It need not lie in the arena if nothing will touch it. */
void arena_range(struct arena *a, hpa_t base, uint64_t bytes, enum mem_type type);
/* If no range was added: one MEM_USABLE range over the whole arena. Then frames_init, which must succeed. */
void arena_start(struct arena *a);
void arena_close(struct arena *a);

/* Runs `call`; true if an ASSERT (or panic) stopped it, whose text is then in assert_text. What the call had
 * locked stays locked: start the arena afresh afterwards. */
#define stopped_by_assert(call)                                                                              \
	({                                                                                                   \
		volatile bool stopped_ = true;                                                               \
		assert_catch_begin();                                                                        \
		if (!setjmp(assert_catch_buf)) {                                                             \
			call;                                                                                \
			stopped_ = false;                                                                    \
		}                                                                                            \
		assert_catch_end();                                                                          \
		stopped_;                                                                                    \
	})
extern jmp_buf assert_catch_buf;
extern char assert_text[256];
void assert_catch_begin(void);
void assert_catch_end(void);
