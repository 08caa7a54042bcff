/* SPDX-License-Identifier: MIT */
/* The report: its lines are kept in the order in which they are added, and shown by kind. */
#include "boot/report.h"

#include "lib/printf.h"
#include "lib/string.h"

/* All blockers stand under one heading, so that people can mend all of them before they try again. */
static const char *const headings[REPORT_KINDS] = {
	[REPORT_MACHINE] = "Lethe cannot start on this machine:",
	[REPORT_CONFIG] = "Lethe cannot start on this machine:",
	[REPORT_LEFT_OUT] = "Left out:",
	[REPORT_NOTE] = "Worth knowing:",
};

void report_add(struct report *r, enum report_kind kind, const char *fmt, ...)
{
	va_list ap;

	r->n[kind]++;
	if (r->kept == REPORT_LINES)
		return;
	r->line[r->kept].kind = kind;
	va_start(ap, fmt);
	fmt_vsnprintf(r->line[r->kept].text, REPORT_LINE_SIZE, fmt, ap);
	va_end(ap);
	r->kept++;
}

void report_show(const struct report *r, void (*line)(void *to, const char *text), void *to)
{
	const char *heading = NULL;

	for (int kind = 0; kind < REPORT_KINDS; kind++) {
		unsigned shown = 0;
		char text[REPORT_LINE_SIZE + 8];

		if (!r->n[kind])
			continue;
		if (heading && strcmp(heading, headings[kind]) != 0)
			line(to, "");
		if (!heading || strcmp(heading, headings[kind]) != 0)
			line(to, headings[kind]);
		heading = headings[kind];
		for (unsigned i = 0; i < r->kept; i++) {
			if ((int)r->line[i].kind != kind)
				continue;
			fmt_snprintf(text, sizeof(text), "  - %s", r->line[i].text);
			line(to, text);
			shown++;
		}
		if (shown < r->n[kind]) {
			fmt_snprintf(text, sizeof(text), "  - and %u more", r->n[kind] - shown);
			line(to, text);
		}
	}
}
