/* SPDX-License-Identifier: MIT */
/*
 * Time: the TSC, and how fast it is. CPUID may say it; a timer of the platform confirms or corrects it.
 */
#pragma once

#include "drivers/acpi.h"

/* Finds the rate and says in the log where it is from. hostmap active; interrupts off; takes about 60 ms.
 * 0 or -E_NOSUP: neither CPUID nor any timer answers (a rate of 1 GHz is assumed then, and said). */
int time_init(const struct acpi *acpi);
uint64_t tsc_hz(void);
void udelay(uint64_t us);
/* No overflow below about 580 years; before time_init() they return 0. */
uint64_t tsc_to_ns(uint64_t ticks);
uint64_t ns_to_tsc(uint64_t ns);
bool tsc_invariant(void); /* CPUID 80000007H.EDX[8] */

/* The parts, pure. */

/* a * b / c through 128 bits; all ones if the quotient does not fit (or c is 0). Not C's own __int128 division, which
 * would call a library that a freestanding image does not have. */
static inline uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t hi, lo, rest;

	__asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "r"(b) : "cc");
	if (hi >= c)
		return UINT64_MAX;
	__asm__("divq %4" : "=a"(lo), "=d"(rest) : "a"(lo), "d"(hi), "r"(c) : "cc");
	return lo;
}

/* CPUID 15H (and 16H where 15H leaves the crystal out): Hz, or 0 if they don't say. */
uint64_t tsc_hz_from_cpuid(uint32_t max_leaf, uint32_t leaf15_eax, uint32_t leaf15_ebx, uint32_t leaf15_ecx,
	uint32_t leaf16_eax);
/* ticks of the TSC during `count` ticks of a counter of `hz`. Rounded; 0 if count is 0. */
uint64_t tsc_hz_from_run(uint64_t tsc_ticks, uint64_t count, uint64_t hz);
/* Sorts v[0..n) and returns the middle one. */
uint64_t median_u64(uint64_t *v, unsigned n);
/* What to believe: the measured rate if both are there and differ by more than 1 %, else CPUID's. *differ says so. */
uint64_t tsc_hz_choose(uint64_t from_cpuid, uint64_t measured, bool *differ);
