/* SPDX-License-Identifier: MIT */
/* How large the test device's ROM and RAM may be: what lethe.conf takes and what guest/dev/vrom.c is made for. */
#pragma once

#include "lib/types.h"

#define VROM_ROM_MIN	 (4 * KiB)
#define VROM_ROM_DEFAULT (64 * KiB)
#define VROM_ROM_MAX	 (16 * MiB) /* the largest that PCI allows (PCI 3.0, 6.2.5.2) */
#define VROM_RAM_BYTES	 (2 * MiB)
#define VROM_BAR_MIN	 VROM_RAM_BYTES
#define VROM_BAR_MAX	 (64 * GiB)
