/* SPDX-License-Identifier: MIT */
/* The legacy pair of 8259 interrupt controllers: moved out of the way and silenced. */
#pragma once

#include "lib/types.h"

/* Ends what is in service, remaps both to `vector`..`vector`+15 (a multiple of 8; a spurious IRQ 7 or 15 can still
 * come as vector+7 or +15) and masks every input. Harmless where there is no 8259. */
void pic_disable(uint8_t vector);
