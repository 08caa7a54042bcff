/* SPDX-License-Identifier: MIT */
/*
 * Ticket spinlock: fair, so that a drainer cannot starve faulting vCPUs. Interrupts are off in VMX root
 * except at chosen points where no lock is held, so there is no irqsave form.
 *
 * The order of locks (outer first; take only downwards):
 *	device (guest/)  >  interrupts, timer queue or bus of the VM (guest/)  >  mmu (mm/)  >  hostmap (mm/)
 *	>  frame allocator (mm/)  >  console, log (lib/, drivers/)
 */
#pragma once

#include "lib/atomic.h"

struct spinlock {
	uint32_t next;	/* the ticket that the next comer draws */
	uint32_t owner; /* the ticket that holds the lock */
};

#define SPINLOCK_INIT                                                                                        \
	{                                                                                                    \
		0, 0                                                                                         \
	}

static inline void spin_lock(struct spinlock *l)
{
	uint32_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (atomic_load(&l->owner) != mine)
		cpu_relax();
}
/* Takes the lock only if it is free and no CPU waits for it. */
static inline bool spin_trylock(struct spinlock *l)
{
	uint32_t owner = atomic_load(&l->owner), expected = owner;

	return atomic_cmpxchg(&l->next, &expected, owner + 1);
}
static inline void spin_unlock(struct spinlock *l)
{
	atomic_store(&l->owner, l->owner + 1);
}
static inline bool spin_is_locked(const struct spinlock *l)
{
	return atomic_load_relaxed(&l->next) != atomic_load_relaxed(&l->owner);
}
