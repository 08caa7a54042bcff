/* SPDX-License-Identifier: MIT */
/*
 * The dirty log (contract, rule 13), in every interleaving of three CPUs with store buffers (tso.h): two whose guests write
 * to one page of a logged slot, and a third that stores to it as a device does, and that copies the page elsewhere
 * whenever a reading of the log says that it was written, as soon as the reading's ticket is ready. In the end, with
 * all guests halted and the last reading done, the copy must be the page. By write faults; -DWITH_PML: by page-modification
 * logging (there without the device, to which it makes no difference). What the models have in common: tables.pml.
 *
 *	here		in the code
 *	BEGIN		slot_add() (mm/space/slots_change.c), dirty_logs_count() (mm/mmu/dirty_pml.c)
 *	FLUSH		mmu_flush_request(), ask() (mm/mmu/generation.c)
 *	fault		mmu_fault() (mm/mmu/fault.c), map_ram(), choose(), leaf_entry() (mm/mmu/ept.c), dirty_pml_ready()
 *	make ready	mmu_make_ready() (mm/mmu/tags.c): before a handshake, and again after one that fails
 *	enter, leave	mmu_enter_on(), mmu_exit_on() (mm/mmu/mmu.h), mmu_pml_drain() (mm/mmu/dirty_pml.c)
 *	reading		dirty_log_read_clear(), read_chunk(), acknowledgement() (mm/mmu/dirty_read.c), ept_rearm() (mm/mmu/ept_zap.c)
 *	ready		mmu_ticket_ready(), mmu_flushed() (mm/mmu/grace.c)
 *	host store	guest_write() (mm/space/guest_mem.c), dirty_mark() (mm/mmu/dirty.h)
 *
 * What is left out or joined, besides points 1 to 4 and 6 of tables.pml, which hold here too:
 *  1. There is one generation: a bump forgets entries, which only makes writes fault. `entered` is 0 or 1.
 *  2. The page's entry is changed by the CPUs (D) and under the lock (all else) by locked instructions, so it is in
 *     memory at once. The mark in the log is a locked OR.
 *  3. A host store and its mark are within one pass of the run loop, and the ticket waits for that (ram.pml): while it
 *     is going on (`storing`) no ticket is ready. Here the device is on the CPU that copies, so that is so by itself.
 *  4. A buffer never fills up: that is one exit more.
 *  5. A guest may read the page at any time, so its TLB has the entry whenever it could have it.
 *  6. The copier sees all that is in memory when the ticket is ready. A guest's store may still be in its CPU's store
 *     buffer then only if that CPU has not left the guest.
 */
#define N      3
#define WRITES 2 /* by guest 0 */
#ifndef READINGS
#define READINGS 1 /* besides the last */
#endif
#ifndef BUF
#define BUF 4
#endif

/* The claim. */
#define SAME 1 /* rule 13: nothing that was written is missing in the copy */

/* The words that are accessed without the lock. */
#define EPOCH	 0	   /* front.flush_epoch */
#define PML	 1	   /* front.pml */
#define LOG	 2	   /* the page's bit */
#define CPUS(i)	 (3 + (i)) /* root->cpus, bit i */
#define ENT(i)	 (5 + (i)) /* vcpu[i]->entered */
#define SINCE(i) (7 + (i)) /* vcpu[i]->entered_epoch */
#define PAGE	 9	   /* how often guest 0 has written to its part of the page */
#define BYTE	 10	   /* the device's part */
#define WORDS	 11
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

bit lock;
bit logged;	/* the slot is in the table */
byte pml_epoch; /* mmu->pml_epoch */
/* The page's entry, bits of it: */
#define P 1
#define W 2
#define D 4
byte entry;
byte tlb[2];	/* as the guest's CPU has it cached; 0: not */
bit pml[2];	/* page-modification logging is on in its VMCS */
bit buffer[2];	/* the page is in its buffer */
byte copy, copied_byte;
bit stop; /* a request to stay out, which the handshake looks at as at all others */

