/* SPDX-License-Identifier: MIT */
/*
 * The generation protocol of the MMU: bump, handshake, grace and reclaim, in every interleaving of three CPUs with store
 * buffers (tso.h). One of four models:
 *
 *	tables.pml	three vCPUs, three bumps: who may run on which tables, and when tables are freed
 *	ram.pml		the memory of removed slots: tickets, and pointers that the host holds
 *	flush.pml	within a generation: flush epochs, and what TLBs keep
 *	slots.pml	the slot table, read without a lock
 *
 * They can be checked apart because none reads what another adds: tickets, host epochs and flush epochs play no part in
 * who enters on which generation or in the freeing of obsolete tables, and reclaim writes no word that they look at.
 *
 * Here each CPU runs one vCPU through the loop of hv/run.c and may, whenever it is in root mode, start the removal of a
 * slot: three in all, so bumps overlap in every way that three can. An assertion is one sentence of the contract (rules
 * 1 to 5 and 11). Each mutant (#ifdef; the names of mm/mutant.h where it has them) must make one fail: tests/model/run.
 *
 *	here		in the code
 *	bump		take_away() (mm/slots_change.c), mmu_remove() (mm/mmu_removal.c), mmu_bump(), ask() (mm/mmu_gen.c),
 *			mmu_unlock() (mm/mmu.c)
 *	reload		mmu_serve() (mm/mmu.h), reload(), drop_root() (mm/mmu_vcpu.c), mmu_quiescent_below() (mm/mmu_grace.c),
 *			spage_unpin() (mm/mmu_page.c)
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu.h)
 *	reclaim, NEXT	mmu_reclaim(), next() (mm/mmu_reclaim.c), mmu_horizon() (mm/mmu_grace.c)
 *	idle		idle() (hv/sched.c)
 * Each atomic { } is one access to a word that others access without the lock, with what may be joined to it.
 *
 * That reclaim ends: nobody stays in the guest on an old generation unless his kick is on the way (`asked`); a batch stops
 * short only for such a one (`waits`), and each other batch gives half a page or more of finitely many; and whenever all
 * vCPUs have halted, nothing is left (`watch`). That a call waits for nobody: bump has no guard but the lock and the
 * CPU's own store buffer, nor has anything else that is done under the lock; -DLINGER, where guests may never react to
 * their kicks, shows that no call is left hanging.
 *
 * What is left out or joined, and why no run is lost that could break an assertion:
 *  1. Sending the kicks is a straight line after the lock is dropped. It is asserted that whoever is in the guest on an
 *     old generation will be kicked. The exit itself may come at any time, kicked or not, as guests have exits of
 *     their own; a kick that comes late makes one exit more.
 *  2. A CPU that looks who is in the guest is not in the guest: it need not read its own `entered`. Its own request is
 *     read by nobody else: it is set together with another.
 *  3. To see that requests or valid_gen changed and to back out is one step: they do not change back, so one who is slow
 *     to back out may as well be slow to look.
 *  4. A vCPU may try to enter with a request pending, which mmu_serve() would not let it: more runs than the code has. So
 *     has it that reclaim and reload may be left out in any round. A reclaim that would find `draining` set, or wait
 *     for the lock behind it, is left out.
 *  5. A root has a table below it at once, not at the first fault. A table made later is freed on the same conditions.
 *     Faults refuse roots that are not current, under the lock (mm/mmu_fault.c).
 *  6. A vCPU counts as in the guest from the last look in mmu_enter() to the exchange in mmu_exit(): longer than it is.
 *  7. A batch is one page, and a table needs two batches: the first stops inside it (`half`). That nobody walks a page is
 *     asserted when it is taken to be cleared, and that a vCPU's tables are not taken, when it enters. mmu_retire()
 *     takes pages by the same NEXT with the same horizon under the lock: it is not modelled apart.
 *  8. Generations start at 1 and stay small: nothing but their order is used.
 */
#define N     3
#define BUMPS 3
#define LAST  (BUMPS + 1) /* generation; the first is 1 */
#ifndef BUF
#define BUF 2
#endif

/* The words that are accessed without the lock. */
#define GEN    0	     /* front.valid_gen */
#define ENT(i) (1 + (i))     /* vcpu[i]->entered */
#define REQ(i) (1 + N + (i)) /* vcpu[i]->requests, MMU_REQ_RELOAD */
#define WORDS  (1 + 2 * N)
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

mtype = { none, listed, put_aside, pending, taken, freed }; /* states of a page, see mm/mmu.c */
mtype root_page[LAST + 1];				     /* the root of each generation */
mtype table[LAST + 1];					     /* the table below it */
byte half;	/* the table of this generation is half cleared: mmu->partial */
bit lock, draining;
byte root[N];	/* vcpu[i]->root_gen; each is a pin */
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

