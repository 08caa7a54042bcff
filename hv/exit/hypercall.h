/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: VMCALL at CPL 0 with a number in RAX; the result comes back in RAX, negative for errors (enum err).
 *
 * 1 is free: -E_NOSUP, as every number that is not here.
 *
 *	0  nothing					what a bare exit costs
 *	2  statistics of the guest's MMU		RBX: which (see hypercall.c)
 *	3  counters of a MEASURE=1 build		RBX: which (hv/vmx/measure.h)
 *
 * A VMCALL in real mode at one of the traps of guest/dev/rom/vectors.asm is none of these, whatever RAX is.
 */
#pragma once

#include "hv/vm/vcpu.h"

int64_t hypercall(struct vcpu *v, uint64_t number);
