/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else in the build with ThreadSanitizer: CPUs are threads there, more than the host has
 * CPUs. Who waits for a lock that a thread holds, or will be handed next, which the host does not run would burn the
 * time that this one needs: so he lets others run. All else of the locks is as it is.
 */
#pragma once

#define cpu_relax cpu_relax_alone
#include "lib/atomic.h"
#undef cpu_relax

void world_relax(void);
#define cpu_relax() world_relax()
