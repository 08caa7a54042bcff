/* SPDX-License-Identifier: MIT */
/*
 * A 16550-style UART on I/O ports: the machine's serial port. Locks: none here; drivers/console.c, its one user
 * after start-up, serialises.
 */
#pragma once

#include "lib/types.h"

#define UART_COM1     0x3f8
#define UART_COM1_IRQ 4 /* ISA */
#define UART_BAUD     115200

struct uart {
	uint16_t port; /* 0: absent; every function below then does nothing, at once */
	uint8_t fifo;  /* bytes that fit when THRE says empty: 16 on a 16550A, 1 on older ones */
	uint8_t ier;   /* what is in the interrupt enable register */
	bool stuck; /* the transmitter did not become ready in time: no more waiting for it until it does */
};

/*
 * Probes the ports (scratch register, then a byte through the loopback) and programs 8N1 at `baud` bits a second,
 * FIFOs on, DTR, RTS and OUT2 on, interrupts off. 0; -E_NOENT: no UART answers there (u->port is 0 then);
 * -E_INVAL: the baud rate does not divide 115200. Bounded waits only.
 */
int uart_init(struct uart *u, uint16_t port, uint32_t baud);

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
