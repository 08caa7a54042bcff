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

#define JMP	  0xe9 /* and four bytes: how far from the end of the instruction */
#define JMP_BYTES 5
#define RET	  0xc3
#define INT3	  0xcc /* stops speculation past a return */

extern uint8_t thunks[THUNKS * SLOT_BYTES]; /* the code itself */
extern const uint8_t __x86_return_thunk[];
extern uint8_t ImageBase[];
/* Made by tools/returns from the linked image: how far each return lies behind the one before, the first behind ImageBase;
 * ends with 0. */
extern const uint16_t return_sites[];
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

static bool goes_to_return_thunk(const uint8_t *site)
{
	int32_t distance;

	memcpy(&distance, site + 1, sizeof(distance));
	return *site == JMP && site + JMP_BYTES + distance == __x86_return_thunk;
}

static void make_rets(void)
{
	static const uint8_t ret[JMP_BYTES] = { RET, INT3, INT3, INT3, INT3 };
	uint8_t *site = ImageBase;

	for (const uint16_t *next = return_sites; *next; next++) {
		site += *next;
		ASSERT(goes_to_return_thunk(site));
		memcpy(site, ret, sizeof(ret));
	}
}

void thunks_patch(enum thunk_form form, bool returns)
{
	const uint8_t *code = thunk_code(form);
	uint64_t cr0 = read_cr0();

	/* Code is never mapped writable. Without CR0.WP this CPU can write to it all the same (SDM Vol. 3A 4.6.1). */
	write_cr0(cr0 & ~CR0_WP);
	for (unsigned i = 0; i < THUNKS; i++)
		memcpy(&thunks[(i + 1) * SLOT_BYTES - THUNK_BYTES], &code[i * THUNK_BYTES], THUNK_BYTES);
	if (!returns)
		make_rets();
	write_cr0(cr0);
	/* A serialising instruction stands between changing code and executing it (SDM Vol. 3A 8.1.3). */
	(void)cpuid(0, 0);
}
