/* SPDX-License-Identifier: MIT */
/*
 * Flushes within a generation, in every interleaving of three CPUs with store buffers (tso.h).
 *
 * Three times a table is evicted, a slot unmapped entry by entry or a dirty log read, by any CPU, while vCPUs enter and
 * leave. One entry is followed: one of the flushes cuts it, and what it led to (a table; the memory of a slot; the right
 * to write) has another use as soon as the code says that it may. A CPU keeps its translations until an INVEPT. What the
 * models have in common: tables.pml.
 *
 *	here		in the code
 *	FLUSH		evict() (mm/mmu/evict.c), mmu_remove() (mm/mmu/removal.c), dirty_log_read_clear() (mm/mmu/dirty_read.c);
 *			mmu_flush_request(), ask() (mm/mmu/generation.c)
 *	SERVE		mmu_serve_slow() (mm/mmu/vcpu.c), mmu_flushed() (mm/mmu/grace.c)
 *	make ready	mmu_serve() (mm/mmu/mmu.h), mmu_make_ready() (mm/mmu/tags.c)
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu/mmu.h)
 *	owner		mmu_horizon(), mmu_flushed() (mm/mmu/grace.c), as asked by next() and mmu_ticket_ready()
 *
 * What is left out or joined, besides points 1 to 4 and 6 of tables.pml, which hold here too:
 *  1. There is one generation, so `entered` is 0 or 1, and one root. (Roots of other generations have a `cpus` word each,
 *     and tables.pml shows that no two of them are entered at once.)
 *  2. Every assertion is about translations of one CPU, and the CPUs are alike: number 0 is watched. What the others tell
 *     of themselves (entered, entered_epoch, their bits of root->cpus) could only make a CPU wait, back out or
 *     flush more often. Without it there are more runs. Of them, CPU 1 also enters, after CPU 0 should have left; CPU 2
 *     does as well as it, and is left to flush. Requests are made in either order, so the two are alike.
 *  3. CPU 0 has the translation cached if the entry was there when it entered: its guest may have touched it at once.
 *  4. A bit of root->cpus that is clear is set by its own CPU only: to find it clear and to set it is one step.
 */
#define N	3
#define FLUSHES 3
#define LAST	(FLUSHES + 1) /* flush epoch; the first is 1 */
#ifndef BUF
#define BUF 3
#endif

/* The claims. */
#define KICKED 1 /* every CPU that may have the old translations will leave the guest */
#define FRESH  2 /* no CPU enters and stays with translations of before a flush: they are current, or a kick is coming */
#define SERVED 3 /* rules 3 and 6: when rights were taken away, no CPU goes on while another still has them */
#define UNSEEN 4 /* rule 6: no old translation leads to what has another use */

/* The words that are accessed without the lock. */
#define EPOCH  0 /* front.flush_epoch; flush n raises it from n to n + 1 */
#define ENTRY  1 /* leads to what is followed; 0: cut */
/* Those of CPU 0 and its vCPU: */
#define CPUS   2 /* root->cpus, bit 0: it has dropped what older roots and older entries left in its TLB */
#define ENT    3 /* vcpu[0]->entered */
#define SINCE  4 /* vcpu[0]->entered_epoch */
#define REQ(i) (5 + (i)) /* vcpu[i]->requests, MMU_REQ_FLUSH; i is 0 or 1 */
#define WORDS  7
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

bit lock;
byte cut;     /* the flush epoch in which the entry is cut; 0: not yet */
bit rights;   /* ... by a flush that all must have left for: rights were taken away */
bit returned; /* ... and the call has returned */
bit reused;   /* what the entry led to has another use */
/* Of CPU 0, for assertions: */
bit going;    /* from the last look of mmu_enter() to the exchange of mmu_exit() */
bit inside;   /* in the guest */
bit cached;   /* its TLB leads through the entry */

#define stale (going && mem[SINCE] < mem[EPOCH])

/* ---- mutants of single steps ---- */
#ifdef no_fence
#define FENCE true
#else
#define FENCE FENCED
#endif
#ifdef no_kick
#define to_kick(x) false
#else
#define to_kick(x) (x != 0)
#endif
#ifdef flush_running_only
#define KEPT (mem[ENT] == 0 && mem[CPUS])
#else
#define KEPT 0
#endif
#ifdef flush_without_ack
#define let_go(epoch) true
#else
#define let_go(epoch) (mem[SINCE] >= (epoch))
#endif

