/* SPDX-License-Identifier: MIT */
/* Measures against speculation (hv/host/mitigate.h), as far as they are a vCPU's. */
#pragma once

#include "lib/types.h"

struct vcpu;

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

/* Where VM exits of v's VMCS arrive, and what IA32_SPEC_CTRL its exits and entries load: true if they are to load it. v's VMCS is
 * current. */
bool mitigate_vmcs_init(struct vcpu *v);
/* v's guest has `value` in IA32_SPEC_CTRL, which the guest may write there, and v's state is in this CPU or comes to it. */
void mitigate_spec_ctrl(struct vcpu *v, uint64_t value);
