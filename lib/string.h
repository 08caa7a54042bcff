/* SPDX-License-Identifier: MIT */
/*
 * The functions of <string.h> that freestanding code uses (lib/string.c; hosted builds take libc's), and
 * parsing helpers with bounds.
 */
#pragma once

#include "lib/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *at, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/* Copies at most size - 1 characters and always ends with NUL; returns false if it had to cut. */
bool str_copy(char *to, size_t size, const char *from);
bool str_starts(const char *s, const char *prefix);
/*
 * Parses a whole number: decimal or 0x hexadecimal, with an optional binary suffix K, M, G or T.
 * 0, or -E_INVAL (no digits, trailing text) or -E_RANGE (does not fit 64 bits).
 */
int str_to_u64(const char *s, uint64_t *out);
