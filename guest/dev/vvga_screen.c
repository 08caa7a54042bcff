/* SPDX-License-Identifier: MIT */
/* The text screen as ANSI text: only what changed since the last time. */
#include "guest/dev/vvga.h"

#include "lib/string.h"

#define BLANK	 0x0720 /* a space, grey on black */
#define BRIDGE	 8	/* so many unchanged cells are written again rather than jumped over */
#define CELL_MAX (8 + 16 + (BRIDGE + 1) * 17) /* most bytes for one change: place, colours, cells */
#define TAIL_MAX 32			      /* colours off, cursor */
/* One call is a bounded piece of work: cells that it changes at most, and that it looks at one by one. */
#define CHANGES	 24
#define LOOKS	 48

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

#define FOUR_BLANKS (BLANK * 0x0001000100010001ull)
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

struct writer {
	struct vvga_screen *s;
	char *next, *end; /* of the text */
	unsigned at;	  /* cell at which the console's cursor stands; VVGA_CELLS: not known */
};

/* A refresh is a bounded piece of work in root mode: its text is put together without a formatter. There is room. */
static void put(struct writer *w, const char *text)
{
	while (*text)
		*w->next++ = *text++;
}

static void put_char(struct writer *w, char c)
{
	*w->next++ = c;
}

/* n: below 100. */
static void put_number(struct writer *w, unsigned n)
{
	if (n >= 10)
		put_char(w, (char)('0' + n / 10));
	put_char(w, (char)('0' + n % 10));
}

static void go_to(struct writer *w, unsigned cell)
{
	put(w, "\033[");
	put_number(w, cell / VVGA_COLUMNS + 1);
	put_char(w, ';');
	put_number(w, cell % VVGA_COLUMNS + 1);
	put_char(w, 'H');
}

static void select_colours(struct writer *w, uint8_t attribute)
{
	/* VGA counts colours blue, green, red; ANSI red, green, blue. */
	static const char ansi[] = "04261537";

	put(w, attribute & 8 ? "\033[0;1;3" : "\033[0;3");
	put_char(w, ansi[attribute & 7]);
	put(w, ";4");
	put_char(w, ansi[attribute >> 4 & 7]);
	put_char(w, 'm');
	w->s->pen = true;
	w->s->attribute = attribute;
}

static void put_cell(struct writer *w, unsigned i, uint16_t cell)
{
	uint8_t attribute = (uint8_t)(cell >> 8);

	if (!w->s->pen || attribute != w->s->attribute)
		select_colours(w, attribute);
	put_char(w, ascii((uint8_t)cell));
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

void vvga_screen_clear(struct vvga_screen *s)
{
	for (unsigned i = 0; i < VVGA_CELLS; i += GROUP)
		*(group *)(s->cell + i) = FOUR_BLANKS;
}

/* The first visible character: the console's screen is ours from here on. */
static void show(struct writer *w)
{
	w->s->shown = true;
	w->s->cursor = 0;
	vvga_screen_clear(w->s);
	put(w, "\033[0m\033[2J");
}

/* Cells from i on, at most n, that lie in rows and groups which are as they were. */
static unsigned same_cells(const struct vvga_screen *s, const uint16_t *cells, unsigned i, unsigned n)
{
	unsigned at = i, end = i + n;

	while (at % GROUP == 0 && at + GROUP <= end) {
		if (at % VVGA_COLUMNS == 0 && at + VVGA_COLUMNS <= end &&
			rows_equal(cells + at, s->cell + at))
			at += VVGA_COLUMNS;
		else if (group_at(cells, at) == group_at(s->cell, at))
			at += GROUP;
		else
			break;
	}
	return at - i;
}

/* Goes over the cells from s->next on, once round. True: all are shown as they are; false: the rest is for the next call, and
 * s->next says where it begins. */
static bool update(struct writer *w, const uint16_t *cells)
{
	struct vvga_screen *s = w->s;
	unsigned i = s->next, left = VVGA_CELLS, looks = 0, changed = 0;

	while (left) {
		unsigned same = same_cells(s, cells, i, min(left, VVGA_CELLS - i));

		i += same;
		left -= same;
		if (i < VVGA_CELLS && left) {
			s->next = i;
			if (looks++ == LOOKS)
				return false;
			if (!s->shown && ascii((uint8_t)cells[i]) != ' ') {
				show(w);
				s->next = 0;
				return false;
			}
			if (s->shown && !looks_same(cells[i], s->cell[i])) {
				if (w->end - w->next < CELL_MAX + TAIL_MAX || changed++ == CHANGES)
					return false;
				put_change(w, cells, i);
			} else {
				s->cell[i] = cells[i]; /* so that the next call need not look at it */
			}
			i++;
			left--;
		}
		if (i == VVGA_CELLS)
			i = 0;
	}
	s->next = 0;
	return true;
}

size_t vvga_screen_update(struct vvga_screen *s, const uint16_t *cells, unsigned cursor, char *out, size_t n)
{
	struct writer w = { .s = s, .next = out, .end = out + n, .at = VVGA_CELLS };
	bool done;

	cursor = min(cursor, (unsigned)VVGA_CELLS);
	/* Other output may have come in between. */
	s->pen = false;
	done = update(&w, cells);
	s->more = !done;
	if (s->pen)
		put(&w, "\033[0m");
	s->moved |= w.next != out;
	if (done && s->shown && (s->moved || cursor != s->cursor)) {
		if ((cursor == VVGA_CELLS) != (s->cursor == VVGA_CELLS))
			put(&w, cursor == VVGA_CELLS ? "\033[?25l" : "\033[?25h");
		if (cursor < VVGA_CELLS)
			go_to(&w, cursor);
		s->cursor = cursor;
		s->moved = false;
	}
	return (size_t)(w.next - out);
}
