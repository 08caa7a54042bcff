/* SPDX-License-Identifier: MIT */
/* What a guest asks for by VMCALL (lib/hypercalls.h). */
#pragma once

#include "hv/vm/vcpu.h"

/* Carries out a hypercall of v's guest, whose RAX is `number`; returns its RAX. */
int64_t hypercall(struct vcpu *v, uint64_t number);
