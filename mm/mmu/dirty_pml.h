/* SPDX-License-Identifier: MIT */
/* Dirty logs and page-modification logging, as far as a VM has them. The MMU lock is held. */
#pragma once

#include "mm/mmu/dirty.h"

struct mmu_dirty {
	struct list retired; /* logs that wait for their ticket */
	uint64_t nlogs;	     /* slots with a dirty log */
	/* A vCPU that entered in this flush epoch or later has page-modification logging on. */
	uint64_t pml_epoch;
};

/* Counts a slot that begins to be logged (1), or a logged one that is gone (-1). */
void dirty_logs_count(struct mmu *mmu, int by);
/* True if each vCPU that may be in the guest has page-modification logging on: then entries may be left writable, with
 * D clear. */
bool dirty_pml_ready(struct mmu *mmu);
/* Marks all of a log whose slot moves: addresses of the old place, which are in buffers still, are in no slot any more. */
void dirty_log_moved(struct mmu *mmu, struct dirty_log *log);
