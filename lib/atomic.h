/* SPDX-License-Identifier: MIT */
/*
 * Atomics: compiler atomics, so that ThreadSanitizer sees them in hosted builds.
 *
 * On x86 (TSO, SDM Vol. 3A 9.2) acquire loads and release stores are plain MOVs; an exchange is a locked
 * instruction and a full barrier; atomic_fence() becomes MFENCE or a locked OR. A store followed by a load
 * of another location is the one pair that the CPU may reorder: wherever that matters, the exchange or the
 * fence is written out, with a comment that says which load it must stay ahead of.
 */
#pragma once

#include "lib/types.h"

#define atomic_load(p)		   __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_load_relaxed(p)	   __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_store(p, v)	   __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_xchg(p, v)	   __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_add(p, v)	   __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(p, v)	   __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_or(p, v)	   __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_fetch_and(p, v)	   __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
/* *p: expected value in, value found out. True if it was swapped. */
#define atomic_cmpxchg(p, expected, v)                                                                       \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}
