/* SPDX-License-Identifier: MIT */
/*
 * The life of a VM. One word holds the state and, from its end on, why it ended; life_change() alone writes it.
 *
 *	                    .----------.
 *	                    v          |
 *	created ------> running ---> paused
 *	   |               |           |
 *	   |               v           |
 *	   +----------> ended <--------+
 *	   |               |
 *	   v               v
 *	  gone <-----------+
 *
 *	created		built; no vCPU has entered the guest
 *	running		its vCPUs have their turns
 *	paused		its vCPUs have none; nothing else changes. No VM is ever paused yet: the monitor that pauses one is still to
 *			be written, and the scheduler (hv/sched.c) has to look for this state then. The ways to and from it
 *			are tested (tests/unit/hv/test_life.c).
 *	ended		the guest is not entered again; its vCPUs stop, then CPU 0 takes it apart
 *	gone		everything is given back
 *
 * Pure (hv/vm/life_pure.c).
 */
#pragma once

#include "guest/dev/platform.h"
#include "lib/atomic.h"

enum life { LIFE_CREATED, LIFE_RUNNING, LIFE_PAUSED, LIFE_ENDED, LIFE_GONE };

/* Bits 7:0 state, 15:8 why it ended, 63:32 the code of that. 0: created. */
struct vm_life {
	uint64_t word;
};

/* Changes the state if the drawing has an arrow for it, else leaves it and returns false. why, code: of LIFE_ENDED, else 0.
 * Any CPU; of several CPUs that change it at the same time, the first wins. */
bool life_change(struct vm_life *l, enum life to, enum vm_end why, uint32_t code);

static inline enum life life_state(const struct vm_life *l)
{
	return (enum life)(atomic_load(&l->word) & 0xff);
}

/* True from its end on. */
static inline bool life_ended(const struct vm_life *l)
{
	return life_state(l) >= LIFE_ENDED;
}

/* Of a VM that has ended. */
static inline enum vm_end life_end_why(const struct vm_life *l)
{
	return (enum vm_end)(l->word >> 8 & 0xff);
}

static inline uint32_t life_end_code(const struct vm_life *l)
{
	return (uint32_t)(l->word >> 32);
}
