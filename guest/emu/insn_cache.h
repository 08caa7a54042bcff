/* SPDX-License-Identifier: MIT */
/*
 * A cache of decoded instructions, one a vCPU: guests access their devices from few places in their code.
 * Decoding depends on nothing but the bytes and the mode. An entry holds both and is used only if both are
 * equal, so code that has changed is decoded anew; the address only selects the entry.
 */
#pragma once

#include "guest/emu/insn.h"

#define INSN_CACHE 8 /* a power of two */

struct insn_cache {
	struct {
		uint64_t bytes[2]; /* 0..7 and 7..14 of the 15 */
		struct insn insn;  /* insn.mode: of the entry; 0 in an empty one */
	} entry[INSN_CACHE];
};

/* As insn_decode(). cache starts as zeros. */
static inline int insn_decode_cached(struct insn_cache *cache, uint64_t rip, const uint8_t *bytes, size_t n,
	enum insn_mode mode, struct insn *out)
{
	__auto_type c = &cache->entry[(rip * 0x9e3779b97f4a7c15ull) >> 61 & (INSN_CACHE - 1)];
	uint64_t low, high;
	int rc;

	if (unlikely(n < INSN_MAX)) /* a shorter look may say less */
		return insn_decode(bytes, n, mode, out);
	__builtin_memcpy(&low, bytes, 8);
	__builtin_memcpy(&high, bytes + 7, 8);
	if (likely(c->bytes[0] == low && c->bytes[1] == high && c->insn.mode == mode)) {
		*out = c->insn;
		return 0;
	}
	rc = insn_decode(bytes, n, mode, out);
	if (!rc) {
		c->bytes[0] = low;
		c->bytes[1] = high;
		c->insn = *out;
	}
	return rc;
}
