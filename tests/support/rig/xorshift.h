/* SPDX-License-Identifier: MIT */
/* Random numbers that come out the same each time: Marsaglia's xorshift with the shifts 13, 7 and 17. The state is not 0. */
#pragma once

#include "lib/types.h"

static inline uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
