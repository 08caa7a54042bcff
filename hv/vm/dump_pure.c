/* SPDX-License-Identifier: MIT */
#include "hv/vm/dump_pure.h"

#include "lib/x86.h"

bool dump_hints_at_bios(const struct dump_facts *f)
{
	if (f->cr0 & CR0_PG)
		return false;
	return f->bios_calls || f->image_may_want_bios || (f->boot_vcpu && !(f->cr0 & CR0_PE));
}
