/* SPDX-License-Identifier: MIT */
/*
 * The functions that a compiler may call and freestanding code may use. Not compiled into hosted programs, which
 * have their C library's. REP MOVSB/STOSB are fast on every CPU with VT-x worth naming (ERMSB since Ivy Bridge).
 */
#include "lib/string.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *at = to;

	uint64_t words = n / 8;

	n &= 7;
	__asm__ volatile("rep movsq\n\tmov %[n], %%rcx\n\trep movsb"
			 : "+&D"(at), "+&S"(from), "+&c"(words)
			 : [n] "r"(n)
			 : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	/* From the end: first the bytes beyond whole words. Each word is read before it is written. */
	for (; n % 8; n--)
		((char *)to)[n - 1] = ((const char *)from)[n - 1];
	for (; n; n -= 8)
		*(word *)((char *)to + n - 8) = *(const word *)((const char *)from + n - 8);
	return to;
}

void *memset(void *at, int byte, size_t n)
{
	void *p = at;
	uint64_t words = n / 8;

	n &= 7;
	__asm__ volatile("rep stosq\n\tmov %[n], %%rcx\n\trep stosb"
			 : "+&D"(p), "+&c"(words)
			 : "a"((uint8_t)byte * 0x0101010101010101ull), [n] "r"(n)
			 : "memory");
	return at;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}
