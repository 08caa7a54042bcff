/* SPDX-License-Identifier: MIT */
/* VMX operation on each CPU: capabilities, IA32_FEATURE_CONTROL, VMXON. */
#pragma once

#include "hv/host/cpu.h"
#include "hv/vmx/vmx_controls.h"

extern struct vmx_controls vmx; /* what was chosen, the same for all CPUs */

/* First CPU: reads the capabilities, chooses, and says in the log what is degraded. -E_NOSUP: the log says what is
 * missing. */
int vmx_init(void);
/* Each CPU: into VMX root operation, with INVEPT and INVVPID of everything (nothing of firmware's use may stay).
 * -E_NOSUP: firmware has locked VMX off, or this CPU lacks what the first one has; -E_NOMEM. */
int vmx_enter_root(struct cpu *c);
/* A region for VMXON or a VMCS, with the revision of this CPU's; a frame of OWNER_LETHE. NULL without memory. */
void *vmx_region_alloc(void);
