/* SPDX-License-Identifier: MIT */
/* Strings with bounds, numbers out of text, and the names of errors. */
#include "lib/string.h"

#include "lib/bits.h"

bool str_copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size);
	bool whole = n < size;

	if (!size)
		return false;
	if (!whole)
		n = size - 1;
	memmove(to, from, n);
	to[n] = 0;
	return whole;
}

bool str_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static int digit(char c, unsigned base)
{
	int d = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : -1;

	return d >= 0 && (unsigned)d < base ? d : -1;
}

int str_to_u64(const char *s, uint64_t *out)
{
	unsigned base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10, shift = 0;
	uint64_t v = 0;

	if (base == 16)
		s += 2;
	if (digit(*s, base) < 0)
		return -E_INVAL;
	for (; digit(*s, base) >= 0; s++)
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit(*s, base), &v))
			return -E_RANGE;
	switch (*s) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	case 'T':
	case 't':
		shift = 40;
		break;
	}
	if (shift && *++s)
		return -E_INVAL;
	if (*s)
		return -E_INVAL;
	if (shift && v >> (64 - shift))
		return -E_RANGE;
	*out = v << shift;
	return 0;
}

const char *err_name(int err)
{
	static const char *const names[] = {
		[0] = "success",
		[E_NOMEM] = "out of memory",
		[E_INVAL] = "not valid",
		[E_RANGE] = "out of range",
		[E_EXIST] = "overlaps what is there",
		[E_NOENT] = "not there",
		[E_BUSY] = "busy",
		[E_NOSUP] = "not supported",
		[E_FAULT] = "bad guest address",
		[E_AGAIN] = "changed meanwhile",
		[E_IO] = "hardware or firmware error",
		[E_TIMEOUT] = "timed out",
	};
	unsigned n = err < 0 ? 0u - (unsigned)err : (unsigned)err;

	return n < ARRAY_SIZE(names) ? names[n] : "unknown error";
}
