/* SPDX-License-Identifier: MIT */
/*
 * Measures against speculation, as hv/host/mitigate_pure.h decides them for each CPU by itself:
 *
 *	at start		the form of indirect branches, as the first CPU needs it	mitigate_init()
 *	once on each CPU	IA32_SPEC_CTRL, IA32_TSX_CTRL, IA32_MCU_OPT_CTRL	mitigate_cpu_init()
 *	at each VM exit		return predictions, branch history, IBRS		mitigate_vmcs_init()
 *	when another vCPU comes	IBPB, L1D flush, VERW					mitigate_switch()
 *	before the same vCPU goes on after another VM's data was handled on its CPU:
 *				L1D flush, VERW						mitigate_other_vm()
 *
 * What a CPU does not need costs nothing on the exit path, and nothing is done with `mitigations = off`.
 */
#pragma once

#include "guest/conf/conf.h"
#include "hv/host/mitigate_pure.h"

struct cpu;
struct vcpu;

/* Decides for the first CPU, does what is done once on it, and logs it. mode: as lethe.conf has it. */
void mitigate_init(enum conf_mitigations mode);
/* The same on each other CPU, by that CPU; nothing is logged. */
void mitigate_cpu_init(struct cpu *c);
/* Logs what differs on other CPUs than the first, once all have started. */
void mitigate_log_others(void);

/* True if on one of the CPUs that have started SMT siblings may not run different VMs. False with `mitigations = off`. */
bool mitigate_core_of_its_own(void);

/* Another vCPU's state comes to this CPU: drops what speculation could carry over to it. */
void mitigate_switch(void);
/* Overwrites this CPU's L1D and buffers, as far as it needs that. */
void mitigate_flush(void);
/*
 * This CPU has handled data of a VM other than the one that it runs, or may have. If a vCPU's state is in it, the vCPU does
 * not enter its guest again before mitigate_flush() (REQ_FLUSH). The places, all of them:
 *
 *	console_used		any use of the console's rings and screen: what a guest prints and reads,
 *				each line of the log, the console's interrupts		drivers/console/console.c
 *	housekeeping()		what is typed, reports					hv/sched.c
 *	take_turn()		timers and interrupts of the vCPUs that share the CPU	hv/sched.c
 *	reap()			the end of a VM						hv/sched.c
 *	idle()			page tables of VMs that sleep				hv/sched.c
 *
 * Not among them is a CPU's trace ring (lib/trace.h), in which an event of another VM, three numbers, can lie in the same
 * cache line as the one that is written.
 */
void mitigate_other_vm(void);

/* Logs how often the two were done on all CPUs, for `log = debug`. */
void mitigate_log_flushes(void);

/* Where VM exits of v's VMCS arrive, and what IA32_SPEC_CTRL its exits and entries load. v's VMCS is current. */
void mitigate_vmcs_init(struct vcpu *v);
/* v's guest has `value` in IA32_SPEC_CTRL, which the guest may write there, and v's state is in this CPU or comes to it. */
void mitigate_spec_ctrl(struct vcpu *v, uint64_t value);
