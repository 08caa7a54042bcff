/* SPDX-License-Identifier: MIT */
#pragma once

#include "hv/vm/vm.h"

/* Maps the APIC-access page at the usual address; the VM has one (APICv). 0, or an error of slot_add(). */
int vm_apic_page_add(struct vm *vm);
/* The guest has written IA32_APIC_BASE of this vCPU: follows a move of the registers, or ends the VM in words. On its own CPU. */
void vm_apic_base_written(struct vcpu *v);
