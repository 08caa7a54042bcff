/* SPDX-License-Identifier: MIT */
/* The firmware's text console (UEFI 12.4): what people see until Lethe has the machine. */
#pragma once

#include "lib/types.h"

/* A line of UTF-8 text, broken between words where the screen ends. */
void say(const char *fmt, ...) __printf_like(1, 2);
/* The same in the form that report_show() and preflight_describe() take; to is not used. */
void screen_line(void *to, const char *text);
void screen_clear(void);
/* Shows "  NAME  SIZE  PERCENT" on one line, which it rewrites until done is total. before: what was done when it was
 * last called, 0 at first. */
void screen_progress(const char *name, uint64_t before, uint64_t done, uint64_t total);
/* Ends a progress line that will not reach its end. */
void screen_progress_end(void);
/* Waits for a key, at most so many seconds, which it counts down. */
void screen_wait(unsigned seconds);
