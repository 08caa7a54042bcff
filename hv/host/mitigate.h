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

/* Decides for the first CPU, does what is done once on it, and logs it. mode: as lethe.conf has it. other_vm: is called
 * when this CPU has used the console, which holds what several VMs print (mitigate_other_vm()); not with `mitigations = off`. */
void mitigate_init(enum conf_mitigations mode, void (*other_vm)(void));
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
/* Logs how often the two were done on all CPUs, for `log = debug`. */
void mitigate_log_flushes(void);
