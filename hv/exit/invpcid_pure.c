/* SPDX-License-Identifier: MIT */
#include "hv/exit/invpcid_pure.h"

#include "lib/bits.h"

#define INFO_NO_INDEX BIT(22)
#define INFO_NO_BASE  BIT(27)

void invpcid_decode(uint32_t info, uint64_t displacement, const uint64_t gpr[GPRS], bool code64,
	struct invpcid_operands *out)
{
	uint64_t at = displacement, reg2 = gpr[bits_get(info, 31, 28)];

	if (!(info & INFO_NO_BASE))
		at += gpr[bits_get(info, 26, 23)];
	if (!(info & INFO_NO_INDEX))
		at += gpr[bits_get(info, 21, 18)] << bits_get(info, 1, 0);
	switch (bits_get(info, 9, 7)) { /* address size */
	case 0:
		at = (uint16_t)at;
		break;
	case 1:
		at = (uint32_t)at;
		break;
	}
	*out = (struct invpcid_operands){ .type = code64 ? reg2 : (uint32_t)reg2,
		.seg = (enum seg)min(bits_get(info, 17, 15), (uint64_t)SEGS - 1),
		.offset = at };
}

bool invpcid_ok(uint64_t type, const uint64_t descriptor[2], bool pcide, unsigned linear_bits)
{
	if (type > INVPCID_ALL_BUT_GLOBAL || descriptor[0] >> 12)
		return false;
	if (type <= INVPCID_CONTEXT && descriptor[0] && !pcide)
		return false;
	return type != INVPCID_ADDRESS || is_canonical(descriptor[1], linear_bits);
}
