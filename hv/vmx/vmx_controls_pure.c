/* SPDX-License-Identifier: MIT */
/* The choice of VMX controls (SDM Vol. 3D, appendix A). */
#include "hv/vmx/vmx_controls.h"

#include "lib/printf.h"
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
	{ EXIT_SAVE_DEBUG, "save debug controls" },
};
static const struct rule entry_rules[] = {
	{ ENTRY_IA32E, "64-bit guests" },
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

/* An optional control: used where the CPU has it and what it builds on is used. */
struct option {
	const char *name;   /* as the log says it; NULL: it is left out there */
	unsigned used;	    /* offset in struct vmx_controls: the bool that says whether it is used */
	unsigned on;	    /* ... of what it builds on, or NOTHING */
	unsigned msr;	    /* offset in struct vmx_msrs of its capability MSR */
	unsigned word;	    /* offset in struct vmx_controls of its control, or NOTHING: switched on later */
	uint32_t bits;	    /* its bits in that control */
	uint32_t exit_bits; /* ... and in the VM-exit controls */
	uint64_t ept_vpid;  /* ... and in IA32_VMX_EPT_VPID_CAP */
	const char *degraded; /* what follows if the CPU lacks it, or NULL */
};

/*
 * CPUs whose preemption timer does not count at the rate that IA32_VMX_MISC states (Intel's specification updates):
 * CPUID.1:EAX without the reserved and type bits.
 */
static const uint32_t preemption_timer_errata[] = {
	0x106a0, 0x106a1, 0x106a4, 0x106a5, /* Nehalem-EP, Bloomfield */
	0x106e5,			    /* Lynnfield, Clarksfield */
	0x206e6,			    /* Nehalem-EX */
	0x20652, 0x20655,		    /* Clarkdale, Arrandale */
	0x306a8,			    /* Xeon E3-1220 v2 */
};
#define SIGNATURE_BITS 0x0fff0fffu /* families, models, stepping */
#define PREEMPTION_TIMER_WRONG                                                                               \
	"the preemption timer counts wrongly on this CPU: the local APIC's timer ends time slices"

#define NOTHING		(~0u)
#define MSR(field)	((unsigned)offsetof(struct vmx_msrs, field))
#define CONTROL(field)	((unsigned)offsetof(struct vmx_controls, field))
#define EPT_NEEDED	(EPTCAP_4LEVEL | EPTCAP_WB | EPTCAP_INVEPT | EPTCAP_INVEPT_ONE | EPTCAP_INVEPT_ALL)
#define INVVPID_NEEDED	(EPTCAP_INVVPID | EPTCAP_INVVPID_ONE | EPTCAP_INVVPID_ALL)
/* Exits of a guest on shadow page tables, which a guest on EPT must not have. Every CPU allows them; those that lack the TRUE
 * capability MSRs insist on them (A.3.2). */
#define SHADOW_EXITS	(PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG)
#define APICV_SECONDARY (PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY | PROC2_APIC_ACCESS)

/* An option whose control is set at once: text in the log, bool, what it builds on, control, bits in it. */
#define OPTION(text, flag, base, field, mask)                                                                \
	.name = (text), .used = CONTROL(flag), .on = (base), .msr = MSR(field), .word = CONTROL(field),      \
	.bits = (mask)
/* The same, but the control is set while it helps. */
#define LATER(text, flag, base, field, mask)                                                                 \
	.name = (text), .used = CONTROL(flag), .on = (base), .msr = MSR(field), .word = NOTHING,             \
	.bits = (mask)

/* What others build on comes before them; all of proc2 build on `secondary`. */
static const struct option options[] = {
	{ OPTION("virtual NMIs", virtual_nmis, NOTHING, pin, PIN_VIRTUAL_NMIS),
		.degraded = "no virtual NMIs: a guest's NMI waits until no interrupt handler runs" },
	{ OPTION("preemption timer", preemption_timer, NOTHING, pin, PIN_PREEMPTION_TIMER),
		.exit_bits = EXIT_SAVE_PREEMPTION,
		.degraded = "no preemption timer: the local APIC's timer ends time slices" },
	/* There where the CPU has MONITOR and MWAIT, which guests are not shown. */
	{ OPTION(NULL, mwait, NOTHING, proc, PROC_MWAIT) },
	{ OPTION(NULL, monitor, NOTHING, proc, PROC_MONITOR) },
	{ OPTION("TPR shadow", tpr_shadow, NOTHING, proc, PROC_TPR_SHADOW) },
	{ OPTION(NULL, secondary, NOTHING, proc, PROC_SECONDARY), .degraded = "no secondary controls" },
	/* Every CPU with EPT has these. Without them a guest's EFER and PAT are switched in other ways, which its own changes of
	 * them (unrestricted guest) would get past. */
	{ OPTION(NULL, efer, NOTHING, entry, ENTRY_LOAD_EFER), .exit_bits = EXIT_SAVE_EFER | EXIT_LOAD_EFER },
	{ OPTION(NULL, pat, CONTROL(efer), entry, ENTRY_LOAD_PAT),
		.exit_bits = EXIT_SAVE_PAT | EXIT_LOAD_PAT },
	{ LATER(NULL, shadow, NOTHING, proc, SHADOW_EXITS) },
	{ OPTION("EPT", ept, CONTROL(pat), proc2, PROC2_EPT), .ept_vpid = EPT_NEEDED,
		.degraded = "no EPT: guests run on shadow page tables" },
	{ OPTION("VPID", vpid, NOTHING, proc2, PROC2_VPID), .ept_vpid = INVVPID_NEEDED },
	{ OPTION("unrestricted guest", unrestricted, CONTROL(ept), proc2, PROC2_UNRESTRICTED),
		.degraded = "no unrestricted guest: guests cannot run in real mode" },
	{ LATER("PML", pml, CONTROL(ept), proc2, PROC2_PML), .ept_vpid = EPTCAP_AD },
	{ OPTION("APIC virtualization", apicv, CONTROL(tpr_shadow), proc2, APICV_SECONDARY),
		.degraded = "no APIC virtualization: local APIC accesses are emulated" },
	{ LATER("virtual x2APIC", x2apic_virtual, CONTROL(tpr_shadow), proc2, PROC2_X2APIC) },
	{ OPTION("RDTSCP", rdtscp, NOTHING, proc2, PROC2_RDTSCP) },
	{ OPTION("INVPCID", invpcid, NOTHING, proc2, PROC2_INVPCID) },
	{ OPTION("XSAVES", xsaves, NOTHING, proc2, PROC2_XSAVES) },
	{ OPTION("WBINVD exiting", wbinvd, NOTHING, proc2, PROC2_WBINVD) },
	{ LATER("PAUSE-loop exiting", pause_loop, NOTHING, proc2, PROC2_PAUSE_LOOP) },
};

/* What EPT may offer beside, for the log. */
static const struct {
	const char *name;
	uint64_t bit;
} ept_extras[] = {
	{ "2M", EPTCAP_2M },
	{ "1G", EPTCAP_1G },
	{ "A/D", EPTCAP_AD },
};

static bool *flag(struct vmx_controls *c, unsigned offset)
{
	return (bool *)((char *)c + offset);
}

static bool is_used(const struct vmx_controls *c, const struct option *o)
{
	return *(const bool *)((const char *)c + o->used);
}

static bool preemption_timer_wrong(uint32_t signature)
{
	for (unsigned i = 0; i < ARRAY_SIZE(preemption_timer_errata); i++)
		if ((signature & SIGNATURE_BITS) == preemption_timer_errata[i])
			return true;
	return false;
}

static void degrade(struct vmx_reasons *why, const char *words)
{
	if (words && why->ndegraded < VMX_REASONS_MAX)
		why->degraded[why->ndegraded++] = words;
}

static void choose_option(
	const struct vmx_msrs *m, const struct option *o, struct vmx_controls *c, struct vmx_reasons *why)
{
	uint64_t msr = *(const uint64_t *)((const char *)m + o->msr);

	if ((o->on != NOTHING && !*flag(c, o->on)) || (o->msr == MSR(proc2) && !c->secondary) ||
		!may(msr, o->bits) || !may(m->exit, o->exit_bits) ||
		(m->ept_vpid & o->ept_vpid) != o->ept_vpid ||
		(o->used == CONTROL(ept) && must(m->proc) & SHADOW_EXITS)) {
		degrade(why, o->degraded);
		return;
	}
	if (o->used == CONTROL(preemption_timer) && preemption_timer_wrong(m->signature)) {
		c->preemption_timer_wrong = true;
		degrade(why, PREEMPTION_TIMER_WRONG);
		return;
	}
	*flag(c, o->used) = true;
	if (o->word != NOTHING)
		*(uint32_t *)((char *)c + o->word) |= o->bits;
	c->exit |= o->exit_bits;
}

int vmx_controls_choose(const struct vmx_msrs *m, struct vmx_controls *c, struct vmx_reasons *why)
{
	memset(c, 0, sizeof(*c));
	memset(why, 0, sizeof(*why));
	c->revision = (uint32_t)bits_get(m->basic, 30, 0);
	c->exit = mandatory(m->exit, exit_rules, ARRAY_SIZE(exit_rules), why);
	c->pin = mandatory(m->pin, pin_rules, ARRAY_SIZE(pin_rules), why);
	c->proc = mandatory(m->proc, proc_rules, ARRAY_SIZE(proc_rules), why);
	c->entry = mandatory(m->entry, entry_rules, ARRAY_SIZE(entry_rules), why) & ~(uint32_t)ENTRY_IA32E;
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
		choose_option(m, &options[i], c, why);
	if (c->preemption_timer)
		c->preemption_shift = m->misc & 31;
	/* The TPR shadow serves instead, unless the CPU forces them on. */
	if (c->tpr_shadow)
		c->proc &= ~(uint32_t)(PROC_CR8_LOAD | PROC_CR8_STORE) | must(m->proc);
	if (c->secondary)
		c->proc2 |= must(m->proc2);
	c->cr0_fixed0 = m->cr0_fixed0;
	c->cr0_fixed1 = m->cr0_fixed1;
	c->cr4_fixed0 = m->cr4_fixed0;
	c->cr4_fixed1 = m->cr4_fixed1;
	c->ept_vpid = m->ept_vpid;
	if (!c->ept && !c->shadow && why->n < VMX_REASONS_MAX)
		why->missing[why->n++] = "EPT, or CR3 and INVLPG exits for shadow page tables";
	return why->n ? -E_NOSUP : 0;
}

/* Appends words to a list, behind a separator if it is not its first. */
static void list_add(char *list, size_t size, const char *separator, const char *words)
{
	size_t n = strlen(list);

	fmt_snprintf(list + n, size - n, "%s%s", n ? separator : "", words);
}

void vmx_controls_describe(const struct vmx_controls *c, char *text, size_t size)
{
	char used[256] = "", missing[256] = "", extras[32] = "", ept[48];

	for (unsigned i = 0; c->ept && i < ARRAY_SIZE(ept_extras); i++) {
		if (c->ept_vpid & ept_extras[i].bit) {
			list_add(extras, sizeof(extras), " ", ept_extras[i].name);
		} else {
			fmt_snprintf(ept, sizeof(ept), "EPT %s", ept_extras[i].name);
			list_add(missing, sizeof(missing), ", ", ept);
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		const char *words = o->name;

		if (o->used == CONTROL(ept) && extras[0]) {
			fmt_snprintf(ept, sizeof(ept), "EPT with %s", extras);
			words = ept;
		}
		if (words && is_used(c, o))
			list_add(used, sizeof(used), ", ", words);
		else if (words && !(o->used == CONTROL(preemption_timer) && c->preemption_timer_wrong))
			list_add(missing, sizeof(missing), ", ", words);
	}
	fmt_snprintf(text, size, "%s%s%s%s", used[0] ? used : "none",
		c->preemption_timer_wrong ? "; not used: preemption timer (counts wrongly on this CPU)" : "",
		missing[0] ? "; not there: " : "", missing);
}
