/* SPDX-License-Identifier: MIT */
/*
 * The slot table that is read without a lock: ram.pml takes for granted that slots_find() (mm/map/slots.c) gives what one
 * published version holds. Here it is shown, with the stores of draft() and publish() (mm/space/slots_change.c) in the
 * writer's store buffer (tso.h): versions of two words each, which the reader must never mix. A deletion (slot_delete()) stores
 * 0 to the first word of the buffer in force, a slot's `pages`, and raises the version by 2. A reader may meet that 0 before
 * the version is raised, as if it came a moment later; it must not miss it afterwards, nor meet it in another table.
 *
 * CPU 0 writes. Writers hold the MMU lock, so one stands for all: a CPU that takes the lock after another finds
 * all of the other's stores in memory. A change may end with a bump, whose locked instructions empty the store buffer, or not
 * (slot_add()). CPU 1 reads; readers write nothing that is believed (`hint` is checked), so one stands for all.
 */
#define ONE_VERSION 1 /* the claim: what a look-up believes is of one version */

#define N     3
#define LAST  7 /* version */
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

byte table[LAST + 3];  /* of each version: the one that its buffer was written for */
bool gone[LAST + 3];   /* the slot of that table is being deleted, or is */
bool without[LAST + 3]; /* the version is one after the deletion */

proctype writer()
{
	byte c, version = 1;

	do
	:: version < LAST && !without[version] ->
		/* slot_delete() */
		FENCED;
		table[version + 2] = table[version];
		without[version + 2] = true;
		gone[table[version]] = true;
#ifdef deleted_late
		STORE(SEQ, version + 2);
		STORE(WORD(version, 0), 0);
#else
		STORE(WORD(version, 0), 0);
		STORE(SEQ, version + 2);
#endif
		version = version + 2
	:: version < LAST ->
		/* Another CPU's lock, or the same one's. */
		FENCED;
		version++;
		table[version] = version;
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
		CLAIM(ONE_VERSION, again != seq || (second == table[seq] &&
			((first == second && !without[seq]) || (first == 0 && gone[second]))));
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
		table[1] = 1;
		run writer();
		run reader()
	}
}
