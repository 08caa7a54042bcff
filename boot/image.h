/* SPDX-License-Identifier: MIT */
/* Lethe's own image in memory, piece by piece as boot/lethe.lds lays it out. */
#pragma once

#include "lib/boot_info.h"

/* An address that boot/lethe.lds sets. */
#define LINKER_SYMBOL(name) extern char name[] __attribute__((visibility("hidden")))

hpa_t image_base(void);
uint64_t image_bytes(void);
/* Fills in bi->section: the rights that each piece needs, none both writable and executable. */
void image_sections(struct boot_info *bi);
