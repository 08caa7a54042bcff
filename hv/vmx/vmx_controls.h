/* SPDX-License-Identifier: MIT */
/*
 * Which VMX controls Lethe uses, chosen from the capability MSRs: mandatory ones missing are refused in words,
 * optional ones degrade. Choosing is pure (hv/vmx/vmx_controls_pure.c), so that tests can put any CPU's MSRs before it.
 */
#pragma once

#include "hv/vmx/vmx.h"

/* As RDMSR gives them; 0 where the CPU has no such MSR. */
struct vmx_msrs {
	/* CPUID.1:EAX, for the errata of this CPU model; 0 under a hypervisor, whose own timers stand behind what it offers. */
	uint32_t signature;
	uint64_t basic, pin, proc, proc2, exit, entry, misc, ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

struct vmx_controls {
	uint32_t pin, proc, proc2, exit, entry;
	uint64_t ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1; /* in VMX operation, for root mode */
	uint32_t revision;
	unsigned preemption_shift; /* the preemption timer counts once every 2^shift TSC ticks */
	bool mwait, monitor, secondary;
	bool efer, pat;	  /* VM entry and exit switch IA32_EFER, IA32_PAT: the VMCS has fields for them */
	bool ept, shadow; /* guests can run on EPT, on shadow page tables: on at least one of them */
	bool vpid, unrestricted, preemption_timer, tpr_shadow, virtual_nmis;
	bool preemption_timer_wrong; /* the CPU has the preemption timer, but it counts at a wrong rate: not used */
	bool apicv; /* APIC-register virtualization and virtual-interrupt delivery, with APIC access page */
	bool x2apic_virtual;
	bool rdtscp, invpcid, xsaves, wbinvd, pause_loop, pml;
};

#define VMX_REASONS_MAX 16
struct vmx_reasons {
	unsigned n;
	const char *missing[VMX_REASONS_MAX]; /* mandatory */
	unsigned ndegraded;
	const char *degraded[VMX_REASONS_MAX];
};

/* Reads this CPU's (SDM Vol. 3D appendix A). It has VMX. */
void vmx_msrs_read(struct vmx_msrs *m);
/* Chooses: 0, or -E_NOSUP with why->missing filled in. */
int vmx_controls_choose(const struct vmx_msrs *m, struct vmx_controls *out, struct vmx_reasons *why);
/* The optional controls in words, one line: those in use, behind "; not there: " those that the CPU lacks, and
 * behind "; not used: " a preemption timer that counts wrongly. */
void vmx_controls_describe(const struct vmx_controls *c, char *text, size_t size);
