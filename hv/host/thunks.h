/* SPDX-License-Identifier: MIT */
/*
 * How the image's indirect branches are made. The compiler sends each of them through a thunk, one for each register
 * (hv/host/thunks.asm), so that one place decides for all of them.
 */
#pragma once

#include "hv/host/mitigate_pure.h"

/* Has every indirect branch of Lethe's take this form from now on. The image starts with THUNK_PLAIN, whose thunks lie as
 * THUNK_ITS wants them. The first CPU calls it before the others start, since they may not execute a thunk meanwhile;
 * interrupts are off. */
void thunks_patch(enum thunk_form form);
