/* SPDX-License-Identifier: MIT */
/* The operands of INVPCID, as its VM exit describes them, and when they raise #GP(0). Pure (hv/exit/invpcid_pure.c), for tests. */
#pragma once

#include "lib/regs.h"
#include "lib/types.h"

enum invpcid_type { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

struct invpcid_operands {
	uint64_t type;	 /* enum invpcid_type, or any other number */
	enum seg seg;	 /* of the descriptor, 16 bytes */
	uint64_t offset; /* ... in this segment */
};

/* info: the VM-exit instruction information (SDM Vol. 3C table 27-12); displacement: the exit qualification; code64: of 64-bit
 * code. */
void invpcid_decode(uint32_t info, uint64_t displacement, const uint64_t gpr[GPRS], bool code64,
	struct invpcid_operands *out);
/* descriptor: as it lies in memory (SDM Vol. 2A, INVPCID). linear_bits: of a canonical address. */
bool invpcid_ok(uint64_t type, const uint64_t descriptor[2], bool pcide, unsigned linear_bits);
