/* SPDX-License-Identifier: MIT */
/* Ports of a PC that kernels touch out of habit (vlegacy.c has the list). */
#pragma once

#include "guest/dev/device.h"

struct vlegacy {
	struct device dev;
	struct bus_range dma[2], pages, debug, delay, coprocessor;
	uint8_t dma_page[16]; /* ports 0x80..0x8f hold what is written */
	char debug_line[120]; /* port 0xe9 */
	unsigned debug_n;
	unsigned debug_lines;  /* logged in the second that began ... */
	uint64_t debug_second; /* ... at this time of the guest's TSC */
};
