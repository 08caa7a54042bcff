/* SPDX-License-Identifier: MIT */
/* The table of functions' names that tools/symbols makes; tools/symbols says how it is laid out. */
#pragma once

#include "lib/types.h"

/*
 * Writes the name of the function that holds the byte at `offset` from the image's base, cut to n - 1 characters.
 * Returns how far into the function that is, or -E_NOENT if no function begins at or below it. No locks.
 */
int64_t symbols_find(const char *table, uint32_t offset, char *name, size_t n);
