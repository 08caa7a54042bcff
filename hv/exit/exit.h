/* SPDX-License-Identifier: MIT */
/*
 * VM exits: a table by basic exit reason leads to one handler each; the handlers of a subject share a file.
 * A handler runs on the vCPU's CPU with interrupts off and its VMCS current. It either deals with the exit (and steps
 * over the instruction), or injects an exception, or ends the VM through vm_unsupported().
 */
#pragma once

#include "hv/vm/vm.h"

void exit_dispatch(struct vcpu *v);

typedef void exit_handler(struct vcpu *v);

exit_handler exit_exception_nmi, exit_external_interrupt, exit_triple_fault, exit_window, exit_machine_check;
exit_handler exit_cpuid, exit_hlt, exit_pause, exit_nothing, exit_vmcall, exit_undefined, exit_xsetbv,
	exit_rdpmc;
exit_handler exit_task_switch, exit_preemption_timer, exit_bad_guest_state, exit_bad_msr_load, exit_init;
exit_handler exit_cr_access, exit_rdmsr, exit_wrmsr, exit_io;
exit_handler exit_ept_violation, exit_ept_misconfig, exit_pml_full;
exit_handler exit_invlpg, exit_invpcid;
exit_handler exit_apic_access, exit_apic_write, exit_eoi, exit_tpr_below, exit_unknown;

/* hv/exit/emulate.c: emulates the instruction at RIP, whose access at `at` hit no RAM. `known`: EMU_* that hardware
 * has let through (guest/emu/emulate.h). With EMU_TABLE: it stores into RAM at `at`, where a page table of the guest's lies; what
 * cannot be emulated ends in fault_leave_store(). */
#define EMU_TABLE (1u << 31)
void emulate_at(struct vcpu *v, unsigned known, gpa_t at);

/* hv/exit/pf.c: a page fault. info: VM-exit interruption information. */
void exit_page_fault(struct vcpu *v, uint32_t info);
/* A store into a page table of the guest's, at `at`, is left to the guest. why: it cannot be emulated. */
void fault_leave_store(struct vcpu *v, gpa_t at, const char *why);

/* hv/exit/ept.c: what both kinds of second stage do with the MMU's verdicts. */
void fault_no_memory(struct vcpu *v);
/* An access at `at` that is none of the instruction's at RIP finds no RAM. */
void fault_no_ram(struct vcpu *v, gpa_t at);
void fault_no_code(struct vcpu *v, gpa_t at);
/* True if the device access that this exit is about is to be made again, since this exit has taken long already. */
bool fault_put_off(struct vcpu *v);
/* NMIs that an IRET has unblocked are blocked again when it restarts (SDM Vol. 3C 27.2.3). */
void fault_block_nmis(struct vcpu *v);
