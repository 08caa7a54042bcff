/* SPDX-License-Identifier: MIT */
/*
 * What an exception becomes: alone, or while another event is being delivered (SDM Vol. 3A 6.15, interrupt 8), and how
 * VM entry wants to hear of it. Pure (hv/vm/events_pure.c), for tests.
 */
#pragma once

#include "lib/types.h"

#define EXCEPTION_TRIPLE (-1)

/* first: information of the event whose delivery raised `vector` (as IDT-vectoring information); 0: there is none.
 * Returns the vector to inject, `vector` itself or #DF, or EXCEPTION_TRIPLE. */
int exception_on(uint32_t first, unsigned vector);
/* True for faults: what they push has RF = 1, so that an instruction breakpoint at the faulting instruction does not
 * strike a second time. Traps and aborts push RF as it is (SDM Vol. 3A table 6-1, Vol. 3B 17.3.1.1); #DB is left out,
 * since it is a fault only when it comes from an instruction breakpoint, which pushes RF as it is, too. */
bool exception_is_fault(unsigned vector);
/* VM-entry interruption information of a hardware exception. An error code goes with exactly those that have one, and
 * only in protected mode: else VM entry fails before it begins (SDM Vol. 3C 26.2.1.3). */
uint32_t exception_info(unsigned vector, bool protected_mode);
