/* SPDX-License-Identifier: MIT */
/*
 * Glyphs. What has a shape of its own is drawn in font.txt; what follows a rule is composed here:
 *
 *	accented letters	a letter of font.txt and a mark above it
 *	box drawing		four arms from the middle of the cell (drivers/console/font_box.c)
 */
#include "drivers/console/font.h"

#include "drivers/console/font_box.h"
#include "lib/bits.h"
#include "lib/string.h"

static const struct drawn {
	uint16_t ch;
	uint8_t rows[FONT_HEIGHT];
} drawn[] = {
#include "font.inc" /* made from font.txt, ascending */
};

static const struct drawn *find_drawn(uint16_t ch)
{
	size_t low = 0, high = ARRAY_SIZE(drawn);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (drawn[mid].ch == ch)
			return &drawn[mid];
		if (drawn[mid].ch < ch)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* U+00C0 to U+00FF: the letter and its mark ('\0': none of these). */
static const char latin[64][2] = {
	"A`",
	"A'",
	"A^",
	"A~",
	"A:",
	"Ao",
	"",
	"C,",
	"E`",
	"E'",
	"E^",
	"E:",
	"I`",
	"I'",
	"I^",
	"I:",
	"D-",
	"N~",
	"O`",
	"O'",
	"O^",
	"O~",
	"O:",
	"",
	"",
	"U`",
	"U'",
	"U^",
	"U:",
	"Y'",
	"",
	"",
	"a`",
	"a'",
	"a^",
	"a~",
	"a:",
	"ao",
	"",
	"c,",
	"e`",
	"e'",
	"e^",
	"e:",
	"i`",
	"i'",
	"i^",
	"i:",
	"",
	"n~",
	"o`",
	"o'",
	"o^",
	"o~",
	"o:",
	"",
	"",
	"u`",
	"u'",
	"u^",
	"u:",
	"y'",
	"",
	"y:",
};

static const struct mark {
	char name;
	uint8_t rows[3]; /* the last one lies directly on the letter's uppermost free row */
} marks[] = {
	{ '`', { 0x30, 0x18, 0x00 } },
	{ '\'', { 0x0c, 0x18, 0x00 } },
	{ '^', { 0x10, 0x28, 0x00 } },
	{ '~', { 0x76, 0xdc, 0x00 } },
	{ ':', { 0x6c, 0x6c, 0x00 } },
	{ 'o', { 0x38, 0x6c, 0x38 } },
};

static bool accented(uint16_t ch, uint8_t rows[FONT_HEIGHT])
{
	const struct drawn *base;
	const char *letter;
	bool small;

	if (ch < 0xc0 || ch > 0xff || !latin[ch - 0xc0][0])
		return false;
	letter = latin[ch - 0xc0];
	small = letter[0] >= 'a';
	base = find_drawn((uint8_t)letter[0]);
	if (!base)
		return false;
	memcpy(rows, base->rows, FONT_HEIGHT);
	if (letter[0] == 'i')
		rows[2] = rows[3] = 0; /* the mark takes the dot's place */
	if (letter[1] == ',') {
		rows[12] = 0x18;
		rows[13] = 0x30;
	}
	if (letter[1] == '-')
		rows[7] |= 0xf0;
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++)
		if (marks[i].name == letter[1])
			/* Two dots stay clear of a capital, which begins on row 2. */
			for (unsigned r = 0; r < (!small && letter[1] == ':' ? 1u : 3u); r++)
				rows[(small ? 2 : 0) + r] |= marks[i].rows[r];
	return true;
}

