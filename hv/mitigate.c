/* SPDX-License-Identifier: MIT */
/*
 * Speculation: what one VM left in the CPU is dropped before another one runs on it. Which of the three means are
 * needed follows from CPUID and IA32_ARCH_CAPABILITIES (Intel's documents on L1TF, MDS and Spectre v2):
 *
 *	L1D flush  IA32_FLUSH_CMD   prone to L1TF unless RDCL_NO or SKIP_L1DFL_VMENTRY
 *	VERW       with MD_CLEAR    prone to MDS unless MDS_NO
 *	IBPB       IA32_PRED_CMD    where the CPU has it
 */
#include "hv/cpu.h"
#include "hv/main.h"
#include "lib/log.h"

static bool flush_l1d, verw, ibpb;

void mitigate_init(bool on)
{
	struct cpuid seven = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid){ 0 };
	uint64_t caps = 0;

	if (!on) {
		log_info("mitigations = off: guests can learn of one another by speculation");
		return;
	}
	if (!(seven.edx & BIT(29)) || !rdmsr_safe(MSR_ARCH_CAPABILITIES, &caps))
		caps = 0;
	flush_l1d = seven.edx & BIT(28) && !(caps & (BIT(0) | BIT(3)));
	verw = seven.edx & BIT(10) && !(caps & BIT(5));
	ibpb = seven.edx & BIT(26);
	log_info("mitigations at VM switches:%s%s%s%s", flush_l1d ? " L1D flush" : "", verw ? " VERW" : "",
		ibpb ? " IBPB" : "", flush_l1d || verw || ibpb ? "" : " none needed or possible");
}

void mitigate_switch(void)
{
	static const uint16_t selector = SEL_DATA;

	if (flush_l1d)
		wrmsr(MSR_FLUSH_CMD, 1);
	if (verw)
		__asm__ volatile("verw %0" : : "m"(selector) : "cc");
	if (ibpb)
		wrmsr(MSR_PRED_CMD, 1);
}
