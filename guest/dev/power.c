/* SPDX-License-Identifier: MIT */
/* How a device ends its VM. */
#include "guest/dev/power.h"

#include "lib/atomic.h"

void power_end(struct power *w, enum vm_end why, uint32_t code)
{
	if (!atomic_xchg(&w->ended, true))
		w->ops->end(w->vm, why, code);
}
