/* SPDX-License-Identifier: MIT */
/*
 * Data and I/O breakpoints on accesses that Lethe makes for the guest. The CPU does not make these accesses, so its
 * debug registers cannot match them (SDM Vol. 3B 17.2). Instruction breakpoints need no emulation: the CPU checks them
 * before an instruction begins, and so before its VM exit.
 */
#pragma once

#include "lib/types.h"

/* The guest's debug registers, DR6 aside. */
struct breakpoints {
	uint64_t dr[4];
	uint64_t dr7;
};

/* Of the R/W fields of DR7. BREAK_IO means I/O with CR4.DE only. */
enum break_on { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

/* True if DR7 enables any breakpoint: the bits L0 to G3. */
static inline bool breakpoints_on(uint64_t dr7)
{
	return dr7 & 0xff;
}

/* Returns the enabled breakpoints, as bits B3 to B0 of DR6, that a data access of `size` bytes at linear address `at`
 * meets. write: it writes, too. */
unsigned breakpoints_data(const struct breakpoints *b, uint64_t at, unsigned size, bool write);
/* The same for an access of `size` bytes to a port. de: CR4.DE. */
unsigned breakpoints_io(const struct breakpoints *b, uint16_t port, unsigned size, bool de);