#ifdef dirty_no_flush
#define FLUSHES false
#else
#define FLUSHES any
#endif
#ifdef pml_too_soon
#define flushed(i, e) true
#else
#define flushed(i, e) (mem[ENT(i)] == 0 || mem[SINCE(i)] >= (e))
#endif
#ifdef copied_at_once
#define acknowledged(i, e) true
#else
#define acknowledged(i, e) (mem[ENT(i)] == 0 || mem[SINCE(i)] >= (e))
#endif
#define known(i) ((tlb[i] & W) && (tlb[i] & D))

proctype guest(byte c)
{
	byte g, k, x, n;
	bit ready;

top:
	if
	/* ---- make ready ---- */
	:: atomic {
		!stop;
#ifdef pml_looked_at_first
		LOAD(x, PML);
		pml[c] = x;
		x = 0
	   }
	   atomic {
#endif
		LOAD(g, EPOCH);
		STORE(SINCE(c), g);
		g = 0
	   }
	   if
	   :: atomic {
		mem[CPUS(c)] == 0 && FENCED;
		mem[CPUS(c)] = 1
	      }
	      atomic { tlb[c] = 0 } /* INVEPT */
	   :: atomic { mem[CPUS(c)] }
	   fi;
#ifndef pml_looked_at_first
	   atomic {
		LOAD(x, PML); /* ops->pml_set() */
		pml[c] = x;
		x = 0
	   }
#endif

	   /* ---- enter ---- */
enter:
	   atomic {
		FENCED;
		mem[ENT(c)] = 1
	   }
	   atomic {
		LOAD(x, EPOCH);
		if
		:: x != mem[SINCE(c)] || stop ->
			x = 0;
			mem[ENT(c)] = 0;
			goto top
		:: else -> x = 0
		fi;
		goto in
	   }

	:: atomic {
		stop;
		goto end
	   }
	fi;

	/* ---- in the guest ---- */
in:
	if
	:: atomic {
		/* Reads: the TLB gets the entry. */
		(entry & P) && tlb[c] == 0;
		tlb[c] = entry;
		goto in
	   }
	:: atomic {
		/* Writes through the TLB, where W and D are known to be set. */
		c == 0 && n < WRITES && known(0);
		n++;
		STORE(PAGE, n);
		goto in
	   }
	:: atomic {
		/* Writes after a walk, which sets D by a locked instruction. */
		n < WRITES && !known(c) && (entry & W) && FENCED && (c == 0 || !(entry & D));
		if
		:: !(entry & D) && pml[c] -> buffer[c] = 1
		:: else
		fi;
		entry = entry | D;
		tlb[c] = entry;
		if
		:: c == 0 ->
			n++;
			STORE(PAGE, n)
		:: else
		fi;
		goto in
	   }
	:: atomic {
		/* A violation: by a write, or a read where nothing is. It drops what the TLB has of the page. */
		logged && ((n < WRITES && !(entry & W)) || !(entry & P));
		tlb[c] = 0;
		x = (n < WRITES -> 2 : 1);
		if
		:: !(entry & P) -> x = 1
		:: true
		fi
	   }
	:: true
	fi;

	/* ---- leave ---- */
#ifdef drained_after_exit
	atomic {
		FENCED;
		mem[ENT(c)] = 0
	}
#endif
#ifdef WITH_PML
	atomic {
		if
		:: buffer[c] ->
			FENCED;
#ifndef pml_not_drained
			mem[LOG] = 1; /* mmu_pml_drain() */
#endif
			buffer[c] = 0
		:: else
		fi
	}
#endif
#ifndef drained_after_exit
	atomic {
		FENCED;
		mem[ENT(c)] = 0
	}
#endif
	if
	:: x == 0
	/* ---- fault: x is 2 for a write, 1 for a read ---- */
	:: atomic {
		x && lock == 0 && FENCED;
		lock = 1;
		ready = mem[PML] && flushed(0, pml_epoch)
	   }
	   atomic {
		ready = ready && flushed(1, pml_epoch);
		if
		:: x == 2 ->
#ifndef write_unmarked
			mem[LOG] = 1;
#endif
			entry = P | W | D
		:: x == 1 && !(entry & P) -> entry = (ready -> P | W : P)
		:: else
		fi;
		ready = 0;
		x = 0;
		lock = 0
	   }
	fi;
	goto enter;
end:
	skip
}

