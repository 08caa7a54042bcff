/* SPDX-License-Identifier: MIT */
/* The text screen as ANSI text: only what changed since the last time. */
#include "guest/dev/vvga.h"

#include "lib/printf.h"
#include "lib/string.h"

#define BLANK	 0x0720 /* a space, grey on black */
#define BRIDGE	 8	/* so many unchanged cells are written again rather than jumped over */
#define CELL_MAX (8 + 16 + (BRIDGE + 1) * 17) /* most bytes for one change: place, colours, cells */
#define TAIL_MAX 32			      /* colours off, cursor */
#define CHANGES	 64 /* cells that one call changes at most: it is a bounded piece of work */

/* Characters of code page 437 from 0x80 on, as near as ASCII comes. */
static const char upper[] =
	"CueaaaaceeeiiiAAEaAooouuyOUcLYPfaiounNao?--24!<>###|++++++|+++++++++-++++++++=+++++++++++++#####aBGpSsutFTOd8fen=+><fj:~o..vn2# ";
_Static_assert(sizeof(upper) == 129, "one for each");

static char ascii(uint8_t c)
{
	if (c >= 0x80)
		return upper[c - 0x80];
	if (c == 0)
		return ' ';
	if (c < ' ' || c == 0x7f)
		return c == 0x10		? '>'
		       : c == 0x11		? '<'
		       : c == 0x18 || c == 0x1e ? '^'
		       : c == 0x19 || c == 0x1f ? 'v'
						: '*';
	return (char)c;
}

/* Two blanks look the same if their background does. */
static bool looks_same(uint16_t a, uint16_t b)
{
	if (a == b)
		return true;
	return ascii((uint8_t)a) == ' ' && ascii((uint8_t)b) == ' ' && !((a ^ b) & 0x7000);
}

/* Nearly all of a screen is what it was: rows are compared at once, and within a row four cells. */
#define GROUP 4
_Static_assert(VVGA_COLUMNS % GROUP == 0, "groups fill a row");

typedef uint64_t __attribute__((may_alias, aligned(2))) group;

static inline uint64_t group_at(const uint16_t *cells, unsigned i)
{
	return *(const group *)(cells + i);
}

/* No branch but the loop's, and that unrolled: this goes over the whole screen at each look at it. */
static inline bool rows_equal(const uint16_t *a, const uint16_t *b)
{
	uint64_t differ = 0;

#pragma GCC unroll 20
	for (unsigned i = 0; i < VVGA_COLUMNS; i += GROUP)
		differ |= group_at(a, i) ^ group_at(b, i);
	return !differ;
}

static bool visible(const uint16_t *cells)
{
	for (unsigned g = 0; g < VVGA_CELLS; g += GROUP) {
		if (group_at(cells, g) == BLANK * 0x0001000100010001ull)
			continue;
		for (unsigned i = g; i < g + GROUP; i++)
			if (ascii((uint8_t)cells[i]) != ' ')
				return true;
	}
	return false;
}

struct writer {
	struct vvga_screen *s;
	char *out;
	size_t n, size;
	unsigned at; /* cell at which the console's cursor stands; VVGA_CELLS: not known */
};

static void put(struct writer *w, const char *fmt, ...) __printf_like(2, 3);
static void put(struct writer *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	w->n += (size_t)fmt_vsnprintf(w->out + w->n, w->size - w->n, fmt, ap);
	va_end(ap);
}

static void go_to(struct writer *w, unsigned cell)
{
	put(w, "\033[%u;%uH", cell / VVGA_COLUMNS + 1, cell % VVGA_COLUMNS + 1);
}

static void put_cell(struct writer *w, unsigned i, uint16_t cell)
{
	/* VGA counts colours blue, green, red; ANSI red, green, blue. */
	static const uint8_t ansi[8] = { 0, 4, 2, 6, 1, 5, 3, 7 };
	uint8_t attribute = (uint8_t)(cell >> 8);

	if (!w->s->pen || attribute != w->s->attribute)
		put(w, "\033[0;%s3%u;4%um", attribute & 8 ? "1;" : "", ansi[attribute & 7],
			ansi[attribute >> 4 & 7]);
	w->s->pen = true;
	w->s->attribute = attribute;
	w->out[w->n++] = ascii((uint8_t)cell);
	w->s->cell[i] = cell;
	/* Past the last column terminals differ in where the cursor is. */
	w->at = (i + 1) % VVGA_COLUMNS ? i + 1 : VVGA_CELLS;
}

static void put_change(struct writer *w, const uint16_t *cells, unsigned i)
{
	unsigned from = i;

	if (w->at <= i && i - w->at <= BRIDGE && w->at / VVGA_COLUMNS == i / VVGA_COLUMNS)
		from = w->at;
	else
		go_to(w, i);
	for (; from <= i; from++)
		put_cell(w, from, cells[from]);
}

size_t vvga_screen_update(struct vvga_screen *s, const uint16_t *cells, unsigned cursor, char *out, size_t n)
{
	struct writer w = { .s = s, .out = out, .size = n, .at = VVGA_CELLS };
	unsigned done = 0, changes = 0;

	cursor = min(cursor, (unsigned)VVGA_CELLS);
	if (!s->shown) {
		if (!visible(cells))
			return 0;
		s->shown = true;
		s->cursor = 0;
		for (unsigned i = 0; i < VVGA_CELLS; i++)
			s->cell[i] = BLANK;
		put(&w, "\033[0m\033[2J");
	}
	/* Other output may have come in between. */
	s->pen = false;
	for (; done < VVGA_CELLS; done++) {
		unsigned i = (s->next + done) % VVGA_CELLS;

		if (i % VVGA_COLUMNS == 0 && done + VVGA_COLUMNS <= VVGA_CELLS &&
			rows_equal(cells + i, s->cell + i)) {
			done += VVGA_COLUMNS - 1;
			continue;
		}
		if (i % GROUP == 0 && done + GROUP <= VVGA_CELLS &&
			group_at(cells, i) == group_at(s->cell, i)) {
			done += GROUP - 1;
			continue;
		}
		if (looks_same(cells[i], s->cell[i]))
			continue;
		if (w.size - w.n < CELL_MAX + TAIL_MAX || changes++ == CHANGES) {
			s->next = i;
			break;
		}
		put_change(&w, cells, i);
	}
	if (done == VVGA_CELLS)
		s->next = 0;
	if (s->pen)
		put(&w, "\033[0m");
	if (done == VVGA_CELLS && (w.n || cursor != s->cursor)) {
		if ((cursor == VVGA_CELLS) != (s->cursor == VVGA_CELLS))
			put(&w, "\033[?25%c", cursor == VVGA_CELLS ? 'l' : 'h');
		if (cursor < VVGA_CELLS)
			go_to(&w, cursor);
		s->cursor = cursor;
	}
	return w.n;
}
