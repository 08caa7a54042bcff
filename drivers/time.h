/* SPDX-License-Identifier: MIT */
/*
 * Time: the TSC, and how fast it is. CPUID or a hypervisor may state it; a timer of the platform confirms or corrects it.
 */
#pragma once

#include "drivers/acpi/acpi.h"
#include "lib/x86.h"

/* Finds the rate and logs where it is from. hostmap active; interrupts off; takes about 30 ms, and 200 ms more where
 * neither the CPU nor a hypervisor states the rate and the timer is read slowly.
 * 0 or -E_NOSUP: neither CPUID nor any timer answers (a rate of 1 GHz is assumed then, and said). */
int time_init(const struct acpi *acpi);
uint64_t tsc_hz(void);
/* True: the rate is stated by the hardware, or measured as well as that. False: guests must not take it for exact. */
bool tsc_hz_exact(void);
void udelay(uint64_t us);
/* No overflow below about 580 years; before time_init() they return 0. */
uint64_t tsc_to_ns(uint64_t ticks);
uint64_t ns_to_tsc(uint64_t ns);

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

/* What there is to choose the rate from; 0 where a leaf, an MSR or a timer is missing. */
struct tsc_facts {
	uint32_t max_leaf; /* CPUID 0 */
	struct cpuid leaf15, leaf16;
	uint32_t hypervisor_max;	 /* CPUID 40000000H EAX; 0: CPUID shows no hypervisor */
	uint32_t hypervisor_interface;	 /* CPUID 40000001H EAX */
	uint32_t hyperv_eax, hyperv_edx; /* CPUID 40000003H, of meaning if the interface is Hyper-V's */
	uint64_t hyperv_hz;		 /* MSR 40000022H, if tsc_hyperv_tells() */
	uint32_t hypervisor_khz;	 /* CPUID 40000010H EAX (VMware, KVM) */
	uint64_t measured, uncertain;	 /* Hz, and by how much it may be off */
	const char *timer;		 /* by which it was measured */
};

struct tsc_rate {
	uint64_t hz; /* 0: nothing tells it */
	bool exact;
	const char *source;  /* for the log */
	const char *refused; /* a source whose rate, refused_hz, is not the one that was measured; or NULL */
	uint64_t refused_hz;
};

/* True if MSR 40000022H (TSC in Hz) can be read: Hypervisor Top Level Functional Specification 2.4, 12.3. */
bool tsc_hyperv_tells(const struct tsc_facts *f);
/* In this order: what the hypervisor or CPUID 15H states, if it fits the measured rate within 1 %; 15H's ratio times the
 * crystal with which it fits within 500 ppm; the measured rate (exact if it is off by at most 50 ppm); CPUID 16H. */
struct tsc_rate tsc_rate_choose(const struct tsc_facts *f);
/* ticks of the TSC during `count` ticks of a counter of `hz`. Rounded; 0 if count is 0. */
uint64_t tsc_hz_from_run(uint64_t tsc_ticks, uint64_t count, uint64_t hz);
/* By how many Hz a rate may be off that was measured over `ticks` if `ticks_off` of them are uncertain. */
uint64_t tsc_uncertain(uint64_t hz, uint64_t ticks_off, uint64_t ticks);
/* Sorts v[0..n) and returns the middle one. */
uint64_t median_u64(uint64_t *v, unsigned n);
