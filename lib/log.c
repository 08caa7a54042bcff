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
	for (size_t done = 0, some; done < n; done += some) {
		some = min(n - done, RING_SIZE - ring_end % RING_SIZE);
		memcpy(ring + ring_end % RING_SIZE, text + done, some);
		ring_end += some;
	}
	list_for_each (sink, &sinks, struct log_sink, link)
		sink->write(sink, text, n);
}

void log_flush(void)
{
	list_for_each (sink, &sinks, struct log_sink, link)
		if (sink->flush)
			sink->flush();
}

/* What a line begins with; LOG_INFO and LOG_DEBUG look alike. */
static const char *const begin[] = { [LOG_ERROR] = "lethe: error: ",
	[LOG_WARN] = "lethe: warning: ",
	[LOG_INFO] = "lethe: ",
	[LOG_DEBUG] = "lethe: " };

enum log_level log_line_level(const char *line, size_t n)
{
	for (enum log_level at = LOG_ERROR; at < LOG_INFO; at++)
		if (n >= strlen(begin[at]) && !strncmp(line, begin[at], strlen(begin[at])))
			return at;
	return LOG_INFO;
}

static void put_line(enum log_level at, const char *fmt, va_list ap)
{
	char line[512];
	size_t n = (size_t)fmt_snprintf(line, sizeof(line), "%s", begin[at]);

	n += (size_t)fmt_vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	spin_lock(&lock);
	log_raw(line, n);
	spin_unlock(&lock);
}

void log_always(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line(LOG_INFO, fmt, ap);
	va_end(ap);
}

void log_at(enum log_level at, const char *fmt, ...)
{
	va_list ap;

	if (at > level)
		return;
	va_start(ap, fmt);
	put_line(at, fmt, ap);
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