#define debt	    (half || debt_of(1) || debt_of(2) || debt_of(3))
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
#ifndef free_before_grace
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
	:: what -> assert(nobody_on(g)) /* rules 4 and 5: what is about to be cleared, nobody walks */
	:: else ->
		/* Rule 5: it stops only where somebody may still be walking, however many pages are new. */
		assert(!waits(1) && !waits(2) && !waits(3));
		g = 0
	fi
}

proctype cpu(byte c)
{
	byte g, h, k, x, what;
	bit kick_next, kick_third;

top:
	if
	/* ---- bump ---- */
	:: atomic {
		mem[GEN] < LAST && lock == 0 && FENCED;
		lock = 1;
		g = mem[GEN] + 1;
#ifdef look_before_ask
		kick_next = (mem[ENT(NEXT_CPU)] != 0);
		kick_third = (mem[ENT(THIRD_CPU)] != 0);
#endif
		STORE(GEN, g)
	   }
#ifndef bump_without_request
	   atomic { REQUEST(NEXT_CPU) }
	   atomic {
		REQUEST(THIRD_CPU);
		REQUEST(c)
	   }
#ifndef look_before_ask
	   atomic {
		FENCE;
		x = mem[ENT(NEXT_CPU)];
		kick_next = to_kick(x);
		x = 0
	   }
	   atomic {
		x = mem[ENT(THIRD_CPU)];
		kick_third = to_kick(x);
		x = 0
	   }
#endif
#endif
	   atomic {
		FENCED;
#ifdef call_waits
		left(NEXT_CPU, g - 1) && left(THIRD_CPU, g - 1);
#endif
		/* Rule 1: whoever is in the guest on an older generation will leave it. */
		assert(asked(NEXT_CPU, kick_next) && asked(THIRD_CPU, kick_third));
		kick_next = 0;
		kick_third = 0;
		g = 0;
		lock = 0;
		goto top
	   }

	/* ---- reload ---- */
	:: atomic {
		mem[REQ(c)] && lock == 0 && FENCED;
		lock = 1;
#ifdef request_cleared_first
		mem[REQ(c)] = 0;
#endif
		if
		:: may_reload(NEXT_CPU)
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
		root[c] = mem[GEN];
		if
		:: g != 0 ->
			/* Rule 11: the root of a vCPU is the MMU's memory as long as it is loaded. */
			assert(root_page[g] == listed || root_page[g] == put_aside);
			if
			:: root_page[g] == put_aside && !loaded(g) -> root_page[g] = pending
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
		EXCHANGE_IN
	   }
#if !defined(no_recheck) && !defined(entered_late)
	   atomic {
		LOAD(x, REQ(c));
		if
		:: x ->
			FENCED;
			x = 0;
			mem[ENT(c)] = 0;
			goto top
		:: else
		fi
	   }
#endif
	   atomic {
		LOAD(x, GEN);
#if !defined(no_recheck) && !defined(entered_late)
		if
		:: x != root[c] ->
			/* Whoever is turned away is told what to do about it, or will be in a moment. */
			assert(mem[REQ(c)] || lock);
			FENCED;
			x = 0;
			mem[ENT(c)] = 0;
			goto top
		:: else
		fi;
#endif
		x = 0;
		inside[c] = root[c];
		/* Rule 3: no two generations run at once. */
		assert(out_or_on(0, root[c]) && out_or_on(1, root[c]) && out_or_on(2, root[c]));
		/* Rule 4: it does not run on a table that was freed, or is about to be. */
		assert(root_page[root[c]] == listed && table[root[c]] == listed)
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
		mem[ENT(c)] = 0;
		goto top
	   }

	/* ---- reclaim ---- */
	:: atomic {
		debt && alone && lock == 0 && FENCED;
drain:
		draining = 1;
		lock = 1;
		h = mem[GEN];
		LOOK(NEXT_CPU)
	   }
	   atomic {
		LOOK(THIRD_CPU);
		if
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
		if
		:: what == ROOT -> root_page[g] = freed
		:: what == TABLE -> half = g
		:: else -> table[g] = freed
		fi;
		what = 0;
		g = 0;
		draining = 0;
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
	/* Rule 1: no call has been left waiting, whoever else did not come on. */
	assert(lock == 0);
#ifndef LINGER
	/* Rule 5: nothing obsolete is left but roots that halted vCPUs have loaded. */
	assert(half == 0 && !owing(1) && !owing(2) && !owing(3))
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
