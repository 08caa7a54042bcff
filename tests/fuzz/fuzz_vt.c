/* SPDX-License-Identifier: MIT */
/*
 * What a guest prints, on screens of several sizes, painted too: the cursor stays on the screen, the grid in its memory
 * (each on the heap, alone), and a terminal that is reset afterwards is as new.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/console/fbcon.h"
#include "lib/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUDGET 16

static size_t replied;

static void reply(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	ASSERT(n < 32 && text[0] == '\033');
	replied += n;
}

/* However long what the bytes ask for is, a piece of it is bounded. */
static void write_in_pieces(struct fbcon *c, const char *text, size_t n)
{
	while (n || vt_busy(&c->vt)) {
		size_t done = fbcon_write_some(c, text, n, BUDGET);

		ASSERT(c->vt.work <= BUDGET + VT_OVERSHOOT(c->vt.cols, c->vt.rows));
		text += done;
		n -= done;
	}
}

static void one(const uint8_t *data, size_t size, uint32_t width, uint32_t height)
{
	struct framebuffer fb = { .base = hpa(4096),
		.width = width,
		.height = height,
		.stride = width + 3,
		.format = FB_BGRX8888 };
	uint16_t cols, rows;
	uint32_t scale;
	struct fbcon *c = malloc(sizeof(*c));
	void *pixels, *memory;

	ASSERT(fbcon_geometry(width, height, &scale, &cols, &rows));
	fb.size = (uint64_t)fb.stride * fb.height * 4;
	pixels = malloc(fb.size);
	memory = malloc(fbcon_memory(cols, rows));
	ASSERT(!fbcon_init(c, &fb, pixels, memory));
	c->vt.reply = reply;
	for (size_t i = 0; i < size; i += 64) {
		write_in_pieces(c, (const char *)data + i, min(size - i, (size_t)64));
		ASSERT(c->vt.cur.col < cols && c->vt.cur.row < rows && c->vt.top < c->vt.bottom &&
			c->vt.bottom < rows);
		fbcon_flush(c);
		for (unsigned r = 0; r < rows; r++)
			ASSERT(!memcmp(c->shown + (size_t)r * cols, vt_row(&c->vt, r),
				sizeof(struct vt_cell) * cols));
	}
	vt_write(&c->vt, "\030\033c", 3);
	for (unsigned r = 0; r < rows; r++)
		for (unsigned i = 0; i < cols; i++) {
			struct vt_cell cell = vt_row(&c->vt, r)[i];

			ASSERT(cell.ch == ' ' && cell.color == 7 && !cell.attr);
		}
	free(memory);
	free(pixels);
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 4096)
		return 0;
	one(data, size, 161, 67);
	if (size && data[0] % 16 == 0)
		one(data, size, 640, 400);
	return 0;
}