/* Shown as something similar. Ascending. */
static const struct similar {
	uint16_t first, last;
	uint16_t as;
} similar[] = {
	{ 0x00a0, 0x00a0, ' ' },
	{ 0x00a6, 0x00a6, '|' },
	{ 0x00ad, 0x00ad, '-' },
	{ 0x00ae, 0x00ae, 0x00a9 },
	{ 0x00b4, 0x00b4, '\'' },
	{ 0x00c6, 0x00c6, 0x00e6 },
	{ 0x00d0, 0x00d0, 'D' },
	{ 0x00f0, 0x00f0, 'd' },
	{ 0x03bc, 0x03bc, 0x00b5 },
	{ 0x2000, 0x200a, ' ' },
	{ 0x2010, 0x2012, '-' },
	{ 0x2013, 0x2015, 0x2500 },
	{ 0x2018, 0x201b, '\'' },
	{ 0x201c, 0x201f, '"' },
	{ 0x2020, 0x2021, '+' },
	{ 0x2024, 0x2024, '.' },
	{ 0x2032, 0x2032, '\'' },
	{ 0x2033, 0x2033, '"' },
	{ 0x2039, 0x2039, '<' },
	{ 0x203a, 0x203a, '>' },
	{ 0x2044, 0x2044, '/' },
	{ 0x2212, 0x2212, '-' },
	{ 0x2215, 0x2215, '/' },
	{ 0x2217, 0x2217, '*' },
	{ 0x2219, 0x2219, 0x00b7 },
	{ 0x2223, 0x2223, '|' },
	{ 0x223c, 0x223c, '~' },
	{ 0x22c5, 0x22c5, 0x00b7 },
	{ 0x25aa, 0x25ab, 0x25a0 },
	{ 0x25b3, 0x25b5, 0x25b2 },
	{ 0x25b7, 0x25bb, 0x25b6 },
	{ 0x25bd, 0x25bf, 0x25bc },
	{ 0x25c1, 0x25c5, 0x25c0 },
	{ 0x25c7, 0x25c9, 0x25c6 },
	{ 0x25fc, 0x25fe, 0x25a0 },
	{ 0x2666, 0x2666, 0x25c6 },
	{ 0x2714, 0x2714, 0x2713 },
	{ 0x2715, 0x2716, 0x00d7 },
	{ 0x2718, 0x2718, 0x2717 },
	{ 0x27e8, 0x27e8, '<' },
	{ 0x27e9, 0x27e9, '>' },
};

static uint16_t find_similar(uint16_t ch)
{
	for (size_t i = 0; i < ARRAY_SIZE(similar); i++)
		if (ch >= similar[i].first && ch <= similar[i].last)
			return similar[i].as;
	return ch;
}

bool font_glyph(uint16_t ch, uint8_t rows[FONT_HEIGHT])
{
	const struct drawn *d = find_drawn(ch);
	bool known = true;

	if (!d && (accented(ch, rows) || font_box(ch, rows)))
		return true;
	if (!d) {
		ch = find_similar(ch);
		if (font_box(ch, rows))
			return true;
		d = find_drawn(ch);
	}
	if (!d) {
		known = false;
		d = find_drawn(0xfffd);
	}
	memcpy(rows, d->rows, FONT_HEIGHT);
	return known;
}

/* Unicode Standard Annex 11 and the general categories, as far as a console needs them. Ascending. */
static const struct {
	uint32_t first, last;
	uint8_t cells;
} widths[] = {
	{ 0x0300, 0x036f, 0 },
	{ 0x0483, 0x0489, 0 },
	{ 0x0591, 0x05bd, 0 },
	{ 0x064b, 0x065f, 0 },
	{ 0x1100, 0x115f, 2 },
	{ 0x1ab0, 0x1aff, 0 },
	{ 0x1dc0, 0x1dff, 0 },
	{ 0x200b, 0x200f, 0 },
	{ 0x2028, 0x202e, 0 },
	{ 0x2060, 0x2064, 0 },
	{ 0x20d0, 0x20ff, 0 },
	{ 0x2e80, 0x303e, 2 },
	{ 0x3041, 0xa4cf, 2 },
	{ 0xa960, 0xa97c, 2 },
	{ 0xac00, 0xd7a3, 2 },
	{ 0xf900, 0xfaff, 2 },
	{ 0xfe00, 0xfe0f, 0 },
	{ 0xfe20, 0xfe2f, 0 },
	{ 0xfe30, 0xfe6f, 2 },
	{ 0xfeff, 0xfeff, 0 },
	{ 0xff00, 0xff60, 2 },
	{ 0xffe0, 0xffe6, 2 },
	{ 0x1f300, 0x1f64f, 2 },
	{ 0x1f680, 0x1f6ff, 2 },
	{ 0x1f900, 0x1f9ff, 2 },
	{ 0x20000, 0x3fffd, 2 },
	{ 0xe0100, 0xe01ef, 0 },
};

unsigned font_cells(uint32_t ch)
{
	for (size_t i = 0; ch >= 0x300 && i < ARRAY_SIZE(widths); i++)
		if (ch >= widths[i].first && ch <= widths[i].last)
			return widths[i].cells;
	return 1;
}
