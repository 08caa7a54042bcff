/* SPDX-License-Identifier: MIT */
/* What the MMU needs of the CPU (mm/mmu/mmu.h). */
#pragma once

#include "mm/mmu/mmu.h"

extern const struct mmu_cpu_ops mmu_cpu_ops;
struct mmu_caps mmu_caps_of_host(void);
