/* SPDX-License-Identifier: MIT */
/*
 * The generation protocol of the MMU: bump, handshake, grace and reclaim, in every interleaving of three CPUs with store
 * buffers (tso.h). One of six models:
 *
 *	tables.pml	three vCPUs, three bumps: which vCPU may run on which tables, and when tables are freed
 *	ram.pml		the memory of removed slots: tickets, and pointers that the host holds
 *	flush.pml	within a generation: flush epochs, and what TLBs keep
 *	tags.pml	vCPUs that change CPU or share one, root frames used again: one bit a CPU and root
 *	dirty.pml	the dirty log: write faults, page-modification logging, stores by the host
 *	slots.pml	the slot table, read without a lock
 *
 * They can be checked apart because none reads what another adds: tickets, host epochs and flush epochs play no part in
 * which vCPU enters on which generation or in the freeing of obsolete tables, and reclaim writes no word that they look at.
 *
 * Here each CPU runs one vCPU through the loop of hv/run.c and may, whenever it is in root mode, start the removal of a
 * slot: three in all, so bumps overlap in every way that three can. A removal may also bump twice, since its version of
 * the slot table may be one at which MMIO entries come round. A CLAIM is one sentence of the contract (rules 1 to 5 and
 * 11). Each mutant (#ifdef; the names of mm/mutant.h where it has them) must make the claims fail that are its own, each
 * with the others switched off: tests/model/run.
 *
 *	here		in the code
 *	bump		take_away() (mm/space/slots_change.c), mmu_slots_published(), mmu_remove() (mm/mmu/removal.c), mmu_bump(),
 *			ask() (mm/mmu/generation.c), mmu_unlock() (mm/mmu/mmu.c); -DEAGER: mmu_reclaim_all() (mm/mmu/reclaim.c)
 *	reload		mmu_serve() (mm/mmu/mmu.h), reload(), drop_root() (mm/mmu/vcpu.c), mmu_quiescent_below() (mm/mmu/grace.c),
 *			spage_unpin() (mm/mmu/page.c)
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu/mmu.h)
 *	reclaim, NEXT	mmu_reclaim(), next() (mm/mmu/reclaim.c), mmu_horizon() (mm/mmu/grace.c)
 *	retire		mmu_retire() (mm/mmu/reclaim.c), as called by spage_new() and mmu_make_available_slow()
 *	idle		idle() (hv/sched.c)
 * Each atomic { } is one access to a word that others access without the lock, with what may be joined to it. Accesses
 * are in the order of the code; what a step stands for is written at its side.
 *
 * That reclaim ends: no vCPU stays in the guest on an old generation unless its kick is on the way (`asked`); a batch stops
 * short only for such a one (`waits`), and each other batch gives half a page or more of finitely many; and whenever all
 * vCPUs have halted, nothing is left (`watch`). That a call waits for no CPU: bump has no guard but the lock and the
 * CPU's own store buffer, nor has anything else that is done under the lock; -DLINGER, where guests may never react to
 * their kicks, shows that no call is left hanging.
 *
 * What is left out or joined, and why no run is lost that could break an assertion:
 *  1. Sending the kicks is a straight line after the lock is dropped. It is asserted that each vCPU in the guest on an
 *     old generation will be kicked. The exit itself may come at any time, kicked or not, as guests have exits of
 *     their own; a kick that comes late makes one exit more.
 *  2. A CPU that looks which vCPUs are in the guest is not in it: it need not read its own `entered`. Its own request is
 *     read by no other CPU: it is set together with another.
 *  3. To see that requests or valid_gen changed and to back out is one step: they do not change back, so one that is slow
 *     to back out may as well be slow to look.
 *  4. A vCPU may try to enter with a request pending, which mmu_serve() would not let it: more runs than the code has. So
 *     has it that reclaim and reload may be left out in any round. A reclaim that would find `draining` set, or wait
 *     for the lock behind it, is left out.
 *  5. A root has a table below it at once, not at the first fault. A table made later is freed on the same conditions.
 *     Faults refuse roots that are not current, under the lock (mm/mmu/fault.c).
 *  6. A vCPU counts as in the guest from the last look in mmu_enter() to the exchange in mmu_exit(): longer than it is.
 *  7. A batch is one page, and a table needs two batches: the first stops inside it (`half`). That no CPU walks a page is
 *     asserted when it is taken to be cleared, and that a vCPU's tables are not taken, when it enters.
 *  8. Generations start at 1 and stay small: nothing but their order is used.
 */
