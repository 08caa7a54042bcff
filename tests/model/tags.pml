/* SPDX-License-Identifier: MIT */
/*
 * What is in the TLBs of CPUs on which vCPUs come and go (contract, rules 6 and 11), in every interleaving of three CPUs
 * with store buffers (tso.h): two vCPUs that run on either of two CPUs, also one after the other on the same; a third
 * CPU that bumps and flushes; and three frames that become roots again as soon as no vCPU has them loaded. What the
 * models have in common: tables.pml.
 *
 *	here		in the code
 *	change		mmu_bump(), mmu_flush_request(), ask() (mm/mmu/generation.c)
 *	reload		reload(), ept_root(), mmu_load_root(), drop_root() (mm/mmu/vcpu.c)
 *	make ready	mmu_make_ready() (mm/mmu/tags.c): before a handshake, and again after one that fails
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu/mmu.h)
 *	pick		vcpu_run() and the run queues (hv/run.c, hv/sched.c): locked, so a vCPU's stores arrive before it does
 *
 * Two searches: with two bumps, so that frames come round; with two flushes.
 *
 * What is left out or joined, besides points 3, 4 and 6 of tables.pml, which hold here too:
 *  1. A TLB, of translations tagged by one frame, is the oldest of them: the generation of the root that gave it, and the
 *     flush epoch of which the tables were when it was walked. A guest uses its root at once when it has entered.
 *  2. A frame is free when no vCPU has it loaded: sooner than in the code, where its generation must have been left.
 *  3. Which vCPUs are kicked: tables.pml and flush.pml. Requests are here for RELOAD only.
 */
#define N      3
#ifndef BUMPS
#define BUMPS 2
#endif
#define LAST   (BUMPS + 1)
#ifndef EPOCHS
#define EPOCHS 1 /* the last flush epoch; the first is 1 */
#endif
#ifndef BUF
#define BUF 3
#endif

/* The claims. */
#define SAME_ROOT 1 /* nothing in the TLB is from a root that had this frame before */
#define SINCE_IN  2 /* nor from before the flush epoch that the vCPU says it entered in: grace relies on that */

/* The words that are accessed without the lock. */
#define GEN	 0	   /* front.valid_gen */
#define EPOCH	 1	   /* front.flush_epoch */
#define ENT(v)	 (2 + (v)) /* vcpu[v]->entered */
#define SINCE(v) (4 + (v)) /* vcpu[v]->entered_epoch */
#define REQ(v)	 (6 + (v)) /* vcpu[v]->requests, MMU_REQ_RELOAD */
#define CPUS(f)	 (8 + (f)) /* of the root in frame f: bit c is for CPU c */
#define CUTS	 11	   /* the tables are without what this flush epoch takes away */
#define WORDS	 12
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

#define FRAMES 3
bit lock;
bit taken[2];	   /* some CPU has picked this vCPU */
byte root_gen[2];  /* of the vCPU's root; 0: none */
byte root_at[2];   /* its frame */
byte valid_at;	   /* mmu->root: the frame of the valid root; FRAMES: there is none */
byte tlb_gen[6];   /* CPU c, frame f: at c * FRAMES + f; 0: empty */
byte tlb_epoch[6];

#define TLB	  (c * FRAMES + root_at[v])
#define pinned(f) ((root_gen[0] && root_at[0] == (f)) || (root_gen[1] && root_at[1] == (f)))
#ifdef tag_by_vcpu /* each vCPU flushes once for its root, wherever that is */
#define flushed_here (once[v] == root_gen[v])
byte once[2];
#else
#define flushed_here (x & (1 << c))
#endif

