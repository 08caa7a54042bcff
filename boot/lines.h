/* SPDX-License-Identifier: MIT */
/* Text that is written line by line to the screen, to lethe-report.txt, or to a test. */
#pragma once

#include "lib/types.h"

struct lines {
	void (*line)(void *to, const char *text);
	void *to;
};

/* One line, formatted; what is longer than 255 bytes is cut. */
void lines_put(const struct lines *o, const char *fmt, ...) __printf_like(2, 3);
