/* SPDX-License-Identifier: MIT */
/*
 * The console's input: a ring of bytes that were typed, and of answers of Lethe's own terminal (a cursor position report,
 * ...). An answer belongs to the VM whose output asked for it, and no other VM gets it. Pure; no locks: drivers/console/console.c
 * serialises.
 */
#pragma once

#include "lib/types.h"

#define CONSOLE_INPUT_BYTES 4096      /* power of two */
#define CONSOLE_TYPED	    UINT8_MAX /* instead of a VM: typed, for the VM that reads next */

struct console_input {
	struct {
		uint8_t byte, asker;
	} ring[CONSOLE_INPUT_BYTES];
	uint32_t head, tail; /* free running: head is written to, tail taken from */
};

/* Adds a byte. asker: number of the VM that asked for it, or CONSOLE_TYPED. If the ring is full the byte is lost, as on any
 * line. */
void console_input_put(struct console_input *in, uint8_t byte, uint8_t asker);
/* Returns the next byte that was typed or that this VM asked for; -1 if there is none. Answers to other VMs that come before
 * it are dropped: the VM that asked has lost the console. */
int console_input_take(struct console_input *in, uint8_t vm);

static inline bool console_input_waits(const struct console_input *in)
{
	return in->head != in->tail;
}