/* mmu_flush_request(): the tags, the epoch, the fence. (Which CPUs are kicked: flush.pml.) */
inline FLUSH()
{
	atomic { STORE(CPUS(0), 0) }
	atomic { STORE(CPUS(1), 0) }
	atomic { STORE(EPOCH, mem[EPOCH] + 1) }
	atomic { FENCED }
}

inline READ()
{
	atomic {
		lock == 0 && FENCED;
		lock = 1;
		ready = mem[PML] && flushed(0, pml_epoch)
	}
	atomic { ready = ready && flushed(1, pml_epoch) }
#ifdef rearmed_first
	atomic {
		if
		:: mem[LOG] -> entry = (ready -> entry & ~D : entry & ~W)
		:: else
		fi
	}
#endif
	atomic {
		any = mem[LOG]; /* atomic_xchg(word, 0) */
		mem[LOG] = 0
	}
#ifndef rearmed_first
	atomic {
		if
		:: any -> entry = (ready -> entry & ~D : entry & ~W) /* ept_rearm() */
		:: else
		fi;
		ready = 0
	}
#endif
	if
	:: FLUSHES ->
		FLUSH()
	:: else
	fi;
	atomic {
		lock = 0;
		g = mem[EPOCH] /* the ticket: of this flush or of the last */
	}
	/* A copy when the ticket is ready. */
	atomic { acknowledged(0, g) }
	atomic {
		acknowledged(1, g);
		g = 0
	}
	if
	:: any ->
		atomic {
			copy = mem[PAGE];
			LOAD(copied_byte, BYTE);
			any = 0
		}
	:: else
	fi
}

proctype copier()
{
	byte c = 2, g, k, x, n, readings;
	bit ready, any;

	/* The slot is logged from the beginning: BEGIN, within one hold of the lock. */
	atomic {
		lock == 0;
		lock = 1;
		logged = 1;
#ifdef WITH_PML
		STORE(PML, 1)
	}
	FLUSH();
	atomic {
		FENCED;
		pml_epoch = mem[EPOCH];
#endif
		lock = 0
	}
	do
	:: readings < READINGS ->
		READ();
		readings++
#ifndef WITH_PML
	:: n < 1 ->
		/* ---- host store ---- */
#ifdef marked_before_store
		atomic {
			n++;
			mem[LOG] = 1
		}
		if
		:: readings < READINGS ->
			READ();
			readings++
		:: true
		fi;
		atomic { STORE(BYTE, n) }
#else
		atomic {
			n++;
#ifdef host_store_unlogged
			STORE(BYTE, n)
#else
			STORE(BYTE, n)
		}
		if
		:: readings < READINGS ->
			READ();
			readings++
		:: true
		fi;
		atomic {
			FENCED;
			mem[LOG] = 1
#endif
		}
#endif
	:: readings == READINGS && n == 1 -> break
#else
	:: readings == READINGS -> break
#endif
	od;
	/* The last reading is done with none inside. */
	stop = 1;
	atomic { mem[ENT(0)] == 0 }
	atomic { mem[ENT(1)] == 0 }
	READ();
	atomic { FENCED; CLAIM(SAME, copy == mem[PAGE] && copied_byte == mem[BYTE]) }
}

init
{
	atomic {
		mem[EPOCH] = 1;
		run guest(0);
		run guest(1);
		run copier()
	}
}
