/* SPDX-License-Identifier: MIT */
#include "hv/vm/life_pure.h"

#include "lib/bits.h"

/* From each state, a bit for each state that it leads to. */
static const uint8_t ways[] = {
	[LIFE_CREATED] = BIT(LIFE_RUNNING) | BIT(LIFE_ENDED) | BIT(LIFE_GONE),
	[LIFE_RUNNING] = BIT(LIFE_PAUSED) | BIT(LIFE_ENDED),
	[LIFE_PAUSED] = BIT(LIFE_RUNNING) | BIT(LIFE_ENDED),
	[LIFE_ENDED] = BIT(LIFE_GONE),
	[LIFE_GONE] = 0,
};

bool life_change(struct vm_life *l, enum life to, enum vm_end why, uint32_t code)
{
	uint64_t from = atomic_load(&l->word);

	do {
		if (!(ways[from & 0xff] & BIT(to)))
			return false;
	} while (!atomic_cmpxchg(&l->word, &from,
		to == LIFE_ENDED ? (uint64_t)to | (uint64_t)why << 8 | (uint64_t)code << 32
				 : (from & ~0xffull) | (uint64_t)to));
	return true;
}
