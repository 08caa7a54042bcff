/* SPDX-License-Identifier: MIT */
#include "hv/host/thunks.h"

#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "lib/x86.h"

/* As in hv/host/thunks.asm. */
#define THUNK_BYTES 32
#define SLOT_BYTES  64
#define THUNKS	    15

extern uint8_t thunks[THUNKS * SLOT_BYTES]; /* the code itself */
extern const uint8_t thunks_plain[THUNKS * THUNK_BYTES], thunks_lfence[THUNKS * THUNK_BYTES],
	thunks_retpoline[THUNKS * THUNK_BYTES];

static const uint8_t *thunk_code(enum thunk_form form)
{
	switch (form) {
	case THUNK_PLAIN:
	case THUNK_ITS:
		return thunks_plain;
	case THUNK_LFENCE:
		return thunks_lfence;
	case THUNK_RETPOLINE:
		return thunks_retpoline;
	}
	panic("there is no thunk of form %u", form);
}

void thunks_patch(enum thunk_form form)
{
	const uint8_t *code = thunk_code(form);
	uint64_t cr0 = read_cr0();

	/* Code is never mapped writable. Without CR0.WP this CPU can write to it all the same (SDM Vol. 3A 4.6.1). */
	write_cr0(cr0 & ~CR0_WP);
	for (unsigned i = 0; i < THUNKS; i++)
		memcpy(&thunks[(i + 1) * SLOT_BYTES - THUNK_BYTES], &code[i * THUNK_BYTES], THUNK_BYTES);
	write_cr0(cr0);
	/* A serialising instruction stands between changing code and executing it (SDM Vol. 3A 8.1.3). */
	(void)cpuid(0, 0);
}
