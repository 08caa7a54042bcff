/* SPDX-License-Identifier: MIT */
#include "hv/vmx/vmx_controls.h"

#define BASIC_TRUE_CONTROLS BIT(55)

void vmx_msrs_read(struct vmx_msrs *m)
{
	struct cpuid id = cpuid(1, 0);
	bool exact;

	m->signature = id.ecx & BIT(31) ? 0 : id.eax;
	m->basic = rdmsr(MSR_VMX_BASIC);
	exact = m->basic & BASIC_TRUE_CONTROLS;
	m->pin = rdmsr(exact ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN);
	m->proc = rdmsr(exact ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC);
	m->exit = rdmsr(exact ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
	m->entry = rdmsr(exact ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
	m->misc = rdmsr(MSR_VMX_MISC);
	m->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	m->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	m->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	m->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	m->proc2 = m->proc >> 32 & PROC_SECONDARY ? rdmsr(MSR_VMX_PROC2) : 0;
	/* The register is there only if EPT or VPID is (A.10). */
	m->ept_vpid = m->proc2 >> 32 & (PROC2_EPT | PROC2_VPID) ? rdmsr(MSR_VMX_EPT_VPID) : 0;
}
