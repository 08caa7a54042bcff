/* SPDX-License-Identifier: MIT */
/*
 * ASSERT is for what cannot happen. It stays on in release builds. What a guest, a file or the firmware can
 * cause is an error to report, never an assertion.
 */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

/* Ends the hypervisor: prints through panic_hook (hv/ fills it in; hosted builds abort). */
void panic_at(const char *file, int line, const char *fmt, ...) __printf_like(3, 4) __noreturn;
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

extern void (*panic_hook)(const char *file, int line, const char *text); /* may return: then the CPU halts */

#define ASSERT(c)                                                                                            \
	do {                                                                                                 \
		if (unlikely(!(c)))                                                                          \
			panic("assertion failed: %s", #c);                                                   \
	} while (0)
