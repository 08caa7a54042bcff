/* SPDX-License-Identifier: MIT */
/* What a vCPU's VMCS holds: host state, controls and guest state. On the vCPU's own CPU, with its VMCS current. */
#pragma once

#include "hv/vm/vcpu.h"

void vmcs_init(struct vcpu *v); /* all fields */
void vmcs_set_state(struct vcpu *v, const struct vcpu_state *s);
void vmcs_get_state(struct vcpu *v, struct vcpu_state *s);
void vmcs_set_segment(struct vmcs *m, enum seg s, const struct cpu_segment *seg);
void vmcs_get_segment(const struct vmcs *m, enum seg s, struct cpu_segment *seg);
void vmcs_set_proc(struct vcpu *v, uint32_t bits, bool on);
void vmcs_update_apic_mode(struct vcpu *v);
void vmcs_update_tsc(struct vcpu *v);
