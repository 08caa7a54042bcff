/* SPDX-License-Identifier: MIT */
/* Which CPU of this machine each vCPU of lethe.conf is pinned to (hv/vm/place_pure.h). */
#pragma once

#include "guest/conf/conf.h"
#include "hv/host/cpu.h"
#include "lib/boot_info.h"

/* When all CPUs have started. A VM that cannot be placed is logged as a mistake in lethe.conf. */
void place_all(const struct conf *conf, const struct boot_info *bi);
/* How many vCPUs VM `id` (its place in lethe.conf) has; 0: it could not be placed. */
unsigned place_vcpus(unsigned id);
struct cpu *place_cpu(unsigned id, unsigned vcpu);
