/* SPDX-License-Identifier: MIT */
/*
 * The memory of removed slots: when is the ticket ready? In every interleaving of three CPUs with store buffers (tso.h)
 * and three removals, each of which may be started by any CPU. What the models have in common: tables.pml.
 *
 *	here		in the code
 *	removal		slot_delete(), take_away() (mm/space/slots_change.c), mmu_remove() (mm/mmu/removal.c), mmu_bump(),
 *			ask() (mm/mmu/generation.c), mmu_host_epoch_next() (mm/mmu/grace.c)
 *	top		mmu_cpu_quiescent() (mm/mmu/mmu.h)
 *	idle		mmu_cpu_idle() (mm/mmu/mmu.h), idle() (hv/sched.c)
 *	look-up		slots_find() (mm/map/slots.c), as used by mm/space/guest_mem.c
 *	reload		reload() (mm/mmu/vcpu.c)
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu/mmu.h)
 *	owner		mmu_ticket_ready() (mm/mmu/grace.c)
 *
 * What is left out or joined, besides points 3, 4, 6 and 8 of tables.pml, which hold here too:
 *  1. A ticket is ready when independent looks at each CPU say so, and all CPUs are alike: number 0 is watched. Only it
 *     has `entered`, `busy`, requests and pointers, which the others would read to wait for it (rule 3) or to kick it:
 *     tables.pml is about that. Without it there are more runs. The others start removals and build tables.
 *  2. Tickets do not influence each other, nor any CPU: the owner follows any one of them.
 *  3. A pointer that was looked up in version s of the slot table stands for pointers into all slots that s holds. It counts
 *     as held until all that was stored through it has left the store buffer. (slots.pml: a look-up gives what one
 *     version holds.)
 *  4. The tables of a generation map what the slot table holds when they are begun: under the lock, so nothing is
 *     buffered. What faults map later is of the same version or a newer one. Which CPU begins them does not matter.
 */
#define N     3
#define BUMPS 3
#define LAST  (BUMPS + 1)
#ifndef BUF
#define BUF 2
#endif

/* The words that are accessed without the lock. */
#define GEN   0 /* front.valid_gen */
#define SEQ   1 /* slots.seq; removal n raises it from n to n + 1, and that version holds slots n + 1, n + 2, ... */
#define EPOCH 2 /* mmu_host_epoch */
/* Those of CPU 0 and its vCPU: */
#define BUSY  3 /* mmu_host_cpu[0].busy */
#define ENT   4 /* vcpu[0]->entered */
#define REQ   5 /* vcpu[0]->requests, MMU_REQ_RELOAD */
#define WORDS 6
/* Once `busy` is seen to be 0, so is all that was stored before. */
#define ON_DRAIN(cpu, word, value)                                                                           \
	if                                                                                                   \
	:: word == BUSY && value == 0 -> pointer = 0                                                         \
	:: else                                                                                              \
	fi
byte pointer; /* CPU 0 may hold pointers into this slot and those after it; 0: none */
#include "tso.h"

bit lock;
byte root;	     /* vcpu[0]->root.gen */
byte inside;	     /* the generation on which vCPU 0 really is in the guest, or 0; for assertions */
byte maps[LAST + 1]; /* the tables of each generation map this slot and those after it; 0: there are no tables yet */
byte reused;	     /* the memory of this slot serves another purpose by now; 0: of none */

/* The claims, rule 4: no CPU reaches memory that serves another purpose, */
#define BY_POINTER 1 /* ... by a pointer that the host holds */
#define AS_GUEST   2 /* ... as a guest */
#define OUT_OF_REACH                                                                                         \
	CLAIM(BY_POINTER, pointer == 0 || pointer > reused);                                                 \
	CLAIM(AS_GUEST, inside == 0 || maps[inside] > reused)

inline REMOVAL()
{
	atomic {
		mem[GEN] < LAST && lock == 0 && FENCED;
		lock = 1;
		g = mem[GEN] + 1;
#ifdef epoch_before_publish
		mem[EPOCH] = mem[EPOCH] + 1
	}
	atomic {
#endif
#ifndef publish_after_bump
		STORE(SEQ, g) /* publish() */
	}
	atomic {
#endif
		STORE(GEN, g) /* mmu_bump() */
	}
	atomic {
		FENCED;
		mem[REQ] = 1
	}
	atomic {
		FENCED;
#ifndef epoch_before_publish
		mem[EPOCH] = mem[EPOCH] + 1; /* mmu_host_epoch_next(), locked */
#endif
#ifdef publish_after_bump
		lock = 0
	}
	atomic {
		lock == 0;
		lock = 1;
		STORE(SEQ, g)
	}
	atomic {
		FENCED;
#endif
		lock = 0;
		g = 0
	}
}