/* all: with a request to every CPU. cuts: it is this one that cuts the entry. */
inline FLUSH()
{
	atomic {
		mem[EPOCH] < LAST && lock == 0 && FENCED;
		lock = 1;
		g = mem[EPOCH] + 1;
		if
		:: all = 1
		:: true
		fi;
		if
		:: cut == 0 ->
			cut = g;
			rights = all;
			cuts = 1;
#ifndef cut_last
			STORE(ENTRY, 0) /* ept_cut(), spte_set(), ept_rearm() */
#endif
		:: true
		fi
	}
#ifndef tags_last
	atomic { STORE(CPUS, KEPT) } /* mmu_flush_request(): root->cpus = 0 */
#endif
	atomic { STORE(EPOCH, g) } /* front.flush_epoch = epoch */
#ifdef tags_last
	atomic { STORE(CPUS, KEPT) }
#endif
#ifdef cut_last
	atomic {
		if
		:: cuts -> STORE(ENTRY, 0)
		:: else
		fi
	}
#endif
	if
	:: atomic {
		all && FENCED;
		mem[REQ(0)] = 1
	   }
	   atomic {
		FENCED;
		mem[REQ(1)] = 1
	   }
	:: atomic {
		all && FENCED;
		mem[REQ(1)] = 1
	   }
	   atomic {
		FENCED;
		mem[REQ(0)] = 1
	   }
	:: !all
	fi;
	atomic {
		FENCE; /* ask(): atomic_fence(), which CPUs are in */
		x = mem[ENT];
		kick = to_kick(x);
		x = 0
	}
	atomic {
		FENCED;
		CLAIM(KICKED, !stale || kick);
		if
		:: cuts && all -> returned = 1
		:: else
		fi;
		kick = 0;
		cuts = 0;
		all = 0;
		g = 0;
		lock = 0
	}
}

proctype other(byte c)
{
	byte g, k, x;
	bit all, cuts, kick, late;

top:
	if
	:: FLUSH();
	   goto top

	/* ---- serve ---- */
	:: atomic {
		c == 1 && mem[REQ(1)] && FENCED;
#ifndef request_cleared_last
		mem[REQ(1)] = 0
#endif
	   }
	   atomic { g = mem[EPOCH] }
	   if
	   :: mem[ENT] == 0
	   :: mem[ENT] != 0 ->
		if
		:: let_go(g)
		:: atomic {
			!let_go(g) && FENCED;
			g = 0;
			mem[REQ(1)] = 1;
			goto top
		   }
		fi
	   fi;
	   atomic {
		FENCED;
#ifdef request_cleared_last
		mem[REQ(1)] = 0;
#endif
		g = 0;
		goto top
	   }

	/* ---- enter and leave ---- */
	:: atomic {
		c == 1 && mem[REQ(1)] == 0;
		late = returned
	   }
	   atomic {
		CLAIM(SERVED, !(late && rights && inside && cached));
		late = 0;
		goto top
	   }
	fi
}

proctype cpu0()
{
	byte c, g, k, x;
	bit all, cuts, kick;

top:
	if
	:: FLUSH();
	   goto top

	/* ---- serve: no other CPU is watched, so it need not wait ---- */
	:: atomic {
		mem[REQ(0)] && FENCED;
		mem[REQ(0)] = 0;
		goto top
	   }

	/* ---- make ready: after a handshake that failed, whose exchange has emptied the store buffer ---- */
#ifndef epoch_read_last
	:: atomic {
		FENCED;
		LOAD(g, EPOCH);
		STORE(SINCE, g);
		g = 0
	   }
#else
	:: FENCED;
#endif
	   if
	   :: atomic {
		mem[CPUS] == 0 && FENCED;
		mem[CPUS] = 1
	      }
	      cached = 0 /* INVEPT */
	   :: mem[CPUS]
	   fi;
#ifdef epoch_read_last
	   atomic {
		LOAD(g, EPOCH);
		STORE(SINCE, g);
		g = 0
	   }
#endif
	   goto top

	/* ---- enter, when it has been made ready some time ---- */
	:: atomic {
		FENCED && mem[SINCE];
		mem[ENT] = 1
	   }
	   atomic {
		LOAD(x, REQ(0));
		if
		:: x ->
			x = 0;
			mem[ENT] = 0;
			goto top
		:: else
		fi
#ifndef no_epoch_recheck
	   }
	   atomic {
		LOAD(x, EPOCH);
		if
		:: x != mem[SINCE] ->
			x = 0;
			mem[ENT] = 0;
			goto top
		:: else -> x = 0
		fi
#endif
		;
		going = 1;
		CLAIM(FRESH, !stale || lock)
	   }
	   atomic {
		inside = 1;
		if
		:: mem[ENTRY] -> cached = 1
		:: else
		fi;
		CLAIM(UNSEEN, !cached || !reused)
	   }

	/* ---- leave ---- */
	   atomic {
		FENCED;
		going = 0;
		inside = 0;
		mem[ENT] = 0;
		goto top
	   }
	fi
}

/* What the entry led to is free once all CPUs that entered before the cut have left. */
active proctype owner()
{
end_owner:
	if
	:: cut && mem[EPOCH] >= cut && mem[ENT] == 0
	:: cut && mem[EPOCH] >= cut && mem[ENT] != 0 ->
end_wait:
		let_go(cut)
	fi;
	atomic {
		reused = 1;
		CLAIM(UNSEEN, !inside || !cached)
	}
}

init
{
	atomic {
		mem[EPOCH] = 1;
		mem[ENTRY] = 1;
		run cpu0();
		run other(1);
		run other(2)
	}
}
