/* SPDX-License-Identifier: MIT */
/*
 * SMT: which CPUs are threads of one core, and what `smt` in lethe.conf makes of that. Pure (hv/host/smt_pure.c). The
 * threads of a core share its caches and buffers, so on most CPU models one can learn by speculation what the other
 * handles. No measure between two VMs that run at the same time helps against that; so it is decided where vCPUs are
 * placed.
 */
#pragma once

#include "guest/conf/conf.h"
#include "lib/bits.h"
#include "lib/x86.h"

/* How many of the lowest bits of an APIC ID tell the threads of one core apart: CPUID leaf 1FH, else 0BH, else 4 and 1
 * (SDM Vol. 3A 8.9.3). 0 to 31; 0: there is no SMT. */
unsigned smt_bits(struct cpuid (*read)(uint32_t leaf, uint32_t subleaf));

struct smt_policy {
	bool same_vm; /* a core of several threads is used by one VM only */
	bool park;    /* one thread of each core is used, the others halt */
	bool warn;    /* VMs that share a core can learn of one another: lethe.conf wants it so */
};

/* needed: this CPU's threads can learn of one another. */
struct smt_policy smt_decide(enum conf_smt conf, bool needed);
