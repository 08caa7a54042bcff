/* SPDX-License-Identifier: MIT */
/* The choice of VMX controls (SDM Vol. 3D, appendix A). */
#include "hv/vmx_controls.h"
#include "lib/string.h"

struct rule {
	uint32_t bits;
	const char *missing; /* what is said if the CPU lacks them; mandatory */
};

static const struct rule pin_rules[] = {
	{ PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting" },
	{ PIN_NMI, "NMI exiting" },
};
static const struct rule proc_rules[] = {
	{ PROC_HLT, "HLT exiting" },
	{ PROC_TSC_OFFSETTING, "use TSC offsetting" },
	{ PROC_IO_BITMAPS, "use I/O bitmaps" },
	{ PROC_MSR_BITMAPS, "use MSR bitmaps" },
	{ PROC_INTERRUPT_WINDOW, "interrupt-window exiting" },
	{ PROC_RDPMC, "RDPMC exiting" },
	{ PROC_CR8_LOAD | PROC_CR8_STORE, "CR8-load and CR8-store exiting" },
};
static const struct rule exit_rules[] = {
	{ EXIT_HOST_64, "64-bit host" },
	{ EXIT_ACK_INTERRUPT, "acknowledge interrupt on exit" },
	{ EXIT_SAVE_EFER | EXIT_LOAD_EFER, "save and load IA32_EFER on exit" },
	{ EXIT_SAVE_PAT | EXIT_LOAD_PAT, "save and load IA32_PAT on exit" },
	{ EXIT_SAVE_DEBUG, "save debug controls" },
};
static const struct rule entry_rules[] = {
	{ ENTRY_IA32E, "64-bit guests" },
	{ ENTRY_LOAD_EFER, "load IA32_EFER on entry" },
	{ ENTRY_LOAD_PAT, "load IA32_PAT on entry" },
	{ ENTRY_LOAD_DEBUG, "load debug controls" },
};

/* A capability MSR: bits 31:0 must be 1, bits 63:32 may be 1 (A.2). */
static bool may(uint64_t msr, uint32_t bits)
{
	return (msr >> 32 & bits) == bits;
}

static uint32_t must(uint64_t msr)
{
	return (uint32_t)msr;
}

static uint32_t mandatory(uint64_t msr, const struct rule *r, size_t n, struct vmx_reasons *why)
{
	uint32_t bits = must(msr);

	for (; n--; r++) {
		if (!may(msr, r->bits) && why->n < VMX_REASONS_MAX)
			why->missing[why->n++] = r->missing;
		bits |= r->bits;
	}
	return bits;
}

static bool optional(
	uint64_t msr, uint32_t *controls, uint32_t bits, const char *degraded, struct vmx_reasons *why)
{
	if (may(msr, bits)) {
		*controls |= bits;
		return true;
	}
	if (degraded && why->ndegraded < VMX_REASONS_MAX)
		why->degraded[why->ndegraded++] = degraded;
	return false;
}

static void choose_pin(const struct vmx_msrs *m, struct vmx_controls *c, struct vmx_reasons *why)
{
	c->pin = mandatory(m->pin, pin_rules, ARRAY_SIZE(pin_rules), why);
	c->virtual_nmis = optional(m->pin, &c->pin, PIN_VIRTUAL_NMIS,
		"no virtual NMIs: a guest's NMI waits until no interrupt handler runs", why);
	if (may(m->pin, PIN_PREEMPTION_TIMER) && may(m->exit, EXIT_SAVE_PREEMPTION)) {
		c->pin |= PIN_PREEMPTION_TIMER;
		c->exit |= EXIT_SAVE_PREEMPTION;
		c->preemption_timer = true;
		c->preemption_shift = m->misc & 31;
	} else if (why->ndegraded < VMX_REASONS_MAX) {
		why->degraded[why->ndegraded++] =
			"no preemption timer: the local APIC's timer ends time slices";
	}
}

static void choose_secondary(const struct vmx_msrs *m, struct vmx_controls *c, struct vmx_reasons *why)
{
	const uint32_t apicv = PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY;
	const uint64_t ept_need =
		EPTCAP_4LEVEL | EPTCAP_WB | EPTCAP_INVEPT | EPTCAP_INVEPT_ONE | EPTCAP_INVEPT_ALL;

	c->ept = (m->ept_vpid & ept_need) == ept_need && optional(m->proc2, &c->proc2, PROC2_EPT, NULL, why);
	if (!c->ept && why->ndegraded < VMX_REASONS_MAX)
		why->degraded[why->ndegraded++] = "no EPT: guests need shadow page tables";
	if ((m->ept_vpid & (EPTCAP_INVVPID | EPTCAP_INVVPID_ONE | EPTCAP_INVVPID_ALL)) ==
		(EPTCAP_INVVPID | EPTCAP_INVVPID_ONE | EPTCAP_INVVPID_ALL))
		c->vpid = optional(m->proc2, &c->proc2, PROC2_VPID, NULL, why);
	if (c->ept)
		c->unrestricted = optional(m->proc2, &c->proc2, PROC2_UNRESTRICTED,
			"no unrestricted guest: guests cannot run in real mode", why);
	if (c->tpr_shadow)
		c->apicv = optional(m->proc2, &c->proc2, apicv | PROC2_APIC_ACCESS,
			"no APIC virtualization: local APIC accesses are emulated", why);
	if (c->tpr_shadow)
		c->x2apic_virtual =
			may(m->proc2, PROC2_X2APIC); /* switched on when the guest uses x2APIC mode */
	c->rdtscp = optional(m->proc2, &c->proc2, PROC2_RDTSCP, NULL, why);
	c->invpcid = optional(m->proc2, &c->proc2, PROC2_INVPCID, NULL, why);
	c->xsaves = optional(m->proc2, &c->proc2, PROC2_XSAVES, NULL, why);
	c->wbinvd = optional(m->proc2, &c->proc2, PROC2_WBINVD, NULL, why);
	c->pause_loop = may(m->proc2, PROC2_PAUSE_LOOP); /* used where vCPUs share a CPU */
	c->pml = c->ept && m->ept_vpid & EPTCAP_AD && may(m->proc2, PROC2_PML);
}

int vmx_controls_choose(const struct vmx_msrs *m, struct vmx_controls *c, struct vmx_reasons *why)
{
	memset(c, 0, sizeof(*c));
	memset(why, 0, sizeof(*why));
	c->revision = (uint32_t)bits_get(m->basic, 30, 0);
	c->exit = mandatory(m->exit, exit_rules, ARRAY_SIZE(exit_rules), why);
	choose_pin(m, c, why); /* may add to the exit controls */
	c->proc = mandatory(m->proc, proc_rules, ARRAY_SIZE(proc_rules), why);
	/* There where the CPU has MONITOR and MWAIT, which guests are not shown. */
	optional(m->proc, &c->proc, PROC_MWAIT, NULL, why);
	optional(m->proc, &c->proc, PROC_MONITOR, NULL, why);
	/* Forced on by CPUs that lack the TRUE capability MSRs; with EPT they must be off (A.3.2). */
	c->tpr_shadow = optional(m->proc, &c->proc, PROC_TPR_SHADOW, NULL, why);
	if (c->tpr_shadow)
		c->proc &= ~(uint32_t)(PROC_CR8_LOAD | PROC_CR8_STORE) | must(m->proc);
	if (optional(m->proc, &c->proc, PROC_SECONDARY, NULL, why)) {
		c->proc2 = must(m->proc2);
		choose_secondary(m, c, why);
	} else if (why->ndegraded < VMX_REASONS_MAX) {
		why->degraded[why->ndegraded++] =
			"no secondary controls: no EPT, guests need shadow page tables";
	}
	c->entry = mandatory(m->entry, entry_rules, ARRAY_SIZE(entry_rules), why) & ~(uint32_t)ENTRY_IA32E;
	c->cr0_fixed0 = m->cr0_fixed0;
	c->cr0_fixed1 = m->cr0_fixed1;
	c->cr4_fixed0 = m->cr4_fixed0;
	c->cr4_fixed1 = m->cr4_fixed1;
	c->ept_vpid = m->ept_vpid;
	if (c->ept && must(m->proc) & (PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG) &&
		why->n < VMX_REASONS_MAX)
		why->missing[why->n++] = "running without CR3 and INVLPG exits (the TRUE capability MSRs)";
	return why->n ? -E_NOSUP : 0;
}
