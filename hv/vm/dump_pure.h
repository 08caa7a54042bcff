/* SPDX-License-Identifier: MIT */
/* What a dump adds in words to the registers. */
#pragma once

#include "lib/types.h"

struct dump_facts {
	bool image_may_want_bios; /* guest/load/loader.h */
	bool boot_vcpu;		  /* the others come to real mode by a SIPI, which needs no BIOS */
	uint64_t cr0;		  /* as the guest sees it */
	unsigned bios_calls;	  /* that this guest has made (guest/dev/vectors.h) */
};

/* True if a guest that ends so may have needed a BIOS: it had not switched paging on, and it calls a BIOS, runs in real
 * mode, or is of a kind that does. */
bool dump_hints_at_bios(const struct dump_facts *f);
