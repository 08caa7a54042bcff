/* SPDX-License-Identifier: MIT */
/*
 * The one thing that Lethe wants from AML: what to write into the sleep type fields for power-off. \_S5_ is a
 * constant package, so it is found by its bytes (ACPI 6.5, 7.4.2 and 20.2):
 *
 *	08 [5c] 5f 53 35 5f	NameOp, perhaps '\', "_S5_"
 *	12 PkgLength		PackageOp; the length counts from itself
 *	n			number of elements
 *	data ...		integers: SLP_TYPa, SLP_TYPb, ...
 */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
#include "lib/bits.h"

enum {
	ZERO_OP = 0x00,
	ONE_OP = 0x01,
	NAME_OP = 0x08,
	BYTE_PREFIX = 0x0a,
	WORD_PREFIX = 0x0b,
	DWORD_PREFIX = 0x0c,
	QWORD_PREFIX = 0x0e,
	PACKAGE_OP = 0x12,
	ROOT_CHAR = 0x5c,
	ONES_OP = 0xff,
};

/* An integer constant at p; returns the bytes that it takes, 0 if there is none. */
static size_t integer(const uint8_t *p, size_t n, uint64_t *out)
{
	unsigned width;

	if (!n)
		return 0;
	*out = 0;
	switch (p[0]) {
	case ZERO_OP:
		return 1;
	case ONE_OP:
		*out = 1;
		return 1;
	case ONES_OP:
		*out = ~0ull;
		return 1;
	case BYTE_PREFIX:
		width = 1;
		break;
	case WORD_PREFIX:
		width = 2;
		break;
	case DWORD_PREFIX:
		width = 4;
		break;
	case QWORD_PREFIX:
		width = 8;
		break;
	default:
		return 0;
	}
	if (n < 1 + width)
		return 0;
	for (unsigned i = 0; i < width; i++)
		*out |= (uint64_t)p[1 + i] << (8 * i);
	return 1 + width;
}

/* PkgLength (20.2.4): bits 7:6 of the first byte say how many follow. Returns the bytes that it takes, 0 if cut. */
static size_t pkg_length(const uint8_t *p, size_t n, size_t *length)
{
	unsigned more = n ? p[0] >> 6 : 0;

	if (n < 1 + more)
		return 0;
	*length = more ? p[0] & 0x0f : p[0] & 0x3f;
	for (unsigned i = 0; i < more; i++)
		*length |= (size_t)p[1 + i] << (4 + 8 * i);
	return 1 + more;
}

static bool package(const uint8_t *p, size_t n, uint8_t *typ_a, uint8_t *typ_b)
{
	size_t length = 0, used;
	uint64_t v = 0;
	unsigned elements;

	if (!n || *p++ != PACKAGE_OP)
		return false;
	n--;
	used = pkg_length(p, n, &length);
	if (!used || length > n || length < used + 1)
		return false;
	n = length - used;
	p += used;
	elements = *p++;
	n--;
	used = integer(p, n, &v);
	if (!elements || !used)
		return false;
	*typ_a = v & 7;
	/* Old firmware packs both into one number. */
	if (elements == 1) {
		*typ_b = v >> 8 & 7;
		return true;
	}
	if (!integer(p + used, n - used, &v))
		return false;
	*typ_b = v & 7;
	return true;
}

bool acpi_find_s5(const uint8_t *t, size_t n, uint8_t *typ_a, uint8_t *typ_b)
{
	for (size_t at = ACPI_HEADER; range_within(at, 6, n); at++) {
		size_t name = at + 1;

		if (t[at] != NAME_OP)
			continue;
		if (t[name] == ROOT_CHAR)
			name++;
		if (!range_within(name, 5, n) || memcmp(t + name, "_S5_", 4) != 0)
			continue;
		if (package(t + name + 4, n - name - 4, typ_a, typ_b))
			return true;
	}
	return false;
}
