/* SPDX-License-Identifier: MIT */
/*
 * The number of the CPU that runs this: 0 is the one that firmware started, the others follow in MADT order.
 * hv/ keeps it in the GS area; hosted tests set it per thread.
 */
#pragma once

#define CPUS_MAX 64

unsigned this_cpu_id(void);