#define N     3
#define BUMPS 3
#define LAST  (BUMPS + 1) /* generation; the first is 1 */
#ifndef BUF
#define BUF 2
#endif

/* The claims. With -DONLY=n all others hold. */
#define KICKED	 1 /* rule 1: every vCPU in the guest on an older generation will leave it */
#define TOLD	 2 /* a vCPU that is turned away has the request that says why, or will have it in a moment */
#define ONE_GEN	 3 /* rule 3: no two generations run at once */
#define RUNS_ON	 4 /* rule 4: a vCPU does not run on a table that was freed, or is about to be */
#define WALKED	 5 /* rules 4 and 5: what is about to be cleared, no CPU walks */
#define SORTED	 6 /* rule 5: reclaim stops only where a CPU may still be walking, however many pages are new */
#define PINNED	 7 /* rule 11: the root of a vCPU is the MMU's memory as long as it is loaded */
#define RETURNS	 8 /* rule 1: no call has been left waiting, whichever other CPU stood still */
#define ALL_FREE 9 /* rule 5: nothing obsolete is left but roots that halted vCPUs have loaded */

/* The words that are accessed without the lock. */
#define GEN    0	     /* front.valid_gen */
#define ENT(i) (1 + (i))     /* vcpu[i]->entered */
#define REQ(i) (1 + N + (i)) /* vcpu[i]->requests, MMU_REQ_RELOAD */
#define WORDS  (1 + 2 * N)
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

mtype = { none, listed, put_aside, pending, taken, freed }; /* states of a page, see mm/mmu/mmu.c */
mtype root_page[LAST + 1];				     /* the root of each generation */
mtype table[LAST + 1];					     /* the table below it */
byte half;	/* the table of this generation is half cleared: mmu->partial */
bit lock, draining;
byte root[N];	/* vcpu[i]->root.gen; each is a pin */
byte inside[N]; /* the generation on which vCPU i really is in the guest, or 0; for assertions */

#define NEXT_CPU  ((c + 1) % N)
#define THIRD_CPU ((c + 2) % N)

#define left(i, g)	  (mem[ENT(i)] == 0 || mem[ENT(i)] > (g))
#define out_or_on(i, g)	  (inside[i] == 0 || inside[i] == (g))
#define nobody_on(g)	  (inside[0] != (g) && inside[1] != (g) && inside[2] != (g))
#define asked(i, kicking) (out_or_on(i, mem[GEN]) || (kicking))
#define loaded(g)	  (root[0] == (g) || root[1] == (g) || root[2] == (g))

/* Of the pages of generation g. */
#define on_list(g) (root_page[g] == listed || table[g] == listed)
#define debt_of(g) (mem[GEN] > (g) && (on_list(g) || root_page[g] == pending))
#define all_left(g) (left(0, g) && left(1, g) && left(2, g))
#define ready(g)   (mem[GEN] > (g) && (root_page[g] == pending || (on_list(g) && all_left(g))))
#define waits(g)   ((g) < h && (g) < mem[GEN] && on_list(g))
#define gone(page) (page == none || page == freed)
#define spared(g)  (root_page[g] == put_aside && loaded(g))
#define owing(g)   (mem[GEN] > (g) && !(gone(table[g]) && (gone(root_page[g]) || spared(g))))

