/* SPDX-License-Identifier: MIT */
/* What CPUID tells a guest about the rates of its clocks. */
#include "hv/vm/guest_cpuid.h"

static uint32_t round_to(uint64_t hz, uint64_t unit)
{
	return (uint32_t)((hz + unit / 2) / unit);
}

void guest_cpuid_rate(
	uint64_t hz, bool exact, struct cpuid *leaf15, struct cpuid *leaf16, struct cpuid *frequency)
{
	uint64_t bus = hz / PLATFORM_APIC_CLOCK_DIV;
	uint32_t mhz = round_to(hz, 1000000);

	*leaf15 = (struct cpuid){ 1, PLATFORM_APIC_CLOCK_DIV, exact ? (uint32_t)bus : 0, 0 };
	*leaf16 = (struct cpuid){ mhz, mhz, round_to(bus, 1000000), 0 };
	*frequency =
		exact ? (struct cpuid){ round_to(hz, 1000), round_to(bus, 1000), 0, 0 } : (struct cpuid){ 0 };
}
