/* SPDX-License-Identifier: MIT */
/* Between VM exits and the emulator (guest/emu/emulate.h). */
#pragma once

#include "guest/emu/emulate.h"
#include "hv/vm/vcpu.h"

/* Reads a memory operand of n bytes, at most 32, for an instruction that exits before its operand is read. False: that faults,
 * and the fault is injected. */
bool emulate_operand(struct vcpu *v, enum seg seg, uint64_t offset, void *to, unsigned n);
/* INS, OUTS: does a chunk of it; the guest comes back for the rest. */
void emulate_string(struct vcpu *v, const struct emu_string_io *io);
