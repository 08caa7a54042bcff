/* SPDX-License-Identifier: MIT */
/*
 * The number of the CPU that runs this: 0 is the one that firmware started, the others follow in MADT order.
 * In the hypervisor it lies CPU_ID_AT bytes behind the GS base (hv/host/cpu.h puts it there); hosted tests set it per thread.
 */
#pragma once

#define CPUS_MAX 64

#define CPU_ID_AT 8

unsigned this_cpu_id(void);
