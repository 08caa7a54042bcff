/* SPDX-License-Identifier: MIT */
#include "drivers/console/input.h"

void console_input_put(struct console_input *in, uint8_t byte, uint8_t asker)
{
	unsigned at = in->head % CONSOLE_INPUT_BYTES;

	if (in->head - in->tail == CONSOLE_INPUT_BYTES)
		return;
	in->ring[at].byte = byte;
	in->ring[at].asker = asker;
	in->head++;
}

int console_input_take(struct console_input *in, uint8_t vm)
{
	while (console_input_waits(in)) {
		unsigned at = in->tail++ % CONSOLE_INPUT_BYTES;

		if (in->ring[at].asker == CONSOLE_TYPED || in->ring[at].asker == vm)
			return in->ring[at].byte;
	}
	return -1;
}