proctype cpu(byte c)
{
	byte k, x, g, v;

top:
	/* ---- pick ---- */
	if
	:: atomic {
		!taken[0];
		taken[0] = 1;
		v = 0
	   }
	:: atomic {
		!taken[1];
		taken[1] = 1;
		v = 1
	   }
	fi;
	if
	/* ---- reload ---- */
	:: atomic {
		mem[REQ(v)] && lock == 0 && FENCED;
		lock = 1
	   }
	   atomic {
		if
		:: mem[ENT(1 - v)] != 0 && mem[ENT(1 - v)] < mem[GEN] ->
			lock = 0;
			goto drop
		:: else
		fi;
		if /* ept_root() */
		:: valid_at == FRAMES ->
			if
			:: !pinned(0) -> valid_at = 0
			:: !pinned(1) -> valid_at = 1
			:: !pinned(2) -> valid_at = 2
			fi;
#ifndef cpus_kept
			STORE(CPUS(valid_at), 0)
#endif
		:: else
		fi;
		root_gen[v] = mem[GEN];
		root_at[v] = valid_at
	   }
	   atomic {
		FENCED;
		mem[REQ(v)] = 0;
		lock = 0;
		goto drop
	   }

	/* ---- make ready ---- */
	:: atomic {
		root_gen[v] != 0;
		LOAD(g, EPOCH);
		STORE(SINCE(v), g);
		g = 0
	   }
	   atomic {
		LOAD(x, CPUS(root_at[v])); /* atomic_load(&v->root.page->cpus) */
		if
		:: flushed_here -> goto enter
		:: else
		fi
	   }
	   atomic {
		FENCED;
		mem[CPUS(root_at[v])] = mem[CPUS(root_at[v])] | (1 << c)
#ifdef tag_by_vcpu
		;
		once[v] = root_gen[v]
#endif
	   }
#ifndef no_invept_new_root
	   atomic {
		tlb_gen[TLB] = 0;
		tlb_epoch[TLB] = 0
	   }
#endif
	   /* ---- enter ---- */
enter:
	   atomic {
		FENCED;
		x = 0;
		mem[ENT(v)] = root_gen[v]
	   }
	   atomic {
		LOAD(x, REQ(v));
		if
		:: x -> goto out
		:: else
		fi
	   }
	   atomic {
		LOAD(x, GEN);
		if
		:: x != root_gen[v] -> goto out
		:: else
		fi
	   }
	   atomic {
		LOAD(x, EPOCH);
		if
		:: x != mem[SINCE(v)] -> goto out
		:: else
		fi
	   }
	   atomic {
		if
		:: tlb_gen[TLB] == 0 ->
			tlb_gen[TLB] = root_gen[v];
			tlb_epoch[TLB] = mem[CUTS]
		:: else
		fi;
		CLAIM(SAME_ROOT, tlb_gen[TLB] == root_gen[v]);
		CLAIM(SINCE_IN, tlb_epoch[TLB] >= mem[SINCE(v)])
	   }

	/* ---- leave, and stay on this CPU ---- */
	   if
	   :: atomic {
		FENCED;
		x = 0;
		mem[ENT(v)] = 0;
		goto enter
	      }
	   :: true
	   fi;
	/* ---- leave, or back out ---- */
out:
	   atomic {
		FENCED;
		x = 0;
		mem[ENT(v)] = 0;
		goto drop
	   }
	fi;
drop:
	atomic {
		FENCED;
		taken[v] = 0;
		v = 0;
		goto top
	}
}

proctype changer()
{
	byte c = 2, k;

end:
	do
	/* ---- bump ---- */
	:: atomic {
		mem[GEN] < LAST && lock == 0 && FENCED;
		lock = 1;
		STORE(GEN, mem[GEN] + 1);
		valid_at = FRAMES
	   }
	   atomic {
		FENCED;
		mem[REQ(0)] = 1
	   }
	   atomic {
		mem[REQ(1)] = 1;
		lock = 0
	   }

	/* ---- flush ---- */
	:: atomic {
		mem[EPOCH] < EPOCHS && lock == 0 && FENCED;
		lock = 1;
		STORE(CUTS, mem[EPOCH] + 1)
	   }
#ifndef tags_last
	   atomic {
		if
#ifndef tags_kept
		:: valid_at != FRAMES -> STORE(CPUS(valid_at), 0)
#endif
		:: else
		fi
	   }
#endif
	   atomic { STORE(EPOCH, mem[EPOCH] + 1) }
#ifdef tags_last
	   atomic {
		if
		:: valid_at != FRAMES -> STORE(CPUS(valid_at), 0)
		:: else
		fi
	   }
#endif
	   atomic {
		FENCED;
		lock = 0
	   }
	od
}

init
{
	atomic {
		mem[GEN] = 1;
		mem[EPOCH] = 1;
		mem[CUTS] = 1;
		mem[REQ(0)] = 1;
		mem[REQ(1)] = 1;
		valid_at = FRAMES;
		run cpu(0);
		run cpu(1);
		run changer()
	}
}
