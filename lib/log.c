/* SPDX-License-Identifier: MIT */
/* The log: one lock, a list of sinks, and a ring of the last characters. */
#include "lib/log.h"

#include "lib/printf.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define RING_SIZE 8192 /* a power of two */

static struct list sinks = LIST_INIT(sinks);
static struct spinlock lock = SPINLOCK_INIT;
static enum log_level level = LOG_INFO;
static char ring[RING_SIZE];
static size_t ring_end; /* characters ever written */

void log_add_sink(struct log_sink *sink)
{
	spin_lock(&lock);
	list_add_tail(&sinks, &sink->link);
	spin_unlock(&lock);
}

void log_set_level(enum log_level most)
{
	level = most;
}

void log_raw(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ring[ring_end++ % RING_SIZE] = text[i];
	list_for_each (sink, &sinks, struct log_sink, link)
		sink->write(sink, text, n);
}

void log_vat(enum log_level at, const char *fmt, va_list ap)
{
	static const char *const mark[] = { "error: ", "warning: ", "", "" };
	char line[512];
	size_t n;

	if (at > level)
		return;
	n = (size_t)fmt_snprintf(line, sizeof(line), "lethe: %s", mark[at]);
	n += (size_t)fmt_vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	spin_lock(&lock);
	log_raw(line, n);
	spin_unlock(&lock);
}

void log_at(enum log_level at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vat(at, fmt, ap);
	va_end(ap);
}

size_t log_tail(char *buf, size_t n)
{
	size_t have = min(ring_end, (size_t)RING_SIZE), take;

	if (!n)
		return 0;
	take = min(have, n - 1);
	for (size_t i = 0; i < take; i++)
		buf[i] = ring[(ring_end - take + i) % RING_SIZE];
	buf[take] = 0;
	return take;
}