inline BEGIN_TABLES(gen)
{
	if
	:: maps[gen] == 0 -> maps[gen] = mem[SEQ]
	:: else
	fi
}

proctype other(byte c)
{
	byte g;

	do
	:: REMOVAL()
	:: atomic {
		lock == 0 && maps[mem[GEN]] == 0;
		BEGIN_TABLES(mem[GEN])
	   }
	od
}

proctype cpu0()
{
	byte c, g, k, x;

top:
	atomic {
		LOAD(x, BUSY); /* mmu_cpu_quiescent() */
		g = mem[EPOCH]; /* atomic_load(&mmu_host_epoch) */
		if
		:: x == g ->
			x = 0;
			g = 0;
			goto host
		:: else -> x = 0
		fi
	}
#ifdef plain_busy
	atomic { STORE(BUSY, g) }
#endif
	atomic {
		FENCED;
		mem[BUSY] = g; /* atomic_xchg(&busy, now) */
		g = 0;
#ifndef pointer_kept
		pointer = 0
#endif
	}
host:
	if
	:: REMOVAL();
	   goto host

	/* ---- look-up ---- */
	:: atomic {
		pointer == 0;
		LOAD(x, SEQ);
		pointer = x;
		x = 0;
		OUT_OF_REACH;
		goto host
	   }

	/* ---- once more round the loop ---- */
	:: goto top

	/* ---- idle, and awake again ---- */
	:: atomic {
		STORE(BUSY, 0); /* mmu_cpu_idle() */
		goto top
	   }

	/* ---- reload ---- */
	:: atomic {
		mem[REQ] && lock == 0 && FENCED;
		mem[REQ] = 0;
		root = mem[GEN];
		BEGIN_TABLES(root);
		goto host
	   }

	/* ---- enter ---- */
	:: atomic {
#ifdef entered_late
		root != 0 && mem[REQ] == 0 && mem[GEN] == root
	   }
	   atomic {
#endif
		root != 0 && FENCED;
#ifdef plain_enter
		STORE(ENT, root);
#else
		mem[ENT] = root;
#endif
		pointer = 0
	   }
#if !defined(no_recheck) && !defined(entered_late)
	   atomic {
		LOAD(x, REQ);
		if
		:: x ->
			FENCED;
			x = 0;
			mem[ENT] = 0;
			goto top
		:: else
		fi
	   }
#endif
	   atomic {
		LOAD(x, GEN);
#if !defined(no_recheck) && !defined(entered_late)
		if
		:: x != root ->
			FENCED;
			x = 0;
			mem[ENT] = 0;
			goto top
		:: else
		fi;
#endif
		x = 0;
		inside = root;
		OUT_OF_REACH;
		STORE(BUSY, 0)
	   }

	/* ---- leave ---- */
#ifndef busy_after_exit
	   atomic { STORE(BUSY, mem[EPOCH]) } /* mmu_exit_on(): busy, before `entered` */
#endif
	   atomic {
		FENCED;
		inside = 0;
		mem[ENT] = 0;
#ifdef busy_after_exit
		STORE(BUSY, mem[EPOCH]);
#endif
		goto host
	   }
	fi
}

/* Removal n has returned, with the ticket { gen = n, host_epoch = n + 1 }. */
#if defined(ticket_host_only) || defined(ticket_at_once)
#define quiescent(n) true
#else
#define quiescent(n) (mem[ENT] == 0 || mem[ENT] > n)
#endif
#if defined(ticket_guest_only) || defined(ticket_at_once)
#define passed(n) true
#else
#define passed(n) (mem[BUSY] == 0 || mem[BUSY] > n)
#endif
active proctype owner()
{
	byte n;

end_ticket:
	if
	:: mem[EPOCH] > 1 && quiescent(1) -> n = 1
	:: mem[EPOCH] > 2 && quiescent(2) -> n = 2
	:: mem[EPOCH] > 3 && quiescent(3) -> n = 3
	fi;
end_busy:
	atomic {
		passed(n);
		reused = n;
		OUT_OF_REACH
	}
}

init
{
	atomic {
		mem[GEN] = 1;
		mem[SEQ] = 1;
		mem[EPOCH] = 1;
		mem[REQ] = 1;
		run cpu0();
		run other(1);
		run other(2)
	}
}
