/* SPDX-License-Identifier: MIT */
/* Formats the message of a failed assertion and calls the panic hook. */
#include "lib/assert.h"

#include "lib/printf.h"

void (*panic_hook)(const char *file, int line, const char *text);

void panic_at(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (panic_hook)
		panic_hook(file, line, text);
	__builtin_trap();
}
