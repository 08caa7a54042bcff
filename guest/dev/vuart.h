/* SPDX-License-Identifier: MIT */
/* The serial port COM1: a 16550A (National PC16550D datasheet), IRQ 4. */
#pragma once

#include "guest/dev/device.h"

#define VUART_PORT 0x3f8
#define VUART_IRQ  4
#define VUART_FIFO 16

struct vuart {
	struct device dev;
	struct bus_range ports;
	struct irq_line line;
	uint8_t ier, fcr, lcr, mcr, scr, msr;
	uint16_t divisor;
	uint8_t line_errors; /* LSR bits 4:1 that wait to be read */
	bool thre_pending;   /* THR became empty and the guest has not been told */
	bool full;	     /* the console had no room for more: to be told when it has */
	bool timeout;	     /* characters lie below the trigger level and nothing moves */
	bool irq;
	uint8_t fifo[VUART_FIFO];
	unsigned head, count;
	unsigned idle_polls; /* reads of LSR in a row that found neither input nor were followed by output */
	uint64_t listens_until; /* TSC: the guest has polled, or paused its interrupts, a short time ago */
	struct vtimer timer;	/* character timeout */
};

/* True if the guest can get a character that is received now: by interrupt (receive interrupt and OUT2), or because it
 * polls LSR or RBR. Not in loopback mode. */
bool vuart_listens(const void *uart);
bool vuart_room(const void *uart); /* can the receiver take a character now? */
void vuart_receive(void *uart, uint8_t c);
/* The console has room again. */
void vuart_may_send(void *uart);
