/* SPDX-License-Identifier: MIT */
/*
 * The i8042 keyboard controller: ports 0x60 and 0x64, IRQ 1; fast A20 and reset at port 0x92. There is no auxiliary
 * port. A20 can be read and written but is never off: no CPU of this century has the gate.
 */
#pragma once

#include "guest/dev/device.h"
#include "guest/dev/vkbd.h"

#define VKBC_IRQ 1

struct vkbc {
	struct device dev;
	struct bus_range data_port, status_port, port92;
	struct irq_line irq;
	struct vkbd kbd;
	uint8_t ram[32];		 /* [0]: the command byte */
	uint8_t status;			 /* bits 0 (output full), 3 (last write was a command) */
	uint8_t data;			 /* the output buffer */
	uint8_t command;		 /* waits for its parameter; 0: none */
	uint8_t answer;			 /* of the controller, waits until the output buffer is free */
	bool answering, a20, break_next; /* break_next: F0 seen, the next code gets bit 7 */
};

bool vkbc_listens(const void *kbc); /* keyboard enabled on both sides */
bool vkbc_room(const void *kbc);
void vkbc_type(struct vkbc *v, uint8_t byte); /* a byte of the console; needs room */
void vkbc_refill(struct vkbc *v);	      /* the keyboard has something to send */
