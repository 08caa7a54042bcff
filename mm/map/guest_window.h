/* SPDX-License-Identifier: MIT */
/* A stretch of guest RAM that is contiguous in the host; how to use it stands in mm/space/guest_entry.h. */
#pragma once

#include "lib/types.h"

struct guest_window {
	uint64_t base, bytes; /* of guest-physical memory; bytes 0: none */
	const char *host;
};

/* The largest one that was found in a version of the slot table: read and written without a lock, see
 * mm/space/guest_entry.c. Zeroed is empty. */
struct guest_window_cache {
	uint64_t version; /* odd while it is being written */
	uint64_t seq;	  /* of the slot table that it was found in */
	struct guest_window w;
};
