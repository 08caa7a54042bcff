/* SPDX-License-Identifier: MIT */
#include "drivers/console/draw.h"

#include "lib/atomic.h"
#include "lib/string.h"

bool draw_waits(const struct console_draw *d)
{
	return d->head != d->tail || vt_busy(&d->screen.vt);
}

bool draw_room(const struct console_draw *d)
{
	return atomic_load_relaxed(&d->head) - atomic_load_relaxed(&d->tail) <= DRAW_GUEST_BYTES;
}

void draw_put(struct console_draw *d, uint8_t tag, const char *text, size_t n)
{
	while (d->screen.pixels && n) {
		uint32_t at = d->head % DRAW_BYTES, room = DRAW_BYTES - (d->head - d->tail);
		size_t some = min(n, (size_t)min(room, DRAW_BYTES - at));

		if (!some) {
			draw_feed(d);
			continue;
		}
		memcpy(d->text + at, text, some);
		memset(d->tag + at, tag, some);
		atomic_store_relaxed(&d->head, d->head + (uint32_t)some);
		text += some;
		n -= some;
	}
}

void draw_feed(struct console_draw *d)
{
	uint32_t at = d->tail % DRAW_BYTES, n = 0, most = min(d->head - d->tail, (uint32_t)DRAW_PIECE);
	const char *text = (const char *)d->text + at;
	uint8_t tag = d->tag[at];

	most = min(most, DRAW_BYTES - at);
	while (n < most && d->tag[at + n] == tag)
		n++;
	if (tag & 0x80) {
		n = (uint32_t)fbcon_write_colored_some(&d->screen, tag & 0x0f, text, n, DRAW_PIECE);
	} else {
		d->asker = tag;
		n = (uint32_t)fbcon_write_some(&d->screen, text, n, DRAW_PIECE);
		d->asker = DRAW_NO_VM;
	}
	atomic_store_relaxed(&d->tail, d->tail + n);
}

void draw_flush(struct console_draw *d)
{
	while (draw_waits(d))
		draw_feed(d);
	fbcon_flush(&d->screen);
}
