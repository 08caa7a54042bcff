/* SPDX-License-Identifier: MIT */
/*
 * Box drawing (U+2500-257F) and blocks (U+2580-259F), composed so that they meet at the cells' edges.
 *
 * A box character has four arms from the middle of the cell; each is absent, light, heavy or double:
 *
 *	columns	0 1 2 3 4 5 6 7		rows	0 ... 6 7 8 9 ... 15
 *	light	      x x		light	        x
 *	heavy	    x x x x		heavy	      x x
 *	double	    x     x		double	      x   x
 */
#include "drivers/console/font_box.h"

#include "lib/bits.h"
#include "lib/string.h"

enum { NONE, LIGHT, HEAVY, DOUBLE };

/* Two bits an arm: left, right, up, down. */
#define A(l, r, u, d) ((l) << 6 | (r) << 4 | (u) << 2 | (d))
#define ARM_L(a)      ((a) >> 6 & 3)
#define ARM_R(a)      ((a) >> 4 & 3)
#define ARM_U(a)      ((a) >> 2 & 3)
#define ARM_D(a)      ((a)&3)

static const uint8_t arms[128] = {
	/* 2500: lines, whole and dashed */
	A(1, 1, 0, 0),
	A(2, 2, 0, 0),
	A(0, 0, 1, 1),
	A(0, 0, 2, 2),
	A(1, 1, 0, 0),
	A(2, 2, 0, 0),
	A(0, 0, 1, 1),
	A(0, 0, 2, 2),
	A(1, 1, 0, 0),
	A(2, 2, 0, 0),
	A(0, 0, 1, 1),
	A(0, 0, 2, 2),
	/* 250C: corners */
	A(0, 1, 0, 1),
	A(0, 2, 0, 1),
	A(0, 1, 0, 2),
	A(0, 2, 0, 2),
	A(1, 0, 0, 1),
	A(2, 0, 0, 1),
	A(1, 0, 0, 2),
	A(2, 0, 0, 2),
	A(0, 1, 1, 0),
	A(0, 2, 1, 0),
	A(0, 1, 2, 0),
	A(0, 2, 2, 0),
	A(1, 0, 1, 0),
	A(2, 0, 1, 0),
	A(1, 0, 2, 0),
	A(2, 0, 2, 0),
	/* 251C: tees to the right, to the left */
	A(0, 1, 1, 1),
	A(0, 2, 1, 1),
	A(0, 1, 2, 1),
	A(0, 1, 1, 2),
	A(0, 1, 2, 2),
	A(0, 2, 2, 1),
	A(0, 2, 1, 2),
	A(0, 2, 2, 2),
	A(1, 0, 1, 1),
	A(2, 0, 1, 1),
	A(1, 0, 2, 1),
	A(1, 0, 1, 2),
	A(1, 0, 2, 2),
	A(2, 0, 2, 1),
	A(2, 0, 1, 2),
	A(2, 0, 2, 2),
	/* 252C: tees down, up */
	A(1, 1, 0, 1),
	A(2, 1, 0, 1),
	A(1, 2, 0, 1),
	A(2, 2, 0, 1),
	A(1, 1, 0, 2),
	A(2, 1, 0, 2),
	A(1, 2, 0, 2),
	A(2, 2, 0, 2),
	A(1, 1, 1, 0),
	A(2, 1, 1, 0),
	A(1, 2, 1, 0),
	A(2, 2, 1, 0),
	A(1, 1, 2, 0),
	A(2, 1, 2, 0),
	A(1, 2, 2, 0),
	A(2, 2, 2, 0),
	/* 253C: crosses */
	A(1, 1, 1, 1),
	A(2, 1, 1, 1),
	A(1, 2, 1, 1),
	A(2, 2, 1, 1),
	A(1, 1, 2, 1),
	A(1, 1, 1, 2),
	A(1, 1, 2, 2),
	A(2, 1, 2, 1),
	A(1, 2, 2, 1),
	A(2, 1, 1, 2),
	A(1, 2, 1, 2),
	A(2, 2, 2, 1),
	A(2, 2, 1, 2),
	A(2, 1, 2, 2),
	A(1, 2, 2, 2),
	A(2, 2, 2, 2),
	/* 254C: more dashes */
	A(1, 1, 0, 0),
	A(2, 2, 0, 0),
	A(0, 0, 1, 1),
	A(0, 0, 2, 2),
	/* 2550: double lines, alone and with light ones */
	A(3, 3, 0, 0),
	A(0, 0, 3, 3),
	A(0, 3, 0, 1),
	A(0, 1, 0, 3),
	A(0, 3, 0, 3),
	A(3, 0, 0, 1),
	A(1, 0, 0, 3),
	A(3, 0, 0, 3),
	A(0, 3, 1, 0),
	A(0, 1, 3, 0),
	A(0, 3, 3, 0),
	A(3, 0, 1, 0),
	A(1, 0, 3, 0),
	A(3, 0, 3, 0),
	A(0, 3, 1, 1),
	A(0, 1, 3, 3),
	A(0, 3, 3, 3),
	A(3, 0, 1, 1),
	A(1, 0, 3, 3),
	A(3, 0, 3, 3),
	A(3, 3, 0, 1),
	A(1, 1, 0, 3),
	A(3, 3, 0, 3),
	A(3, 3, 1, 0),
	A(1, 1, 3, 0),
	A(3, 3, 3, 0),
	A(3, 3, 1, 1),
	A(1, 1, 3, 3),
	A(3, 3, 3, 3),
	/* 256D: rounded corners; diagonals (drawn apart) */
	A(0, 1, 0, 1),
	A(1, 0, 0, 1),
	A(1, 0, 1, 0),
	A(0, 1, 1, 0),
	0,
	0,
	0,
	/* 2574: half lines */
	A(1, 0, 0, 0),
	A(0, 0, 1, 0),
	A(0, 1, 0, 0),
	A(0, 0, 0, 1),
	A(2, 0, 0, 0),
	A(0, 0, 2, 0),
	A(0, 2, 0, 0),
	A(0, 0, 0, 2),
	A(1, 2, 0, 0),
	A(0, 0, 1, 2),
	A(2, 1, 0, 0),
	A(0, 0, 2, 1),
};

