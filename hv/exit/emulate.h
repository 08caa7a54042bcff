/* SPDX-License-Identifier: MIT */
/* Between VM exits and the emulator (guest/emu/emulate.h). */
#pragma once

#include "guest/emu/emulate.h"
#include "hv/vm/vcpu.h"

/* INS, OUTS: does a chunk of it; the guest comes back for the rest. */
void emulate_string(struct vcpu *v, const struct emu_string_io *io);
