/* SPDX-License-Identifier: MIT */
/* From an exit's reason to its handler. Reasons that have none belong to controls that Lethe does not set. */
#include "hv/exit/exit.h"
#include "lib/trace.h"

/* Out of line, so that the frequent reasons need no registers saved. */
static void __attribute__((noinline)) handle_rest(struct vcpu *v, uint16_t reason)
{
	switch (reason) {
	case EXIT_TRIPLE_FAULT:
		return exit_triple_fault(v);
	case EXIT_INIT:
		return exit_init(v);
	case EXIT_NMI_WINDOW:
		return exit_window(v);
	case EXIT_TASK_SWITCH:
		return exit_task_switch(v);
	case EXIT_INVD:
	case EXIT_WBINVD:
		return exit_nothing(v);
	case EXIT_RDPMC:
		return exit_rdpmc(v);
	case EXIT_GETSEC:
	case EXIT_RSM:
	case EXIT_VMCLEAR:
	case 20: /* VMLAUNCH to VMXOFF */
	case 21:
	case 22:
	case 23:
	case 24:
	case 25:
	case 26:
	case EXIT_VMXON:
	case EXIT_MWAIT:
	case EXIT_MONITOR:
	case EXIT_INVEPT:
	case EXIT_INVVPID:
	case EXIT_VMFUNC:
	case EXIT_ENCLS:
		return exit_undefined(v);
	case EXIT_INVLPG:
		return exit_invlpg(v);
	case EXIT_INVPCID:
		return exit_invpcid(v);
	case EXIT_BAD_GUEST_STATE:
		return exit_bad_guest_state(v);
	case EXIT_BAD_MSR_LOAD:
		return exit_bad_msr_load(v);
	case EXIT_PAUSE:
		return exit_pause(v);
	case EXIT_MACHINE_CHECK:
		return exit_machine_check(v);
	case EXIT_TPR_BELOW:
		return exit_tpr_below(v);
	case EXIT_APIC_ACCESS:
		return exit_apic_access(v);
	case EXIT_EOI:
		return exit_eoi(v);
	case EXIT_XSETBV:
		return exit_xsetbv(v);
	case EXIT_APIC_WRITE:
		return exit_apic_write(v);
	case EXIT_PML_FULL:
		return exit_pml_full(v);
	default:
		return exit_unknown(v);
	}
}
/* Compared one after the other, the most frequent first: no branch here is an indirect one, which speculation could lead
 * astray. */
static void handle(struct vcpu *v, uint16_t reason)
{
	if (reason == EXIT_CPUID)
		exit_cpuid(v);
	else if (reason == EXIT_EPT_VIOLATION)
		exit_ept_violation(v);
	else if (reason == EXIT_RDMSR)
		exit_rdmsr(v);
	else if (reason == EXIT_WRMSR)
		exit_wrmsr(v);
	else if (reason == EXIT_VMCALL)
		exit_vmcall(v);
	else if (reason == EXIT_EPT_MISCONFIG)
		exit_ept_misconfig(v);
	else if (reason == EXIT_IO)
		exit_io(v);
	else if (reason == EXIT_EXCEPTION_NMI)
		exit_exception_nmi(v);
	else if (reason == EXIT_CR_ACCESS)
		exit_cr_access(v);
	else if (reason == EXIT_EXTERNAL_INTERRUPT)
		exit_external_interrupt(v);
	else if (reason == EXIT_PREEMPTION_TIMER)
		exit_preemption_timer(v);
	else if (reason == EXIT_INTERRUPT_WINDOW)
		exit_window(v);
	else if (reason == EXIT_HLT)
		exit_hlt(v);
	else
		handle_rest(v, reason);
}

static void __attribute__((noinline, cold)) trace_exit(const struct vcpu *v, uint16_t reason)
{
	if (trace_wants_exit(reason))
		TRACE(TRACE_EXITS, "%s at %#lx, qualification %#lx", exit_name(reason),
			vmcs_read(&v->vmcs, VMCS_GUEST_RIP), vmcs_read(&v->vmcs, VMCS_QUALIFICATION));
}

void exit_dispatch(struct vcpu *v)
{
	uint16_t reason = (uint16_t)vmcs_read_sure(&v->vmcs, VMCS_EXIT_REASON);

	v->last_exits[v->exits++ % LAST_EXITS] = reason;
	if (unlikely(trace_mask & 1u << TRACE_EXITS))
		trace_exit(v, reason);
	handle(v, reason);
}
