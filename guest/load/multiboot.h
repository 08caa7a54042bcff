/* SPDX-License-Identifier: MIT */
/*
 * What the two files of the multiboot loader say to each other.
 */
#pragma once

#include "guest/load/load.h"
#include "guest/load/multiboot_format.h"

/* Places and writes the information structure and all it points to. module[i]: where module i lies (0 if it is
 * empty). 0 and its address; or an error with the sentence. */
int multiboot_write_info(struct load *l, const struct multiboot_header *h,
	const uint64_t module[CONF_MODULES_MAX], uint32_t *out);
