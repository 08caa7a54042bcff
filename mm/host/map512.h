/* SPDX-License-Identifier: MIT */
/* A set of 512 things: the pages of 2 MiB, the 2 MiB pieces of 1 GiB. */
#pragma once

#include "lib/bits.h"

#define MAP512_WORDS 8

struct map512 {
	uint64_t word[MAP512_WORDS];
};

static inline bool map512_test(const struct map512 *m, unsigned i)
{
	return m->word[i / 64] >> (i % 64) & 1;
}
static inline void map512_set(struct map512 *m, unsigned i)
{
	m->word[i / 64] |= BIT(i % 64);
}
static inline void map512_clear(struct map512 *m, unsigned i)
{
	m->word[i / 64] &= ~BIT(i % 64);
}
static inline void map512_fill(struct map512 *m, bool on)
{
	for (unsigned w = 0; w < MAP512_WORDS; w++)
		m->word[w] = on ? ~0ull : 0;
}
/* The lowest member, or 512 if there is none. */
static inline unsigned map512_first(const struct map512 *m)
{
	for (unsigned w = 0; w < MAP512_WORDS; w++)
		if (m->word[w])
			return w * 64 + bit_lowest(m->word[w]);
	return 512;
}
/* Where n neighbours (n >= 1) are all members, the lowest such place; 512 if there is none. */
static inline unsigned map512_run(const struct map512 *m, unsigned n)
{
	unsigned run = 0;

	for (unsigned i = 0; i < 512; i++) {
		if (!m->word[i / 64]) { /* nothing in this word: on to the next */
			run = 0;
			i |= 63;
			continue;
		}
		run = map512_test(m, i) ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return 512;
}
