/* SPDX-License-Identifier: MIT */
/*
 * Preflight decides: from what was read of the machine to the list of blockers. All blockers are reported together,
 * each with what to do about it. No hardware is touched here.
 */
#include "boot/preflight.h"

#include "hv/vmx/vmx.h"
#include "lib/string.h"

#define OWN_MEMORY (16 * MiB)

struct underneath {
	const char *vendor, *name, *remedy;
};

/* Hypervisors that may hide VT-x from a machine that runs in them, by CPUID 40000000h. */
static const struct underneath underneath[] = {
	{ "KVMKVMKVM", "KVM",
		"on the host, load kvm_intel with nested=1 and give this machine the CPU flags host,+vmx (QEMU: -accel kvm -cpu host,+vmx)" },
	{ "TCGTCGTCGTCG", "QEMU without KVM (TCG)",
		"TCG emulates no VT-x: start QEMU with -accel kvm -cpu host,+vmx on a host with nested VT-x, or use Bochs (make run does either)" },
	{ "VMwareVMware", "VMware",
		"switch on \"Virtualize Intel VT-x/EPT\" in the machine's processor settings" },
	{ "Microsoft Hv", "Hyper-V",
		"on the host, run Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true" },
	{ "VBoxVBoxVBox", "VirtualBox", "on the host, run VBoxManage modifyvm NAME --nested-hw-virt on" },
	{ "XenVMMXenVMM", "Xen", "set nestedhvm=1 in the machine's configuration" },
	{ "bhyve bhyve ", "bhyve", "bhyve cannot pass VT-x on: use KVM or a real machine" },
	{ "ACRNACRNACRN", "ACRN", "switch nested virtualization on in ACRN's scenario for this machine" },
};

static const struct underneath *find_underneath(const struct preflight_facts *f)
{
	for (unsigned i = 0; i < ARRAY_SIZE(underneath); i++)
		if (!strcmp(underneath[i].vendor, f->hypervisor_vendor))
			return &underneath[i];
	return NULL;
}

static void check_vmx_there(const struct preflight_facts *f, struct report *r)
{
	const struct underneath *u = find_underneath(f);

	if (f->hypervisor && u)
		report_add(r, REPORT_MACHINE,
			"no VT-x (VMX): hidden by the hypervisor around this machine, %s: %s", u->name,
			u->remedy);
	else if (f->hypervisor)
		report_add(r, REPORT_MACHINE,
			"no VT-x (VMX): hidden by the hypervisor around this machine (\"%s\"): switch on nested virtualization for this machine in its settings",
			f->hypervisor_vendor);
	else if (!strcmp(f->vendor, "AuthenticAMD") || !strcmp(f->vendor, "HygonGenuine"))
		report_add(r, REPORT_MACHINE,
			"no VT-x (VMX): this CPU has AMD's SVM instead, which Lethe does not use: use a machine with an Intel CPU");
	else
		report_add(r, REPORT_MACHINE,
			"no VT-x (VMX): if the firmware's set-up has \"Intel Virtualization Technology\" (VT-x, VMX), switch it on, save, and turn the machine off and on; else use a machine whose CPU has VT-x");
}

/* SDM Vol. 3C 23.7: the lock freezes the register until reset; bit 2 allows VMXON. */
static void check_vmx_allowed(const struct preflight_facts *f, struct report *r)
{
	uint64_t v = f->feature_control;

	if (!(v & FEATURE_CONTROL_LOCK))
		report_add(r, REPORT_NOTE,
			"The firmware left VT-x unlocked (IA32_FEATURE_CONTROL = 0x%lx): Lethe enables and locks it on every CPU.",
			v);
	else if (!(v & FEATURE_CONTROL_VMX) && f->hypervisor)
		report_add(r, REPORT_MACHINE,
			"VT-x is locked off (IA32_FEATURE_CONTROL = 0x%lx) by the hypervisor or firmware around this machine: switch on nested virtualization for this machine",
			v);
	else if (!(v & FEATURE_CONTROL_VMX))
		report_add(r, REPORT_MACHINE,
			"VT-x is locked off by the firmware (IA32_FEATURE_CONTROL = 0x%lx): in the firmware's set-up, switch on \"Intel Virtualization Technology\" (VT-x, VMX), save, and turn the machine off and on",
			v);
}

