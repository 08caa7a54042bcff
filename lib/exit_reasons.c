/* SPDX-License-Identifier: MIT */
/* What the reasons of VM exits are called. */
#include "lib/exit_reasons.h"

#include "lib/bits.h"
#include "lib/string.h"

static const struct {
	const char *name; /* as SDM Vol. 3D table C-1 */
	const char *word; /* in lethe.conf */
} reasons[EXIT_REASONS] = {
	[EXIT_EXCEPTION_NMI] = { "exception or NMI", "exception" },
	[EXIT_EXTERNAL_INTERRUPT] = { "external interrupt", "interrupt" },
	[EXIT_TRIPLE_FAULT] = { "triple fault", "triple-fault" },
	[EXIT_INIT] = { "INIT signal", "init" },
	[EXIT_INTERRUPT_WINDOW] = { "interrupt window", "interrupt-window" },
	[EXIT_NMI_WINDOW] = { "NMI window", "nmi-window" },
	[EXIT_TASK_SWITCH] = { "task switch", "task-switch" },
	[EXIT_CPUID] = { "CPUID", "cpuid" },
	[EXIT_GETSEC] = { "GETSEC", "getsec" },
	[EXIT_HLT] = { "HLT", "hlt" },
	[EXIT_INVD] = { "INVD", "invd" },
	[EXIT_INVLPG] = { "INVLPG", "invlpg" },
	[EXIT_RDPMC] = { "RDPMC", "rdpmc" },
	[EXIT_RSM] = { "RSM", "rsm" },
	[EXIT_VMCALL] = { "VMCALL", "vmcall" },
	[EXIT_VMCLEAR] = { "VMCLEAR", "vmclear" },
	[20] = { "VMLAUNCH", "vmlaunch" },
	[21] = { "VMPTRLD", "vmptrld" },
	[22] = { "VMPTRST", "vmptrst" },
	[23] = { "VMREAD", "vmread" },
	[24] = { "VMRESUME", "vmresume" },
	[25] = { "VMWRITE", "vmwrite" },
	[26] = { "VMXOFF", "vmxoff" },
	[EXIT_VMXON] = { "VMXON", "vmxon" },
	[EXIT_CR_ACCESS] = { "control-register access", "cr" },
	[EXIT_IO] = { "I/O instruction", "io" },
	[EXIT_RDMSR] = { "RDMSR", "rdmsr" },
	[EXIT_WRMSR] = { "WRMSR", "wrmsr" },
	[EXIT_BAD_GUEST_STATE] = { "VM-entry failure: invalid guest state", "bad-guest-state" },
	[EXIT_BAD_MSR_LOAD] = { "VM-entry failure: MSR loading", "bad-msr-load" },
	[EXIT_MWAIT] = { "MWAIT", "mwait" },
	[EXIT_MONITOR] = { "MONITOR", "monitor" },
	[EXIT_PAUSE] = { "PAUSE", "pause" },
	[EXIT_MACHINE_CHECK] = { "VM-entry failure: machine check", "machine-check" },
	[EXIT_TPR_BELOW] = { "TPR below threshold", "tpr" },
	[EXIT_APIC_ACCESS] = { "APIC access", "apic-access" },
	[EXIT_EOI] = { "virtualized EOI", "eoi" },
	[EXIT_EPT_VIOLATION] = { "EPT violation", "ept-violation" },
	[EXIT_EPT_MISCONFIG] = { "EPT misconfiguration", "ept-misconfig" },
	[EXIT_INVEPT] = { "INVEPT", "invept" },
	[EXIT_PREEMPTION_TIMER] = { "VMX-preemption timer", "timer" },
	[EXIT_INVVPID] = { "INVVPID", "invvpid" },
	[EXIT_WBINVD] = { "WBINVD", "wbinvd" },
	[EXIT_XSETBV] = { "XSETBV", "xsetbv" },
	[EXIT_APIC_WRITE] = { "APIC write", "apic-write" },
	[EXIT_INVPCID] = { "INVPCID", "invpcid" },
	[EXIT_VMFUNC] = { "VMFUNC", "vmfunc" },
	[EXIT_ENCLS] = { "ENCLS", "encls" },
	[EXIT_PML_FULL] = { "page-modification log full", "pml-full" },
};

const char *exit_name(unsigned reason)
{
	reason &= 0xffff;
	return reason < EXIT_REASONS && reasons[reason].name ? reasons[reason].name : "unknown";
}

int exit_reason_of(const char *word, size_t n)
{
	for (int i = 0; i < EXIT_REASONS; i++)
		if (reasons[i].word && strlen(reasons[i].word) == n && !strncmp(reasons[i].word, word, n))
			return i;
	return -E_NOENT;
}
