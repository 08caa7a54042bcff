/* SPDX-License-Identifier: MIT */
/* The capabilities found, as lethe-report.txt lists them: for support without access to the machine. */
#include "boot/preflight.h"

#include "boot/lines.h"
#include "hv/vmx/vmx.h"
#include "lib/string.h"

struct feature {
	uint64_t bit;
	const char *name;
};

static const struct feature secondary[] = {
	{ PROC2_EPT, "EPT" },
	{ PROC2_UNRESTRICTED, "unrestricted guest" },
	{ PROC2_VPID, "VPID" },
	{ PROC2_APIC_ACCESS, "APIC-access page" },
	{ PROC2_X2APIC, "virtual x2APIC" },
	{ PROC2_APIC_REGISTERS, "APIC-register virtualization" },
	{ PROC2_INTERRUPT_DELIVERY, "virtual-interrupt delivery" },
	{ PROC2_PAUSE_LOOP, "PAUSE-loop exiting" },
	{ PROC2_RDTSCP, "RDTSCP" },
	{ PROC2_INVPCID, "INVPCID" },
	{ PROC2_XSAVES, "XSAVES" },
	{ PROC2_PML, "page-modification log" },
	{ PROC2_VMFUNC, "VM functions" },
};

static const struct feature ept[] = {
	{ EPTCAP_4LEVEL, "4-level" },
	{ EPTCAP_5LEVEL, "5-level" },
	{ EPTCAP_WB, "write-back" },
	{ EPTCAP_2M, "2 MiB pages" },
	{ EPTCAP_1G, "1 GiB pages" },
	{ EPTCAP_AD, "accessed and dirty bits" },
	{ EPTCAP_EXEC_ONLY, "execute-only" },
	{ EPTCAP_INVEPT, "INVEPT" },
	{ EPTCAP_INVEPT_ONE, "INVEPT single-context" },
	{ EPTCAP_INVEPT_ALL, "INVEPT all-context" },
	{ EPTCAP_INVVPID, "INVVPID" },
	{ EPTCAP_INVVPID_ONE, "INVVPID single-context" },
	{ EPTCAP_INVVPID_ALL, "INVVPID all-context" },
};

static void put_features(
	const struct lines *o, const char *title, const struct feature *list, unsigned n, uint64_t have)
{
	const char *none = " none";

	lines_put(o, "%s:", title);
	for (unsigned i = 0; i < n; i++) {
		if (!(have & list[i].bit))
			continue;
		lines_put(o, "    %s", list[i].name);
		none = NULL;
	}
	if (none)
		lines_put(o, "   %s", none);
}

static void put_control(const struct lines *o, const char *name, uint64_t msr)
{
	lines_put(o, "  %-12s must be 1: 0x%08lx  may be 1: 0x%08lx", name, msr & 0xffffffff, msr >> 32);
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

void preflight_describe(const struct preflight_facts *f, void (*line)(void *to, const char *text), void *to)
{
	struct lines o = { line, to };

	lines_put(&o, "CPU: %s (%s, family %u, model %u, stepping %u)", f->brand, f->vendor, f->family,
		f->model, f->stepping);
	lines_put(&o, "64-bit mode: %s  execute-disable: %s  local APIC: %s  VT-x: %s  5-level paging on: %s",
		yes(f->long_mode), yes(f->nx), yes(f->apic), yes(f->vmx), yes(f->la57));
	lines_put(&o, "Hypervisor around this machine: %s",
		!f->hypervisor		  ? "none"
		: f->hypervisor_vendor[0] ? f->hypervisor_vendor
					  : "yes, without a name");
	lines_put(&o, "Firmware: UEFI %u.%u  Secure Boot: %s (no matter to Lethe once it runs)",
		f->firmware_major, f->firmware_minor / 10, f->secure_boot ? "on" : "off");
	lines_put(&o, "Memory: %lu MiB, of which Lethe can use %lu MiB", f->memory_total / MiB,
		f->memory_usable / MiB);
	if (f->configured)
		lines_put(&o, "Asked for: guests %lu MiB, files %lu KiB, Lethe itself %lu MiB",
			f->memory_guests / MiB, f->memory_files / KiB,
			preflight_own_memory(f->memory_guests) / MiB);
	if (!f->vmx)
		return;
	lines_put(&o, "IA32_FEATURE_CONTROL: 0x%lx (%s, VMX outside SMX %s)", f->feature_control,
		f->feature_control & FEATURE_CONTROL_LOCK ? "locked" : "not locked",
		f->feature_control & FEATURE_CONTROL_VMX ? "on" : "off");
	lines_put(&o, "IA32_VMX_BASIC: 0x%lx  IA32_VMX_MISC: 0x%lx  IA32_VMX_EPT_VPID_CAP: 0x%lx",
		f->msrs.basic, f->msrs.misc, f->msrs.ept_vpid);
	lines_put(&o, "VMX controls:");
	put_control(&o, "pin-based", f->msrs.pin);
	put_control(&o, "primary", f->msrs.proc);
	put_control(&o, "secondary", f->msrs.proc2);
	put_control(&o, "VM exit", f->msrs.exit);
	put_control(&o, "VM entry", f->msrs.entry);
	lines_put(&o, "Preemption timer: %s  TPR shadow: %s", yes(f->msrs.pin >> 32 & PIN_PREEMPTION_TIMER),
		yes(f->msrs.proc >> 32 & PROC_TPR_SHADOW));
	put_features(&o, "Secondary features", secondary, ARRAY_SIZE(secondary), f->msrs.proc2 >> 32);
	put_features(&o, "EPT and VPID", ept, ARRAY_SIZE(ept), f->msrs.ept_vpid);
}
