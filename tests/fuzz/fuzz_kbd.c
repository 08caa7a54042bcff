/* SPDX-License-Identifier: MIT */
/* Any bytes from a keyboard controller: what one key sends fits its buffer. */
#include <string.h>

#include "drivers/console/kbd.h"
#include "lib/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kbd_decoder d;

	kbd_decoder_init(&d);
	for (size_t i = 0; i < size; i++) {
		uint8_t out[KBD_BYTES_MAX + 1];

		memset(out, 0xee, sizeof(out));
		ASSERT(kbd_decode(&d, data[i], out) <= KBD_BYTES_MAX && out[KBD_BYTES_MAX] == 0xee);
		ASSERT(kbd_leds(&d) < 8);
		d.app_cursor = i & 64;
	}
	return 0;
}
