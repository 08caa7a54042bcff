/* SPDX-License-Identifier: MIT */
/* The list of tables that the guest may write to unnoticed (mm/mmu/indirect_sync.c). */
#pragma once

#include "lib/types.h"

#define UNSYNC_MOST 16u
struct mmu_unsync {
	uint64_t gen; /* of what it says */
	unsigned n;
	uint64_t gfn[UNSYNC_MOST];
};
