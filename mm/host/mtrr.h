/* SPDX-License-Identifier: MIT */
/*
 * The host's memory types by MTRR (SDM Vol. 3A 11.11): read once on the first CPU, asked by the EPT back end for
 * every leaf. The reader takes a function for RDMSR so that hosted tests can put any set of registers before it.
 */
#pragma once

#include "lib/types.h"
#include "lib/x86.h"

/* Reads the registers and works out the map. Until the first call, everything is MT_UC. */
void mtrr_read(uint64_t (*read_msr)(uint32_t msr), unsigned maxphyaddr);
/*
 * The memory type (enum memtype) of [at, at + bytes) if it is one and the same throughout, else -E_INVAL: then ask
 * for smaller pieces; a 4 KiB page always has one. `at` and `bytes` are multiples of 4 KiB, bytes is not 0, and the
 * range does not wrap. Where ranges overlap, SDM Vol. 3A 11.11.4.1 decides: UC over all, WT over WB, and UC also for
 * the combinations that it leaves undefined. A binary search, without locks.
 */
int mtrr_type(hpa_t at, uint64_t bytes);
