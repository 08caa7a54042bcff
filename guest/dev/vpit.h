/* SPDX-License-Identifier: MIT */
/*
 * The 8254 timer (Intel 8254 datasheet) and port 0x61: channel 0 drives IRQ 0, channel 1 was the DRAM refresh,
 * channel 2 the speaker. A counter's value and output are not stepped but computed from the time since it was loaded.
 */
#pragma once

#include "guest/dev/device.h"

#define PIT_HZ	 1193182ul
#define VPIT_IRQ 0

struct vpit_channel {
	uint8_t mode;	/* 0..5 */
	uint8_t access; /* 1 low byte, 2 high byte, 3 low then high */
	bool bcd, gate;
	bool loaded;		    /* a count has been written since the control word */
	bool counting;		    /* and the counter runs (modes 1 and 5 wait for a trigger) */
	bool write_high, read_high; /* access 3: the second byte is next */
	uint8_t write_low;
	uint32_t count;	 /* 1..65536 (BCD: ..10000), converted to binary */
	uint64_t start;	 /* PIT tick at which it began with `count` */
	uint64_t paused; /* gate low: ticks counted before */
	/* Written while running in modes 2 and 3: taken over at the end of the period; 0 none. */
	uint32_t next_count;
	bool latched, status_latched;
	uint16_t latch;
	uint8_t status;
};

struct vpit {
	struct device dev;
	struct bus_range counters, port61_range;
	struct irq_line irq;
	struct rate rate;
	struct vpit_channel channel[3];
	uint8_t port61; /* bits 3:0 as written */
	struct vtimer timer;
};
