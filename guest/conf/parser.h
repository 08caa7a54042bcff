/* SPDX-License-Identifier: MIT */
/* Between conf.c (lines, sections, what a VM must have), keys.c (what each key takes) and text.c. */
#pragma once

#include "guest/conf/conf.h"

#define CONF_MEMORY_MIN (2 * MiB)
#define CONF_MEMORY_MAX (64 * 1024 * GiB) /* more than any machine has: no sum of 16 such can overflow */

struct conf_parser {
	const char *source;
	unsigned line;
	struct conf *out;
	struct conf_errors *errors;
	struct conf_vm *vm; /* the section's; NULL in [hypervisor] */
	uint32_t seen;	    /* bit per row of the section's table of keys */
	char shown[64];	    /* the line's value, shortened for messages */
};

/* Adds "SOURCE:LINE: text" to the errors. */
void conf_error(struct conf_parser *p, const char *fmt, ...) __printf_like(2, 3);
/* Copies n bytes of text to `to` for a message, cut (with "...") at a whole UTF-8 character. */
void conf_shorten(char *to, size_t size, const char *text, size_t n);

/* Carries out `key = value` in the current section. value: trimmed, of less than CONF_CMDLINE_MAX bytes. */
void conf_key(struct conf_parser *p, const char *key, const char *value);
/* True if this key of a [vm] section was given in the current one. */
bool conf_vm_seen(const struct conf_parser *p, const char *key);
