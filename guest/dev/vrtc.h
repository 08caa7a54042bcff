/* SPDX-License-Identifier: MIT */
/* The CMOS clock: MC146818A registers and 114 bytes of memory at ports 0x70/0x71, IRQ 8; century at 0x32. */
#pragma once

#include "guest/dev/device.h"

#define VRTC_IRQ 8

struct vrtc {
	struct device dev;
	struct bus_range ports;
	struct irq_line irq;
	uint8_t index; /* bit 7: NMI masked */
	uint8_t ram[128];
	struct rate rate; /* 32768 Hz */
	uint64_t epoch;	  /* 32768 Hz ticks since 1970 at guest TSC `origin` */
	uint64_t origin;
	bool halted; /* SET, or the divider in reset: the registers hold the time and stand still */
	uint64_t seen_periodic; /* number of the periodic tick, and second, up to which flags were computed */
	uint64_t seen_second;
	struct vtimer timer;
};
