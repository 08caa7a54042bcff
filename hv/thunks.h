/* SPDX-License-Identifier: MIT */
/*
 * How the image's indirect branches are made. The compiler sends each of them through a thunk, one for each register
 * (hv/thunks.asm), so that one place decides for all of them.
 */
#pragma once

#include "lib/types.h"

enum thunk_form {
	THUNK_PLAIN,	 /* JMP REG */
	THUNK_LFENCE,	 /* LFENCE before it */
	THUNK_RETPOLINE, /* by RET, with a return prediction that leads nowhere */
	THUNK_ITS, /* JMP REG with its last byte in the upper half of a cache line: all plain thunks are so */
};

/* Has every indirect branch of Lethe's take this form from now on; the image starts with THUNK_PLAIN. The first CPU calls it
 * before the others start, since they may not execute a thunk meanwhile; interrupts are off. */
void thunks_patch(enum thunk_form form);
