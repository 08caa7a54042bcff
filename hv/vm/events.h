/* SPDX-License-Identifier: MIT */
/* What is delivered to the guest at the next entry: exceptions, NMIs, interrupts. */
#pragma once

#include "hv/vm/vcpu.h"

void inject_exception(struct vcpu *v, unsigned vector);
void inject_exception_error(struct vcpu *v, unsigned vector, uint32_t error);
void inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error);
/* Before entry, with interrupts off: pending exception, NMI, interrupt; opens windows for what cannot go in yet. */
void events_prepare(struct vcpu *v);
/* With virtual-interrupt delivery: a vector of the vCPU's own has come into IRR; the CPU looks at it at the next entry. */
void events_raise(struct vcpu *v, unsigned vector);
/* After an exit that may have cut an event's delivery short: it is delivered again. True if it did. */
bool events_redeliver(struct vcpu *v);
