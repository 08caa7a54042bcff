/* SPDX-License-Identifier: MIT */
/* From an exit's reason to its handler. */
#include "hv/exit.h"
#include "lib/printf.h"
#include "lib/trace.h"

/* Reasons that are not here belong to controls that Lethe does not set: they end the VM by exit_unknown(). */
static exit_handler *const handlers[EXIT_REASONS] = {
	[EXIT_EXCEPTION_NMI] = exit_exception_nmi,
	[EXIT_EXTERNAL_INTERRUPT] = exit_external_interrupt,
	[EXIT_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_INIT] = exit_init,
	[EXIT_INTERRUPT_WINDOW] = exit_window,
	[EXIT_NMI_WINDOW] = exit_window,
	[EXIT_TASK_SWITCH] = exit_task_switch,
	[EXIT_CPUID] = exit_cpuid,
	[EXIT_GETSEC] = exit_undefined,
	[EXIT_HLT] = exit_hlt,
	[EXIT_INVD] = exit_nothing,
	[EXIT_RDPMC] = exit_rdpmc,
	[EXIT_RSM] = exit_undefined,
	[EXIT_VMCALL] = exit_vmcall,
	[EXIT_VMCLEAR] = exit_undefined,
	[20] = exit_undefined,
	[21] = exit_undefined,
	[22] = exit_undefined,
	[23] = exit_undefined,
	[24] = exit_undefined,
	[25] = exit_undefined,
	[26] = exit_undefined,
	[EXIT_VMXON] = exit_undefined,
	[EXIT_CR_ACCESS] = exit_cr_access,
	[EXIT_IO] = exit_io,
	[EXIT_RDMSR] = exit_rdmsr,
	[EXIT_WRMSR] = exit_wrmsr,
	[EXIT_BAD_GUEST_STATE] = exit_bad_guest_state,
	[EXIT_BAD_MSR_LOAD] = exit_bad_msr_load,
	[EXIT_MWAIT] = exit_undefined,
	[EXIT_MONITOR] = exit_undefined,
	[EXIT_PAUSE] = exit_pause,
	[EXIT_MACHINE_CHECK] = exit_machine_check,
	[EXIT_TPR_BELOW] = exit_tpr_below,
	[EXIT_APIC_ACCESS] = exit_apic_access,
	[EXIT_EOI] = exit_eoi,
	[EXIT_EPT_VIOLATION] = exit_ept_violation,
	[EXIT_EPT_MISCONFIG] = exit_ept_misconfig,
	[EXIT_INVEPT] = exit_undefined,
	[EXIT_PREEMPTION_TIMER] = exit_preemption_timer,
	[EXIT_INVVPID] = exit_undefined,
	[EXIT_WBINVD] = exit_nothing,
	[EXIT_XSETBV] = exit_xsetbv,
	[EXIT_APIC_WRITE] = exit_apic_write,
	[EXIT_VMFUNC] = exit_undefined,
	[EXIT_ENCLS] = exit_undefined,
	[EXIT_PML_FULL] = exit_pml_full,
};

int exits_describe(const struct vcpu *v, char *buf, size_t n)
{
	uint64_t have = min(v->exits, (uint64_t)LAST_EXITS), next;
	int at = 0;

	buf[0] = 0;
	for (uint64_t i = v->exits - have; i < v->exits && at < (int)n; i = next) {
		uint16_t reason = v->last_exits[i % LAST_EXITS];

		for (next = i + 1; next < v->exits && v->last_exits[next % LAST_EXITS] == reason;)
			next++;
		at += fmt_snprintf(buf + at, n - (size_t)at, "%s%s", at ? ", " : "", exit_name(reason));
		if (next - i > 1 && at < (int)n)
			at += fmt_snprintf(buf + at, n - (size_t)at, " x %lu", next - i);
	}
	return at;
}

static void handle(struct vcpu *v, uint16_t reason)
{
	if (likely(reason < EXIT_REASONS && handlers[reason]))
		handlers[reason](v);
	else
		exit_unknown(v);
}

static void __attribute__((noinline, cold)) trace_and_handle(struct vcpu *v, uint16_t reason)
{
	if (trace_wants_exit(reason))
		TRACE(TRACE_EXITS, "%s at %#lx, qualification %#lx", exit_name(reason),
			vmread(VMCS_GUEST_RIP), vmread(VMCS_QUALIFICATION));
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
