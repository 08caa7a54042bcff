/* SPDX-License-Identifier: MIT */
#include "guest/emu/breakpoint.h"

#include "lib/bits.h"

/* DR7: Ln and Gn are bits 2n and 2n + 1; R/Wn and LENn bits 16 + 4n and 18 + 4n, two each. */
static bool enabled(const struct breakpoints *b, unsigned n)
{
	return b->dr7 >> 2 * n & 3;
}

static enum break_on kind(const struct breakpoints *b, unsigned n)
{
	return b->dr7 >> (16 + 4 * n) & 3;
}

/* True if [at, at + size) and the breakpoint's bytes overlap. LEN's bits in the address are ignored (17.2.5). */
static bool overlaps(const struct breakpoints *b, unsigned n, uint64_t at, unsigned size)
{
	static const uint8_t bytes[4] = { 1, 2, 8, 4 };
	uint64_t len = bytes[b->dr7 >> (18 + 4 * n) & 3], first = b->dr[n] & ~(len - 1);

	/* Differences, so that an access or a breakpoint at the end of the address space is no special case. */
	return at - first < len || first - at < size;
}

unsigned breakpoints_data(const struct breakpoints *b, uint64_t at, unsigned size, bool write)
{
	unsigned hits = 0;

	for (unsigned n = 0; n < 4; n++)
		if (enabled(b, n) && (kind(b, n) == BREAK_ACCESS || (kind(b, n) == BREAK_WRITE && write)) &&
			overlaps(b, n, at, size))
			hits |= 1u << n;
	return hits;
}

unsigned breakpoints_io(const struct breakpoints *b, uint16_t port, unsigned size, bool de)
{
	unsigned hits = 0;

	for (unsigned n = 0; n < 4 && de; n++)
		if (enabled(b, n) && kind(b, n) == BREAK_IO && overlaps(b, n, port, size))
			hits |= 1u << n;
	return hits;
}
