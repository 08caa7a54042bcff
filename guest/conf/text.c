/* SPDX-License-Identifier: MIT */
/* The text of lethe.conf: what is UTF-8 (RFC 3629), and messages that stay UTF-8 however long the file's words are. */
#include "guest/conf/parser.h"

#include "lib/printf.h"
#include "lib/string.h"
#include "lib/utf8.h"

/* Ends the text before a sequence that was cut. */
static void drop_cut_sequence(char *text)
{
	size_t n = strlen(text), len = 0;
	uint32_t character;

	for (size_t i = 0; i < n; i += len) {
		len = utf8_decode(text + i, n - i, &character);
		if (!len) {
			text[i] = 0;
			return;
		}
	}
}

void conf_shorten(char *to, size_t size, const char *text, size_t n)
{
	if (n < size) {
		memcpy(to, text, n);
		to[n] = 0;
		return;
	}
	memcpy(to, text, size - 4);
	to[size - 4] = 0;
	drop_cut_sequence(to);
	memcpy(to + strlen(to), "...", 4);
}

void conf_error(struct conf_parser *p, const char *fmt, ...)
{
	struct conf_errors *e = p->errors;

	if (e->n < CONF_ERRORS_MAX) {
		char *text = e->text[e->n];
		size_t size = sizeof(e->text[0]);
		size_t n = (size_t)fmt_snprintf(text, size, "%s:%u: ", p->source, p->line);
		va_list ap;

		va_start(ap, fmt);
		if (n < size)
			fmt_vsnprintf(text + n, size - n, fmt, ap);
		va_end(ap);
		drop_cut_sequence(text);
	}
	e->n++;
}
