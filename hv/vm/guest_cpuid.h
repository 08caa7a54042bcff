/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a guest: computed once per VM from the host's leaves, then looked up.
 *
 * Shown: the hypervisor bit and leaves 0x40000000 (signature "LetheLetheLe"), 0x40000010 (TSC and bus frequency in
 * kHz, if the rate is known exactly), 15h and 16h. Hidden: what Lethe does not virtualise (VMX, SMX, MONITOR, PMU, PT,
 * MPX, CET, PKU, AMX, ...).
 */
#pragma once

#include "hv/vm/vcpu.h"

struct guest_cpuid;

#define CPUID_LETHE	0x40000000u
#define CPUID_FREQUENCY 0x40000010u

int guest_cpuid_create(unsigned vcpus, struct guest_cpuid **out); /* -E_NOMEM */
void guest_cpuid_destroy(struct guest_cpuid *t);
#define CPUID_BASIC_MAX 0x16
/* Leaves whose answer depends on the subleaf or on the vCPU's state. */
#define CPUID_SPECIAL	(BIT(1) | BIT(4) | BIT(7) | BIT(0xb) | BIT(0xd))

/* Is the answer the same for all subleaves, vCPUs and states? Then this is it; the basic leaves lie first in the table. */
static inline bool guest_cpuid_is_plain(uint32_t leaf)
{
	return leaf <= CPUID_BASIC_MAX && !(CPUID_SPECIAL >> leaf & 1);
}
static inline const struct cpuid *guest_cpuid_plain(const struct guest_cpuid *t, uint32_t leaf)
{
	return (const struct cpuid *)t + leaf;
}

/*
 * The leaves that tell a guest the TSC's rate and the local APIC timer's (pure: guest_cpuid_pure.c). If the rate is not
 * exact, the guest must find that out and may measure it itself: 15h keeps the ratio and leaves out the clock, 16h has the
 * rate in MHz, rounded (by its definition for information only), and 0x40000010, which guests take for exact, is 0.
 */
void guest_cpuid_rate(
	uint64_t hz, bool exact, struct cpuid *leaf15, struct cpuid *leaf16, struct cpuid *frequency);

/* Leaf 1 as it stands in the table: EAX and EDX are the same for all vCPUs. */
const struct cpuid *guest_cpuid_features(const struct guest_cpuid *t);
/* The guest's physical address width (leaf 80000008h EAX bits 7:0), the same for all guests. */
unsigned guest_maxphyaddr(void);
/* The answer for a vCPU: table entry, then what depends on its state (OSXSAVE, APIC ID, XCR0's area). */
void guest_cpuid_read(struct vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid *out);
