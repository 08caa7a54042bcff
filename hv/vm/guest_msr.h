/* SPDX-License-Identifier: MIT */
/* RDMSR and WRMSR of a guest; which MSRs it has stands in guest_msr.c. */
#pragma once

#include "lib/types.h"

struct vcpu;

/* v's VMCS is current. 0, -E_NOENT (unknown) or -E_INVAL: #GP(0). */
int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value);
int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value);
