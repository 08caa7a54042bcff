/* SPDX-License-Identifier: MIT */
/*
 * The log: lines for people, sent to every sink (serial port, screen, memory ring). Each sink is given
 * whole lines under the log lock, with interrupts off or on as the caller had them.
 */
#pragma once

#include "lib/list.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_sink {
	struct list link;
	void (*write)(struct log_sink *sink, const char *text, size_t n);
	/* Returns when all that was written is out; NULL: write() itself waits. */
	void (*flush)(void);
};

void log_add_sink(struct log_sink *sink);
void log_set_level(enum log_level most);
/* Writes "lethe: " and the text and, if the text has none, a newline. Safe on any CPU, in any context but NMI. */
void log_at(enum log_level level, const char *fmt, ...) __printf_like(2, 3);
/* As log_at, whatever the level: for lines that lethe.conf asks for by another key (`trace`). */
void log_always(const char *fmt, ...) __printf_like(1, 2);
/* Returns the level of a whole line of the log by its first words; LOG_INFO for text that is no error and no warning.
 * For sinks that show them differently. `line` need not end with NUL. */
enum log_level log_line_level(const char *line, size_t n);
/* Waits until every sink has put out what it was given: before the machine is switched off or reset. */
void log_flush(void);
/* Raw text to every sink, without prefix or lock: for panic only. */
void log_raw(const char *text, size_t n);
/* The newest n-1 characters of the log, oldest first, NUL-terminated: for reports. Returns the length. */
size_t log_tail(char *buf, size_t n);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
