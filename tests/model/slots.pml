/* SPDX-License-Identifier: MIT */
/*
 * The slot table that is read without a lock: ram.pml takes for granted that slots_find() (mm/slots.c) gives what one
 * published version holds. Here it is shown, with the stores of draft() and publish() (mm/slots_change.c) in the
 * writer's store buffer (tso.h): four versions, two words each, which the reader must never mix.
 *
 * CPU 0 writes. Writers hold the MMU lock, so one stands for all: who takes the lock after another, on another CPU, finds
 * all of his stores in memory. A change may end with a bump, whose locked instructions empty the store buffer, or not
 * (slot_add()). CPU 1 reads; readers write nothing that is believed (`hint` is checked), so one stands for all.
 */
#define ONE_VERSION 1 /* the claim: what a look-up believes is of one version */

#define N     3
#define LAST  5 /* version */
#define BUF   3
#define SEQ   0			    /* slots.seq */
#define WORD(version, i) (1 + 2 * ((version) & 1) + (i)) /* slots.buf[version & 1], word i */
#define WORDS 5
#define ON_DRAIN(cpu, word, value) skip
#include "tso.h"

#ifdef one_buffer
#define SPARE 1
#else
#define SPARE version
#endif

proctype writer()
{
	byte c, version = 1;

	do
	:: version < LAST ->
		/* Another CPU's lock, or the same one's. */
		FENCED;
		version++;
#ifdef publish_before_draft
		STORE(SEQ, version);
#endif
		STORE(WORD(SPARE, 0), version);
		STORE(WORD(SPARE, 1), version);
#ifndef publish_before_draft
		STORE(SEQ, version)
#endif
	:: else -> break
	od
}

proctype reader()
{
	byte c = 1, k, seq, first, second, again;

end:
	do
	:: atomic { LOAD(seq, SEQ) }
#ifdef one_buffer
#define READ 1
#else
#define READ seq
#endif
	   atomic { LOAD(first, WORD(READ, 0)) }
	   atomic { LOAD(second, WORD(READ, 1)) }
	   atomic {
		LOAD(again, SEQ);
#ifdef no_second_look
		again = seq;
#endif
		CLAIM(ONE_VERSION, again != seq || (first == seq && second == seq));
		seq = 0;
		first = 0;
		second = 0;
		again = 0
	   }
	od
}

init
{
	atomic {
		mem[SEQ] = 1;
		mem[WORD(1, 0)] = 1;
		mem[WORD(1, 1)] = 1;
		run writer();
		run reader()
	}
}
