/* SPDX-License-Identifier: MIT */
/* Load options: cut into words. Words without '=' that are not ours (the program's own name) are passed over. */
#include "boot/options.h"

#include "boot/text.h"
#include "lib/printf.h"
#include "lib/string.h"

#define TEXT_MAX (CONF_CMDLINE_MAX + 512)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Control characters are no text: the firmware's own marks. */
static bool is_text(const uint16_t *units, size_t n)
{
	for (size_t i = 0; i < n && units[i]; i++)
		if ((units[i] < 0x20 && units[i] != '\t') || (units[i] >= 0x7f && units[i] < 0xa0))
			return false;
	return true;
}

static void complain(struct options *o, const char *fmt, const char *word)
{
	if (!o->wrong[0])
		fmt_snprintf(o->wrong, sizeof(o->wrong), fmt, word);
}

/* If word is KEY=VALUE: copies the value. A value in double quotes may hold blanks: see next_word(). */
static bool take(struct options *o, const char *word, const char *key, char *to, size_t size)
{
	if (!str_starts(word, key))
		return false;
	word += strlen(key);
	if (!*word)
		complain(o, "%sFILE: the name of the file is missing", key);
	else if (!str_copy(to, size, word))
		complain(o, "%sFILE: expected at most 127 bytes", key);
	return true;
}

static void take_word(struct options *o, const char *word)
{
	char shown[40];

	if (take(o, word, "conf=", o->conf, sizeof(o->conf)) ||
		take(o, word, "kernel=", o->kernel, sizeof(o->kernel)) ||
		take(o, word, "initrd=", o->initrd, sizeof(o->initrd)))
		return;
	if (!strcmp(word, "report")) {
		o->report = true;
	} else if (!strcmp(word, "nowait")) {
		o->nowait = true;
	} else if (word[0] >= 'a' && word[0] <= 'z') {
		for (const char *p = word; *p; p++) {
			if (*p == '\\' || *p == ':')
				return; /* the program's own path */
			if (*p != '=')
				continue;
			str_copy(shown, sizeof(shown), word);
			complain(o, "%s: expected conf=, kernel=, initrd= or cmdline=", shown);
			return;
		}
	}
}

/* Copies the next word without its quotes; returns what follows. */
static const char *next_word(const char *at, char *word, size_t size)
{
	bool quoted = false;
	size_t n = 0;

	for (; *at && (quoted || !is_blank(*at)); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (n + 1 < size)
			word[n++] = *at;
	}
	word[n] = 0;
	return at;
}

void options_parse(const uint16_t *units, size_t n, struct options *o)
{
	char text[TEXT_MAX], word[CONF_PATH_MAX + 16] = "";
	const char *at = text;

	memset(o, 0, sizeof(*o));
	if (!is_text(units, n))
		return;
	if (!text_from_ucs2(text, sizeof(text), units, n)) {
		complain(o, "the load options are %s", "too long");
		return;
	}
	for (;;) {
		while (is_blank(*at))
			at++;
		if (!*at)
			break;
		if (str_starts(at, "cmdline=")) {
			o->has_cmdline = true;
			if (!str_copy(o->cmdline, sizeof(o->cmdline), at + strlen("cmdline=")))
				complain(o, "cmdline=: expected at most %s bytes", "2047");
			break;
		}
		at = next_word(at, word, sizeof(word));
		take_word(o, word);
	}
	if ((o->has_cmdline || o->initrd[0]) && !o->kernel[0])
		complain(o, "%s: expected kernel=FILE with it", o->has_cmdline ? "cmdline=" : "initrd=");
	if (o->conf[0] && o->kernel[0])
		complain(o, "conf= and kernel=: expected one of them%s", "");
}
