/* SPDX-License-Identifier: MIT */
#include "hv/vm/background_pure.h"

#include "lib/string.h"

#define DEL	 0x7f
#define TAB	 8
/* What one call does before it stops: bytes of plain text, or others, which take longer. */
#define WORK	 256
#define WORK_ODD 8

struct out {
	struct background *b;
	background_emit *emit;
	void *ctx;
	bool emitted;
};

static void end_line(struct out *o)
{
	o->emitted = true;
	o->emit(o->ctx, o->b->line, o->b->used);
	o->b->used = 0;
}

/* Adds a piece that must not be torn. */
static void show(struct out *o, const char *text, unsigned n, unsigned columns)
{
	struct background *b = o->b;

	if (b->used + n > sizeof(b->line))
		end_line(o);
	memcpy(b->line + b->used, text, n);
	b->used += n;
	b->column += columns;
}

static void show_control(struct out *o, uint8_t c)
{
	show(o, (const char[]){ '^', (char)(c ^ 0x40) }, 2, 2);
}

static void show_bytes(struct out *o, const uint8_t *bytes, unsigned n)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < n; i++)
		show(o, (const char[]){ '\\', 'x', digits[bytes[i] >> 4], digits[bytes[i] & 15] }, 4, 4);
}

/* Bytes of the character that this byte begins; 0: it begins none (RFC 3629). */
static uint8_t utf8_length(uint8_t c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

/* May a whole character be shown? `n`: its bytes, 2 to 4. */
static bool utf8_is_text(const uint8_t *s, unsigned n)
{
	static const uint32_t least[] = { [2] = 0x80, [3] = 0x800, [4] = 0x10000 };
	uint32_t ch = s[0] & (0x7fu >> n);

	for (unsigned i = 1; i < n; i++)
		ch = ch << 6 | (s[i] & 0x3f);
	if (ch < least[n] || ch > 0x10ffff || (ch >= 0xd800 && ch <= 0xdfff))
		return false;
	return ch >= 0xa0 && !(ch >= 0x2028 && ch <= 0x202e) && !(ch >= 0x2066 && ch <= 0x2069);
}

/* A begun character that does not go on. */
static void cut_utf8(struct out *o)
{
	show_bytes(o, o->b->part, o->b->have);
	o->b->have = o->b->want = 0;
}

static void feed_utf8(struct out *o, uint8_t c)
{
	struct background *b = o->b;

	if (b->want && (c & 0xc0) == 0x80) {
		b->part[b->have++] = c;
		if (b->have < b->want)
			return;
		if (utf8_is_text(b->part, b->want)) {
			show(o, (const char *)b->part, b->want, 1);
			b->have = b->want = 0;
		} else {
			cut_utf8(o);
		}
		return;
	}
	cut_utf8(o);
	b->want = utf8_length(c);
	if (b->want)
		b->part[b->have++] = c;
	else
		show_bytes(o, &c, 1);
}

static void feed_ascii(struct out *o, uint8_t c)
{
	struct background *b = o->b;

	if (c == '\n') {
		end_line(o);
		b->column = 0;
	} else if (c == '\t') {
		do
			show(o, " ", 1, 1);
		while (b->column % TAB);
	} else if (c < 0x20 || c == DEL) {
		show_control(o, c);
	} else {
		show(o, (const char *)&c, 1, 1);
	}
}

static void feed(struct out *o, uint8_t c)
{
	struct background *b = o->b;

	if (c < 0x80)
		cut_utf8(o);
	if (c == '\r') {
		b->cr = true;
		return;
	}
	if (b->cr && c != '\n' && b->column)
		show_control(o, '\r');
	b->cr = false;
	if (c < 0x80)
		feed_ascii(o, c);
	else
		feed_utf8(o, c);
}

/* Bytes of printable ASCII that text begins with and that fit into the line. */
static size_t plain_run(const struct background *b, const char *text, size_t n)
{
	size_t i = 0;

	n = min(n, sizeof(b->line) - b->used);
	while (i < n && text[i] >= 0x20 && text[i] < DEL)
		i++;
	return i;
}

size_t background_feed(struct background *b, const char *text, size_t n, background_emit *emit, void *ctx)
{
	struct out o = { b, emit, ctx, false };
	size_t at = 0;

	for (unsigned work = 0; at < n && work < WORK && !o.emitted;) {
		size_t run = b->cr || b->want ? 0 : plain_run(b, text + at, n - at);

		if (run) {
			show(&o, text + at, (unsigned)run, (unsigned)run);
			work += (unsigned)run;
		} else {
			feed(&o, (uint8_t)text[at]);
			run = 1;
			work += WORK_ODD;
		}
		at += run;
	}
	return at;
}

void background_end(struct background *b, background_emit *emit, void *ctx)
{
	struct out o = { b, emit, ctx, false };

	cut_utf8(&o);
	if (b->used)
		end_line(&o);
	b->column = 0;
	b->cr = false;
}
