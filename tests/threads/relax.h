/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else in the build with ThreadSanitizer: CPUs are threads there, more than the host has
 * CPUs. A thread that waits for a lock may wait for a thread that the host does not run (the holder, or the next in
 * line) and would burn the time which that one needs: so it yields. All else of the locks is as it is.
 */
#pragma once

#define cpu_relax cpu_relax_alone
#include "lib/atomic.h"
#undef cpu_relax

void world_relax(void);
#define cpu_relax() world_relax()
