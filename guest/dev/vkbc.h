/* SPDX-License-Identifier: MIT */
/*
 * The i8042 keyboard controller: ports 0x60 and 0x64, IRQ 1; fast A20 and reset at port 0x92. There is no auxiliary
 * port. A20 can be read and written but is never off: no CPU of this century has the gate.
 */
#pragma once

#include "guest/dev/vkbd.h"

#define VKBC_IRQ 1

struct vkbc {
	struct platform *p;
	struct vkbd kbd;
	uint8_t ram[32];		 /* [0]: the command byte */
	uint8_t status;			 /* bits 0 (output full), 3 (last write was a command) */
	uint8_t data;			 /* the output buffer */
	uint8_t command;		 /* waits for its parameter; 0: none */
	uint8_t answer;			 /* of the controller, waits until the output buffer is free */
	bool answering, a20, break_next; /* break_next: F0 seen, the next code gets bit 7 */
};

void vkbc_init(struct vkbc *v, struct platform *p);
void vkbc_reset(struct vkbc *v);
bool vkbc_listens(const struct vkbc *v); /* keyboard enabled on both sides */
void vkbc_refill(struct vkbc *v);	 /* the keyboard has something to send */
