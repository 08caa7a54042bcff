/* SPDX-License-Identifier: MIT */
/*
 * The report: lines about what prevents Lethe, or a VM, from starting. They are collected so that all are shown at
 * once.
 */
#pragma once

#include "lib/types.h"

#define REPORT_LINES	 48
#define REPORT_LINE_SIZE 320

enum report_kind {
	REPORT_MACHINE,	 /* the machine cannot run Lethe */
	REPORT_CONFIG,	 /* nothing can be started with this configuration and these files */
	REPORT_LEFT_OUT, /* a VM that cannot be started, while others can */
	REPORT_NOTE,	 /* worth knowing; Lethe starts all the same */
	REPORT_KINDS
};

struct report {
	unsigned n[REPORT_KINDS]; /* how many there were; those that found no room are counted only */
	unsigned kept;
	struct {
		enum report_kind kind;
		char text[REPORT_LINE_SIZE];
	} line[REPORT_LINES];
};

void report_add(struct report *r, enum report_kind kind, const char *fmt, ...) __printf_like(3, 4);
/* The lines that the screen and lethe-report.txt show: headings, "  - " lines. */
void report_show(const struct report *r, void (*line)(void *to, const char *text), void *to);

static inline bool report_blocks(const struct report *r)
{
	return r->n[REPORT_MACHINE] || r->n[REPORT_CONFIG];
}
