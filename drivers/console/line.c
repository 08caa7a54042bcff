/* SPDX-License-Identifier: MIT */
#include "drivers/console/line.h"

/* Control sequences as far as their length matters (ECMA-48 5.4, 5.6, 8.3.89). */
enum { TEXT, ESCAPE, CONTROL, STRING, STRING_ESCAPE };

#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a
#define ESC 0x1b

/* The state behind a byte of a sequence. */
static uint8_t sequence(uint8_t state, uint8_t c)
{
	switch (state) {
	case ESCAPE:
		if (c == '[')
			return CONTROL;
		if (c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X')
			return STRING;
		return c >= 0x20 && c < 0x30 ? ESCAPE : TEXT;
	case CONTROL:
		return c >= 0x40 && c < 0x7f ? TEXT : CONTROL;
	case STRING:
		return c == BEL ? TEXT : STRING;
	default:
		return c == '\\' ? TEXT : STRING;
	}
}

void console_line_feed(struct console_line *l, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == ESC)
			l->state = l->state == STRING ? STRING_ESCAPE : ESCAPE;
		else if (c == CAN || c == SUB)
			l->state = TEXT;
		else if (c == '\n')
			l->begun = false;
		else if (l->state != TEXT)
			l->state = sequence(l->state, c);
		else if (c >= 0x20 || c == '\t')
			l->begun = true;
	}
}

const char *console_line_end(struct console_line *l)
{
	static const char *const ends[2][2] = { { "", "\r\n" }, { "\030", "\030\r\n" } };
	const char *end = ends[l->state != TEXT][l->begun];

	*l = (struct console_line){ 0 };
	return end;
}