#define debt_listed (debt_of(1) || debt_of(2) || debt_of(3))
#define debt	    (half || debt_listed)
#define reclaimable (half || ready(1) || ready(2) || ready(3))

/* ---- mutants of single steps ---- */
#if defined(no_fence) || defined(fence_alone)
#define REQUEST(i) STORE(REQ(i), 1)
#else
#define REQUEST(i) FENCED; mem[REQ(i)] = 1
#endif
#ifdef no_fence /* nothing locked between the stores and the look at `entered` */
#define FENCE true
#else
#define FENCE FENCED
#endif
#ifdef no_kick
#define to_kick(x) false
#else
#define to_kick(x) (x != 0 && x != g)
#endif
/* Notes the CPUs that are not on generation g for a kick; a note that was made stays. */
#define LOOK_WHO_IS_IN(i)                                                                                    \
	if                                                                                                   \
	:: c != i ->                                                                                         \
		x = mem[ENT(i)];                                                                             \
		if                                                                                           \
		:: to_kick(x) && i == NEXT_CPU -> kick_next = 1                                              \
		:: to_kick(x) && i == THIRD_CPU -> kick_third = 1                                            \
		:: else                                                                                      \
		fi;                                                                                          \
		x = 0                                                                                        \
	:: else                                                                                              \
	fi
#ifdef no_wait
#define may_reload(i) true
#else
#define may_reload(i) left(i, mem[GEN] - 1)
#endif
#ifdef entered_late
#define may_enter (mem[GEN] == root[c] && mem[REQ(c)] == 0)
#else
#define may_enter true
#endif
#ifdef plain_enter
#define EXCHANGE_IN STORE(ENT(c), root[c])
#else
#define EXCHANGE_IN mem[ENT(c)] = root[c]
#endif
#ifdef free_pinned_root
#define pinned(g) false
#else
#define pinned(g) loaded(g)
#endif
#ifdef new_at_tail
#define obsolete_at_tail !on_list(mem[GEN])
#else
#define obsolete_at_tail true
#endif
#ifdef two_drainers
#define alone true
#else
#define alone (draining == 0)
#endif

/* mmu_horizon(), vCPU i: pages of generations below h can be freed. */
inline LOOK(i)
{
	if
#ifdef horizon_of_one
	:: i == NEXT_CPU && mem[ENT(i)] != 0 && mem[ENT(i)] < h -> h = mem[ENT(i)]
#elif !defined(free_before_grace)
	:: mem[ENT(i)] != 0 && mem[ENT(i)] < h -> h = mem[ENT(i)]
#endif
	:: else
	fi
}

/* next(): what waits on pending-free; else from the active list's tail, oldest generation first, and of that the root,
 * which is older than the table. Takes `what` of generation g; g = 0: nothing. */
#define ROOT  1
#define TABLE 2
inline NEXT()
{
	g = 1;
	do
	:: g < mem[GEN] && root_page[g] != pending -> g++
	:: else -> break
	od;
	if
	:: g < mem[GEN] ->
		root_page[g] = taken;
		what = ROOT
	:: else ->
		g = 1;
		do
		:: what == 0 && g < h && g < mem[GEN] && obsolete_at_tail ->
			if
			:: root_page[g] == listed && pinned(g) -> root_page[g] = put_aside
			:: root_page[g] == listed && !pinned(g) ->
				root_page[g] = taken;
				what = ROOT
			:: root_page[g] != listed && table[g] == listed ->
				table[g] = taken;
				what = TABLE
			:: else -> g++
			fi
		:: else -> break
		od
	fi;
	if
	:: what -> CLAIM(WALKED, nobody_on(g))
	:: else ->
		CLAIM(SORTED, !waits(1) && !waits(2) && !waits(3));
		g = 0
	fi
}

