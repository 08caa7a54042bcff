/* SPDX-License-Identifier: MIT */
/* The generation, and flushes within one. (Why the fence: mm/mmu/generation.c.) The MMU lock is held. */
#pragma once

#include "mm/mmu/mmu.h"

#define MMU_MAPWORDS (MMU_VCPUS_MAX / 64)

/* Counts the generation up: every table is obsolete from now on (contract, rule 1). */
void mmu_bump(struct mmu *mmu);
/* Begins a flush epoch, since rights were taken away in the valid generation: vCPUs that are in the guest are noted for
 * a kick, and each CPU drops what it has cached of the VM before it enters again. With `wait`, no vCPU enters before
 * all have left. Returns the epoch: mmu_flushed(epoch) says that all have left. */
uint64_t mmu_flush_request(struct mmu *mmu, bool wait);