static void fill(uint8_t rows[FONT_HEIGHT], unsigned top, unsigned bottom, uint8_t bits)
{
	for (unsigned r = top; r <= bottom; r++)
		rows[r] |= bits;
}

static void box(uint8_t a, uint8_t rows[FONT_HEIGHT])
{
	static const uint8_t stem[] = { 0x00, 0x18, 0x3c, 0x24 }; /* columns of a vertical arm, by weight */
	static const uint8_t bar_top[] = { 7, 7, 7, 6 }, bar_bottom[] = { 7, 7, 8, 8 };
	unsigned vertical = max(ARM_U(a), ARM_D(a)), horizontal = max(ARM_L(a), ARM_R(a));
	uint8_t left = 0xf0, right = 0x0f;
	unsigned up_to = bar_bottom[horizontal], down_from = bar_top[horizontal];

	/* Between the lines of a double one stays a channel, into which crossing lines do not reach. */
	if (vertical == DOUBLE) {
		left = ARM_U(a) && ARM_D(a) ? 0xe0 : 0xfc;
		right = ARM_U(a) && ARM_D(a) ? 0x07 : 0x3f;
	} else if (vertical) {
		left |= stem[vertical];
		right |= stem[vertical];
	}
	if (ARM_U(a) != DOUBLE || horizontal != DOUBLE)
		fill(rows, 0, ARM_U(a) ? up_to : 0, stem[ARM_U(a)]);
	if (ARM_D(a) != DOUBLE || horizontal != DOUBLE)
		fill(rows, ARM_D(a) ? down_from : 0, 15, stem[ARM_D(a)]);
	for (unsigned side = 0; side < 2; side++) {
		unsigned weight = side ? ARM_R(a) : ARM_L(a);
		uint8_t bits = side ? right : left;

		if (weight == DOUBLE && vertical == DOUBLE)
			continue;
		if (weight == DOUBLE) {
			fill(rows, 6, 6, bits);
			fill(rows, 8, 8, bits);
		} else if (weight) {
			fill(rows, bar_top[weight], bar_bottom[weight], bits);
		}
	}
	if (vertical != DOUBLE || horizontal != DOUBLE)
		return;

	/* Double with double: two lines that bend around the four quarters of the cell. */
	fill(rows, 0, ARM_U(a) ? 5 : 0, ARM_U(a) ? 0x24 : 0);
	fill(rows, ARM_D(a) ? 9 : 15, 15, ARM_D(a) ? 0x24 : 0);
	fill(rows, 6, 6, (uint8_t)((ARM_L(a) ? 0xe0 : 0x20) | (ARM_R(a) ? 0x07 : 0x04)));
	fill(rows, 8, 8, (uint8_t)((ARM_L(a) ? 0xe0 : 0x20) | (ARM_R(a) ? 0x07 : 0x04)));
	if (!ARM_L(a))
		fill(rows, 6, 8, 0x20);
	if (!ARM_R(a))
		fill(rows, 6, 8, 0x04);
	if (!ARM_U(a))
		fill(rows, 6, 6, 0x3c);
	if (!ARM_D(a))
		fill(rows, 8, 8, 0x3c);
}

