/* SPDX-License-Identifier: MIT */
/*
 * Formatting into a buffer: the subset of C's printf that has no floating point:
 * %d %i %u %x %X %o %c %s %p %%, flags 0 - + # space, width, precision (also *), h hh l ll z j t.
 */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

/*
 * Write at most size bytes including the final NUL. Returns the length that the whole text has (which may
 * be size or more: then it was cut), as C's snprintf does.
 */
int fmt_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int fmt_snprintf(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);
/* Writes n bytes as "0f 0b ", 3 * n characters, and the final NUL. Returns 3 * n. */
size_t fmt_bytes(char *buf, const uint8_t *bytes, size_t n);