static bool under_kvm(const struct preflight_facts *f)
{
	const struct underneath *u = find_underneath(f);

	return f->hypervisor && u && !strcmp(u->name, "KVM");
}

/* On every CPU with EPT, KVM offers all that Lethe needs. What is missing is hidden by the chosen CPU model. */
static const char *control_remedy(const struct preflight_facts *f)
{
	if (under_kvm(f))
		return "the model of this machine's CPU hides it: give the machine the host's CPU (QEMU: -cpu host)";
	if (f->hypervisor)
		return "the hypervisor around this machine must offer it: use a newer one";
	return "use a machine with a newer CPU";
}

static const char *ept_remedy(const struct preflight_facts *f)
{
	if (under_kvm(f))
		return "give this machine the host's CPU (QEMU: -cpu host); if it has that, load kvm_intel with ept=1 on the host";
	if (f->hypervisor)
		return "switch EPT on in the hypervisor around this machine";
	return "use a machine with a newer CPU (Core i3, i5, i7 or Xeon of 2009 or later)";
}

/* What hv/ would choose on this CPU says what it lacks. */
static void check_controls(const struct preflight_facts *f, struct report *r)
{
	struct vmx_controls controls;
	struct vmx_reasons why;

	vmx_controls_choose(&f->msrs, &controls, &why);
	for (unsigned i = 0; i < why.n; i++)
		report_add(r, REPORT_MACHINE, "the CPU lacks this VMX control: %s: %s", why.missing[i],
			control_remedy(f));
	for (unsigned i = 0; i < why.ndegraded; i++)
		report_add(r, REPORT_NOTE, "%s", why.degraded[i]);
	if (!controls.ept)
		report_add(r, REPORT_NOTE,
			"with EPT (extended page tables, with 4 levels and INVEPT) guests run faster: %s",
			ept_remedy(f));
	if (controls.ept && !(f->msrs.ept_vpid & EPTCAP_2M))
		report_add(r, REPORT_NOTE, "no 2 MiB pages in EPT: guests need more tables and run slower");
}

static void check_cpu(const struct preflight_facts *f, struct report *r)
{
	if (!f->long_mode)
		report_add(r, REPORT_MACHINE, "the CPU has no 64-bit mode: use a machine with a 64-bit CPU");
	if (!f->nx)
		report_add(r, REPORT_MACHINE,
			"no execute-disable (NX): switch on \"Execute Disable Bit\" in the firmware's set-up");
	if (!f->apic)
		report_add(r, REPORT_MACHINE,
			"the local APIC is missing or off: switch it on (\"APIC mode\") in the firmware's set-up");
	if (!f->vmx) {
		check_vmx_there(f, r);
		return;
	}
	check_vmx_allowed(f, r);
	check_controls(f, r);
}

uint64_t preflight_own_memory(uint64_t guests)
{
	return OWN_MEMORY + guests / 64;
}

static uint64_t mib(uint64_t bytes)
{
	return (bytes + MiB - 1) / MiB;
}

static void check_memory(const struct preflight_facts *f, struct report *r)
{
	uint64_t own = preflight_own_memory(f->memory_guests);

	if (f->memory_usable < OWN_MEMORY)
		report_add(r, REPORT_MACHINE,
			"too little memory: %lu MiB are free, Lethe alone needs %lu MiB: add memory to the machine",
			f->memory_usable / MiB, mib(OWN_MEMORY));
	else if (f->configured && f->memory_usable < own + f->memory_files + f->memory_guests)
		report_add(r, REPORT_MACHINE,
			"too little memory: %lu MiB are free, the guests ask for %lu MiB, their files for %lu MiB and Lethe for %lu MiB: lower memory = in lethe.conf by %lu MiB, or add memory to the machine",
			f->memory_usable / MiB, mib(f->memory_guests), mib(f->memory_files), mib(own),
			mib(own + f->memory_files + f->memory_guests - f->memory_usable));
}

void preflight_check(const struct preflight_facts *f, struct report *r)
{
	check_cpu(f, r);
	check_memory(f, r);
}