static void rounded(uint8_t a, uint8_t rows[FONT_HEIGHT])
{
	box(a, rows);
	/* The corner pixel goes: light stems are two wide, so one of them is outside the bend. */
	rows[7] &= ARM_R(a) ? 0x0f : 0xf0;
}

static void diagonals(bool rising, bool falling, uint8_t rows[FONT_HEIGHT])
{
	for (unsigned r = 0; r < FONT_HEIGHT; r++)
		rows[r] = (uint8_t)((falling ? 0x80 >> r / 2 : 0) | (rising ? 0x01 << r / 2 : 0));
}

/* U+2580-259F */
static void block(unsigned n, uint8_t rows[FONT_HEIGHT])
{
	static const uint8_t quadrants[] = { 0x4, 0x8, 0x1, 0xd, 0x9, 0x7, 0xb, 0x2, 0x6,
		0xe }; /* from 2596: 1 upper left, 2 right, 4 lower left, 8 right */
	static const uint8_t shade[3][2] = { { 0x88, 0x22 }, { 0xaa, 0x55 }, { 0xdd, 0x77 } };

	if (n == 0) { /* upper half */
		fill(rows, 0, 7, 0xff);
	} else if (n <= 8) { /* lower n eighths */
		fill(rows, 16 - 2 * n, 15, 0xff);
	} else if (n <= 0xf) { /* left 7 to 1 eighths */
		fill(rows, 0, 15, (uint8_t)(0xff << (n - 8)));
	} else if (n == 0x10) { /* right half */
		fill(rows, 0, 15, 0x0f);
	} else if (n <= 0x13) {
		for (unsigned r = 0; r < FONT_HEIGHT; r++)
			rows[r] = shade[n - 0x11][r & 1];
	} else if (n == 0x14) { /* upper eighth */
		fill(rows, 0, 1, 0xff);
	} else if (n == 0x15) { /* right eighth */
		fill(rows, 0, 15, 0x01);
	} else {
		uint8_t q = quadrants[n - 0x16];

		fill(rows, 0, 7, (uint8_t)((q & 1 ? 0xf0 : 0) | (q & 2 ? 0x0f : 0)));
		fill(rows, 8, 15, (uint8_t)((q & 4 ? 0xf0 : 0) | (q & 8 ? 0x0f : 0)));
	}
}

bool font_box(uint16_t ch, uint8_t rows[FONT_HEIGHT])
{
	static const uint8_t scan_line[] = { 1, 4, 10, 13 };

	if (ch >= 0x23ba && ch <= 0x23bd) {
		memset(rows, 0, FONT_HEIGHT);
		rows[scan_line[ch - 0x23ba]] = 0xff;
		return true;
	}
	if (ch < 0x2500 || ch > 0x259f)
		return false;
	memset(rows, 0, FONT_HEIGHT);
	if (ch >= 0x2580)
		block(ch - 0x2580u, rows);
	else if (ch >= 0x2571 && ch <= 0x2573)
		diagonals(ch != 0x2572, ch != 0x2571, rows);
	else if (ch >= 0x256d && ch <= 0x2570)
		rounded(arms[ch - 0x2500], rows);
	else
		box(arms[ch - 0x2500], rows);
	return true;
}
