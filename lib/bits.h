/* SPDX-License-Identifier: MIT */
/* Bits, ranges and alignment. Bit numbers are the manuals'. */
#pragma once

#include "lib/types.h"

#define BIT(n)	     (1ull << (n))
/* Bits hi..lo, both included, as the SDM writes them (BITS(51, 12)). */
#define BITS(hi, lo) ((~0ull >> (63 - (hi))) & ~(BIT(lo) - 1))

static inline uint64_t bits_get(uint64_t v, unsigned hi, unsigned lo)
{
	return (v & BITS(hi, lo)) >> lo;
}
/* The number of `bits` bits (1 to 64) in v, with its sign. */
static inline uint64_t sign_extend(uint64_t v, unsigned bits)
{
	return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}
/* True if a linear address of `bits` bits (48, or 57) is canonical: the bits above are all like the uppermost of them (SDM
 * Vol. 1 3.3.7.1). */
static inline bool is_canonical(uint64_t address, unsigned bits)
{
	return sign_extend(address, bits) == address;
}
static inline uint64_t align_down(uint64_t v, uint64_t to)
{
	return v & ~(to - 1);
}
static inline uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}
static inline bool is_aligned(uint64_t v, uint64_t to)
{
	return !(v & (to - 1));
}
static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}
/* Index of the lowest / highest set bit; v must not be 0. */
static inline unsigned bit_lowest(uint64_t v)
{
	return (unsigned)__builtin_ctzll(v);
}
static inline unsigned bit_highest(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}
/* True if [a, a+an) and [b, b+bn) overlap. Neither may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
	return an && bn && a < b + bn && b < a + an;
}
/* True if [at, at+n) is within [0, size); false where at + n would wrap. */
static inline bool range_within(uint64_t at, uint64_t n, uint64_t size)
{
	return n <= size && at <= size - n;
}
