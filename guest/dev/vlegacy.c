/* SPDX-License-Identifier: MIT */
/*
 * Ports of a PC that kernels touch out of habit and that do nothing here:
 *
 *	0x00-0x0f, 0xc0-0xdf	DMA controllers: no device asks for DMA; registers read 0
 *	0x80-0x8f		DMA pages; 0x80 is where diagnostics and delays write: hold what is written
 *	0xe9			Bochs's debug console: lines go to Lethe's log, so many a second
 *	0xed			the other delay port
 *	0xf0-0xf1		coprocessor error latch
 */
#include "guest/dev/machine.h"

#include "lib/log.h"

#define DEBUG_LINES_PER_SECOND 32 /* of 120 characters: a third of a serial line of 115200 baud */

static uint64_t zero_read(void *dev, uint64_t off, unsigned size)
{
	return 0;
}

static void ignored_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
}

static uint64_t page_read(void *dev, uint64_t off, unsigned size)
{
	struct platform *p = dev;

	return p->dma_page[off];
}

static void page_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct platform *p = dev;

	p->dma_page[off] = (uint8_t)value;
}

static uint64_t debug_read(void *dev, uint64_t off, unsigned size)
{
	return 0xe9; /* how a kernel tells that the port is there */
}

/* A second begins with the first line that comes after the one before it is over. */
static void log_debug_line(struct platform *p)
{
	uint64_t now = vclock_now(&p->clock);

	if (!p->debug_lines || now - p->debug_second >= p->clock.tsc_hz) {
		p->debug_second = now;
		p->debug_lines = 0;
	}
	if (p->debug_lines > DEBUG_LINES_PER_SECOND)
		return;
	if (p->debug_lines++ < DEBUG_LINES_PER_SECOND)
		log_info("vm %s: %.*s", p->name, (int)p->debug_n, p->debug_line);
	else
		log_info("vm %s: more than %u lines to port 0xe9 in a second: the others are dropped",
			p->name, DEBUG_LINES_PER_SECOND);
}

static void debug_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct platform *p = dev;
	char c = (char)value;

	if (c >= ' ' && c <= '~')
		p->debug_line[p->debug_n++] = c;
	if (p->debug_n && (c == '\n' || p->debug_n == sizeof(p->debug_line))) {
		log_debug_line(p);
		p->debug_n = 0;
	}
}

void vlegacy_init(struct platform *p)
{
	platform_ports(p, 0x00, 16, BUS_1, p, zero_read, ignored_write);
	platform_ports(p, 0x80, 16, BUS_1, p, page_read, page_write);
	platform_ports(p, 0xc0, 32, BUS_1, p, zero_read, ignored_write);
	platform_ports(p, 0xe9, 1, BUS_1, p, debug_read, debug_write);
	platform_ports(p, 0xed, 1, BUS_1, p, zero_read, ignored_write);
	platform_ports(p, 0xf0, 2, BUS_1, p, zero_read, ignored_write);
}
