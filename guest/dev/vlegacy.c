/* SPDX-License-Identifier: MIT */
/*
 * Ports of a PC that kernels touch out of habit and that do nothing here:
 *
 *	0x00-0x0f, 0xc0-0xdf	DMA controllers: no device asks for DMA; registers read 0
 *	0x80-0x8f		DMA pages; 0x80 is where diagnostics and delays write: hold what is written
 *	0xe9			Bochs's debug console: lines go to Lethe's log, a limited number each second
 *	0xed			the other delay port
 *	0xf0-0xf1		coprocessor error latch
 */
#include "guest/dev/vlegacy.h"

#include "lib/log.h"
#include "lib/string.h"

#define DEBUG_LINES_PER_SECOND 32 /* of 120 characters: a third of a serial line of 115200 baud */

static uint64_t legacy_zero_read(void *dev, uint64_t off, unsigned size)
{
	return 0;
}

static void legacy_ignored_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
}

static uint64_t legacy_page_read(void *dev, uint64_t off, unsigned size)
{
	struct vlegacy *v = dev;

	return v->dma_page[off];
}

static void legacy_page_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vlegacy *v = dev;

	v->dma_page[off] = (uint8_t)value;
}

static uint64_t legacy_debug_read(void *dev, uint64_t off, unsigned size)
{
	return 0xe9; /* how a kernel tells that the port is there */
}

/* The limit is for each second; a new second begins with the first line after the last one has passed. */
static void legacy_log_debug_line(struct vlegacy *v)
{
	uint64_t now = device_now(&v->dev);

	if (!v->debug_lines || now - v->debug_second >= v->dev.board->clock->tsc_hz) {
		v->debug_second = now;
		v->debug_lines = 0;
	}
	if (v->debug_lines > DEBUG_LINES_PER_SECOND)
		return;
	if (v->debug_lines++ < DEBUG_LINES_PER_SECOND)
		log_info("vm %s: %.*s", v->dev.board->vm, (int)v->debug_n, v->debug_line);
	else
		log_info("vm %s: more than %u lines to port 0xe9 in a second: the others are dropped",
			v->dev.board->vm, DEBUG_LINES_PER_SECOND);
}

static void legacy_debug_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vlegacy *v = dev;
	char c = (char)value;

	if (c >= ' ' && c <= '~')
		v->debug_line[v->debug_n++] = c;
	if (v->debug_n && (c == '\n' || v->debug_n == sizeof(v->debug_line))) {
		legacy_log_debug_line(v);
		v->debug_n = 0;
	}
}

static int vlegacy_attach(struct device *d)
{
	struct vlegacy *v = (struct vlegacy *)d;

	device_ports(d, &v->dma[0], 0x00, 16, BUS_1, legacy_zero_read, legacy_ignored_write);
	device_ports(d, &v->pages, 0x80, 16, BUS_1, legacy_page_read, legacy_page_write);
	device_ports(d, &v->dma[1], 0xc0, 32, BUS_1, legacy_zero_read, legacy_ignored_write);
	device_ports(d, &v->debug, 0xe9, 1, BUS_1, legacy_debug_read, legacy_debug_write);
	device_ports(d, &v->delay, 0xed, 1, BUS_1, legacy_zero_read, legacy_ignored_write);
	device_ports(d, &v->coprocessor, 0xf0, 2, BUS_1, legacy_zero_read, legacy_ignored_write);
	return 0;
}

static void vlegacy_reset(struct device *d)
{
	struct vlegacy *v = (struct vlegacy *)d;

	memset(v->dma_page, 0, sizeof(v->dma_page));
	v->debug_n = 0;
}

const struct device_kind vlegacy_kind = {
	.name = "legacy ports",
	.size = sizeof(struct vlegacy),
	.attach = vlegacy_attach,
	.reset = vlegacy_reset,
};
