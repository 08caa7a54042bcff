/* SPDX-License-Identifier: MIT */
/* From an exit's reason to its handler. */
#include "hv/exit.h"
#include "lib/printf.h"
#include "lib/trace.h"

struct exit {
	const char *name; /* as SDM Vol. 3D table C-1 */
	exit_handler *handle;
};

/* Reasons that are not here belong to controls that Lethe does not set: they end the VM by exit_unknown(). */
static const struct exit exits[EXIT_REASONS] = {
	[EXIT_EXCEPTION_NMI] = { "exception or NMI", exit_exception_nmi },
	[EXIT_EXTERNAL_INTERRUPT] = { "external interrupt", exit_external_interrupt },
	[EXIT_TRIPLE_FAULT] = { "triple fault", exit_triple_fault },
	[EXIT_INIT] = { "INIT signal", exit_init },
	[EXIT_INTERRUPT_WINDOW] = { "interrupt window", exit_window },
	[EXIT_NMI_WINDOW] = { "NMI window", exit_window },
	[EXIT_TASK_SWITCH] = { "task switch", exit_task_switch },
	[EXIT_CPUID] = { "CPUID", exit_cpuid },
	[EXIT_GETSEC] = { "GETSEC", exit_undefined },
	[EXIT_HLT] = { "HLT", exit_hlt },
	[EXIT_INVD] = { "INVD", exit_nothing },
	[EXIT_RDPMC] = { "RDPMC", exit_rdpmc },
	[EXIT_RSM] = { "RSM", exit_undefined },
	[EXIT_VMCALL] = { "VMCALL", exit_vmcall },
	[EXIT_VMCLEAR] = { "VMCLEAR", exit_undefined },
	[20] = { "VMLAUNCH", exit_undefined },
	[21] = { "VMPTRLD", exit_undefined },
	[22] = { "VMPTRST", exit_undefined },
	[23] = { "VMREAD", exit_undefined },
	[24] = { "VMRESUME", exit_undefined },
	[25] = { "VMWRITE", exit_undefined },
	[26] = { "VMXOFF", exit_undefined },
	[EXIT_VMXON] = { "VMXON", exit_undefined },
	[EXIT_CR_ACCESS] = { "control-register access", exit_cr_access },
	[EXIT_IO] = { "I/O instruction", exit_io },
	[EXIT_RDMSR] = { "RDMSR", exit_rdmsr },
	[EXIT_WRMSR] = { "WRMSR", exit_wrmsr },
	[EXIT_BAD_GUEST_STATE] = { "VM-entry failure: invalid guest state", exit_bad_guest_state },
	[EXIT_BAD_MSR_LOAD] = { "VM-entry failure: MSR loading", exit_bad_msr_load },
	[EXIT_MWAIT] = { "MWAIT", exit_undefined },
	[EXIT_MONITOR] = { "MONITOR", exit_undefined },
	[EXIT_PAUSE] = { "PAUSE", exit_pause },
	[EXIT_MACHINE_CHECK] = { "VM-entry failure: machine check", exit_machine_check },
	[EXIT_TPR_BELOW] = { "TPR below threshold", exit_tpr_below },
	[EXIT_APIC_ACCESS] = { "APIC access", exit_apic_access },
	[EXIT_EOI] = { "virtualized EOI", exit_eoi },
	[EXIT_EPT_VIOLATION] = { "EPT violation", exit_ept_violation },
	[EXIT_EPT_MISCONFIG] = { "EPT misconfiguration", exit_ept_misconfig },
	[EXIT_INVEPT] = { "INVEPT", exit_undefined },
	[EXIT_PREEMPTION_TIMER] = { "VMX-preemption timer", exit_preemption_timer },
	[EXIT_INVVPID] = { "INVVPID", exit_undefined },
	[EXIT_WBINVD] = { "WBINVD", exit_nothing },
	[EXIT_XSETBV] = { "XSETBV", exit_xsetbv },
	[EXIT_APIC_WRITE] = { "APIC write", exit_apic_write },
	[EXIT_VMFUNC] = { "VMFUNC", exit_undefined },
	[EXIT_ENCLS] = { "ENCLS", exit_undefined },
	[EXIT_PML_FULL] = { "page-modification log full", exit_pml_full },
};

const char *exit_name(unsigned reason)
{
	reason &= 0xffff;
	return reason < EXIT_REASONS && exits[reason].name ? exits[reason].name : "unknown";
}

int exits_describe(const struct vcpu *v, char *buf, size_t n)
{
	uint64_t have = min(v->exits, (uint64_t)LAST_EXITS);
	int at = 0;

	buf[0] = 0;
	for (uint64_t i = v->exits - have; i < v->exits && at < (int)n; i++)
		at += fmt_snprintf(buf + at, n - (size_t)at, "%s%s", at ? ", " : "",
			exit_name(v->last_exits[i % LAST_EXITS]));
	return at;
}

static void handle(struct vcpu *v, uint16_t reason)
{
	if (likely(reason < EXIT_REASONS && exits[reason].handle))
		exits[reason].handle(v);
	else
		exit_unknown(v);
}

static void __attribute__((noinline, cold)) trace_and_handle(struct vcpu *v, uint16_t reason)
{
	TRACE(TRACE_EXITS, "exit %lu at %#lx", reason, vmread(VMCS_GUEST_RIP), 0);
	handle(v, reason);
}

void exit_dispatch(struct vcpu *v)
{
	uint16_t reason = (uint16_t)vmread_sure(VMCS_EXIT_REASON);

	v->last_exits[v->exits++ % LAST_EXITS] = reason;
	if (unlikely(trace_mask & 1u << TRACE_EXITS))
		trace_and_handle(v, reason);
	else
		handle(v, reason);
}
