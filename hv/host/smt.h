/* SPDX-License-Identifier: MIT */
/* SMT on this machine (hv/host/smt_pure.h). */
#pragma once

#include "hv/host/smt_pure.h"

/* On CPU 0, before the others start: which are threads of one core, and whether some are parked. */
void smt_init(const struct conf *conf);
/* The same number: threads of one core. */
uint32_t smt_core(uint32_t apic_id);
/* True if this CPU is to be parked: a thread of its core runs guests already. */
bool smt_parks(uint32_t apic_id);
/* When all CPUs have started, and are known to need it or not: decides for good, and logs what was made of SMT if there
 * is any. */
void smt_settle(const struct conf *conf);
/* After that: true if a core of several threads is to be used by one VM only. */
bool smt_same_vm(void);
