/* SPDX-License-Identifier: MIT */
/*
 * A 16550-style UART, on I/O ports or in memory: the machine's serial port. Locks: none here;
 * drivers/console/console.c, its one user after start-up, serialises.
 */
#pragma once

#include "lib/types.h"

#define UART_BAUD 115200

/* The PC's four (their ISA interrupts: uart_isa_irq()). */
#define UART_COM1 0x3f8
#define UART_COM2 0x2f8
#define UART_COM3 0x3e8
#define UART_COM4 0x2e8

/* Where a UART's registers are. */
struct uart_place {
	uint16_t port;		/* 0: in memory */
	volatile uint8_t *regs; /* mapped uncached */
	uint8_t stride; /* bytes from one register to the next: 1, 2 or 4; 4: it wants accesses of 4 bytes (memory) */
	bool keep_rate; /* its clock is not the PC's 1.8432 MHz: the divisor stays as firmware set it */
};

struct uart {
	struct uart_place at;
	bool present; /* false: every function below does nothing, at once */
	uint8_t fifo; /* bytes that fit when THRE says empty: 16 on a 16550A, 1 on older ones */
	uint8_t ier;  /* what is in the interrupt enable register */
	bool stuck;   /* the transmitter did not become ready in time: no more waiting for it until it does */
};

/*
 * Probes it (scratch register, then a byte through the loopback) and programs 8N1 at `baud` bits a second,
 * FIFOs on, DTR, RTS and OUT2 on, interrupts off. 0; -E_NOENT: no UART answers there (u->present is false
 * then); -E_INVAL: the baud rate does not divide 115200. Bounded waits only.
 */
int uart_init(struct uart *u, const struct uart_place *at, uint32_t baud);
/* The ISA interrupt of a UART on one of the PC's four ports, or -1. */
int uart_isa_irq(const struct uart *u);

/* Waits for LSR.THRE (a bounded number of polls, about the time of 30 characters), then sends. False: the
 * transmitter never became ready and the byte is lost. */
bool uart_put(struct uart *u, uint8_t byte);
/* Sends as many of n bytes as fit without waiting. Returns how many. */
size_t uart_send_some(struct uart *u, const uint8_t *bytes, size_t n);
/* Waits until the shift register is empty too (LSR.TEMT, bounded), so that nothing is lost at power-off. */
void uart_drain(struct uart *u);
/* The next received byte, or -1. Break and framing errors are dropped. */
int uart_get(struct uart *u);

/* Which interrupts the UART raises: received data, transmitter empty. */
void uart_interrupts(struct uart *u, bool rx, bool tx);
/* Acknowledges what an interrupt said, except received data, which stays pending until uart_get() has taken it. True if
 * it was this UART that interrupted. */
bool uart_ack(struct uart *u);
