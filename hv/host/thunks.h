/* SPDX-License-Identifier: MIT */
/*
 * How the image's indirect branches and its returns are made. The compiler sends each of them through a thunk, one for each
 * register and one for returns (hv/host/thunks.asm), so that one place decides for all of them.
 */
#pragma once

#include "hv/host/mitigate_pure.h"

/*
 * Gives every indirect branch of Lethe's this form from now on. Every return goes by its thunk if `returns`; else the jumps
 * to that thunk become RETs, which cost what a RET costs. The image starts with THUNK_PLAIN, whose thunks lie as THUNK_ITS
 * wants them, and with the returns' thunk. Called once, by the first CPU before the others start, since they may not execute
 * a thunk or return meanwhile; interrupts are off.
 */
void thunks_patch(enum thunk_form form, bool returns);