proctype cpu(byte c)
{
	byte g, h, k, x, what;
	bit kick_next, kick_third, twice;

top:
	if
	/* ---- bump ---- */
	:: atomic {
		mem[GEN] < LAST && lock == 0 && FENCED;
		lock = 1; /* mmu_lock() */
#ifdef look_before_ask
		kick_next = (mem[ENT(NEXT_CPU)] != 0);
		kick_third = (mem[ENT(THIRD_CPU)] != 0);
#endif
again:
		g = mem[GEN] + 1;
		STORE(GEN, g) /* mmu_bump(): front.valid_gen = gen */
	   }
#ifndef bump_without_request
	   atomic { REQUEST(0) } /* ask(), first loop */
	   atomic { REQUEST(1) }
	   atomic { REQUEST(2) }
#ifndef look_before_ask
	   atomic {
		FENCE; /* atomic_fence() */
		LOOK_WHO_IS_IN(0) /* second loop: `entered`, and which to kick */
	   }
	   atomic { LOOK_WHO_IS_IN(1) }
	   atomic { LOOK_WHO_IS_IN(2) }
#endif
#endif
	   if
	   :: atomic {
		/* mmu_slots_published() has bumped, mmu_remove() does it again. */
		mem[GEN] < LAST && !twice && FENCED;
		twice = 1;
		goto again
	      }
	   :: true
	   fi;
#if defined(EAGER) || defined(call_waits)
	   /* mmu_kick_noted(), and then, with the lock held: */
	   atomic { left(NEXT_CPU, g - 1) && FENCED }
	   atomic { left(THIRD_CPU, g - 1) }
#endif
#ifdef EAGER
	   atomic {
		h = g;
		do
		:: NEXT();
		   if
		   :: what == ROOT -> root_page[g] = freed
		   :: what == TABLE -> table[g] = freed
		   :: else -> break
		   fi;
		   what = 0
		od;
		h = 0;
		/* Nothing of before is left, even now. */
		CLAIM(ALL_FREE, half || draining || (!owing(1) && !owing(2) && !owing(3)))
	   }
#endif
	   atomic {
		FENCED;
		/* mmu_unlock(): the kicks are sent. */
		CLAIM(KICKED, asked(NEXT_CPU, kick_next) && asked(THIRD_CPU, kick_third));
		kick_next = 0;
		kick_third = 0;
		twice = 0;
		g = 0;
		lock = 0;
		goto top
	   }

	/* ---- reload ---- */
	:: atomic {
		mem[REQ(c)] && lock == 0 && FENCED; /* mmu_serve() */
		lock = 1; /* reload() */
#ifdef request_cleared_first
		mem[REQ(c)] = 0;
#endif
		if
		:: may_reload(NEXT_CPU) /* mmu_quiescent_below() */
		:: else ->
			lock = 0;
			goto top
		fi
	   }
	   atomic {
		if
		:: may_reload(THIRD_CPU)
		:: else ->
			lock = 0;
			goto top
		fi;
		mem[REQ(c)] = 0;
		g = root[c];
		root[c] = mem[GEN]; /* ept_root(), spage_pin(), drop_root() */
		if
		:: g != 0 ->
			CLAIM(PINNED, root_page[g] == listed || root_page[g] == put_aside);
			if /* spage_unpin() */
#ifndef unpin_forgets
			:: root_page[g] == put_aside && !loaded(g) -> root_page[g] = pending
#endif
			:: else
			fi
		:: else
		fi;
		if
		:: root_page[root[c]] == none ->
			root_page[root[c]] = listed;
			table[root[c]] = listed
		:: else
		fi;
		g = 0;
		lock = 0;
		goto top
	   }

	/* ---- enter ---- */
	:: atomic {
		root[c] != 0 && FENCED && may_enter;
#ifdef entered_late
	   }
	   atomic {
#endif
		EXCHANGE_IN /* atomic_xchg(&v->entered, v->root.gen) */
	   }
#if !defined(no_recheck) && !defined(entered_late)
	   atomic {
		LOAD(x, REQ(c)); /* atomic_load(&v->requests) */
		if
		:: x ->
			FENCED;
			x = 0;
			mem[ENT(c)] = 0; /* atomic_xchg(&v->entered, 0) */
			goto top
		:: else
		fi
	   }
#endif
	   atomic {
		LOAD(x, GEN); /* atomic_load(&v->front->valid_gen) */
#if !defined(no_recheck) && !defined(entered_late)
		if
		:: x != root[c] ->
			CLAIM(TOLD, mem[REQ(c)] || lock);
			FENCED;
			x = 0;
			mem[ENT(c)] = 0;
			goto top
		:: else
		fi;
#endif
		x = 0;
		inside[c] = root[c];
		CLAIM(ONE_GEN, out_or_on(0, root[c]) && out_or_on(1, root[c]) && out_or_on(2, root[c]));
		CLAIM(RUNS_ON, root_page[root[c]] == listed && table[root[c]] == listed)
	   }

	/* ---- leave ---- */
#ifdef LINGER
	   if
	   :: true
	   :: goto stuck
	   fi;
#endif
	   atomic {
		FENCED;
		inside[c] = 0;
		mem[ENT(c)] = 0; /* atomic_xchg(&v->entered, 0) */
		goto top
	   }

	/* ---- reclaim ---- */
	:: atomic {
		debt && alone && lock == 0 && FENCED;
drain:
		draining = 1; /* atomic_xchg(&mmu->draining, 1) */
		lock = 1;
		h = mem[GEN]; /* mmu_horizon() */
		LOOK(NEXT_CPU)
	   }
	   atomic {
		LOOK(THIRD_CPU);
		if /* detach_batch() */
		:: half ->
			g = half;
			half = 0
		:: else -> NEXT()
		fi;
		h = 0;
		lock = 0;
		if
		:: g == 0 ->
			draining = 0;
			goto top
		:: else
		fi
	   }
	   atomic {
		lock == 0;
		if /* pool_put(), or mmu->partial */
		:: what == ROOT -> root_page[g] = freed
		:: what == TABLE -> half = g
		:: else -> table[g] = freed
		fi;
		what = 0;
		g = 0;
		draining = 0;
		goto top
	   }

	/* ---- retire: two pages at once under the lock, beside a CPU that drains ---- */
	:: atomic {
		debt_listed && lock == 0 && FENCED;
		lock = 1;
		h = mem[GEN];
		LOOK(NEXT_CPU)
	   }
	   atomic {
		LOOK(THIRD_CPU);
#ifdef retire_too_soon
		h = mem[GEN];
#endif
		k = 2;
		do
		:: k ->
			NEXT();
			if
			:: what == ROOT -> root_page[g] = freed
			:: what == TABLE -> table[g] = freed
			:: else -> break
			fi;
			what = 0;
			k--
		:: else -> break
		od;
		k = 0;
		h = 0;
		g = 0;
		lock = 0;
		goto top
	   }

	/* ---- idle: the vCPU halts for good; CPU 0 goes on reclaiming ---- */
	:: goto end_idle
	fi;
end_idle:
	atomic {
		c == 0 && reclaimable && draining == 0 && lock == 0 && FENCED;
		goto drain
	}
#ifdef LINGER
stuck:
end_stuck:
	false
#endif
}

/* When nothing moves any more: all vCPUs have halted, and CPU 0 finds nothing to reclaim. */
active proctype watch()
{
end_watch:
	timeout;
	CLAIM(RETURNS, lock == 0);
#ifndef LINGER
	CLAIM(ALL_FREE, half == 0 && !owing(1) && !owing(2) && !owing(3))
#endif
}

init
{
	byte i;

	atomic {
		mem[GEN] = 1;
		for (i : 1 .. LAST) {
			root_page[i] = none;
			table[i] = none
		}
		mem[REQ(0)] = 1;
		mem[REQ(1)] = 1;
		mem[REQ(2)] = 1;
		run cpu(0);
		run cpu(1);
		run cpu(2)
	}
}
