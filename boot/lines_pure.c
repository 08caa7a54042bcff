/* SPDX-License-Identifier: MIT */
#include "boot/lines.h"

#include "lib/printf.h"

void lines_put(const struct lines *o, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->line(o->to, text);
}
