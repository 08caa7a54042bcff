/* SPDX-License-Identifier: MIT */
/*
 * Memory as x86 shows it to CPUs: total store order (SDM Vol. 3A 9.2).
 *
 *	CPU 0    CPU 1    CPU 2		Each CPU has a FIFO of its stores. A load takes the youngest store to its word
 *	 |        |        |		from there, else what memory holds. A store leaves its FIFO at any time
 *	[sb]     [sb]     [sb]		(memory_system), in order. A locked instruction and a fence wait until their
 *	 |________|________|		own CPU's FIFO is empty (FENCED); the former works on memory itself.
 *	     mem[WORDS]
 *
 * This is all that tells TSO from an interleaving of instructions (Owens, Sarkar, Sewell: x86-TSO, 2009), and nothing
 * less can show a fence that is missing.
 *
 * A FIFO has room for BUF stores. That is a bound, but not a loss: a store that finds no room is an error, so a search
 * without errors has also shown that the room is enough for all that the modelled code can do.
 *
 * Not words of `mem`, since TSO and an interleaving give them the same runs:
 *  - the locks. Taking one is a locked instruction. Dropping it is a store, which leaves the FIFO behind all stores that
 *    were made under it; until then others find the lock taken, as if they had looked a little earlier.
 *  - what only holders of a lock read and write (lists, pins, counts): it is in memory before the lock looks free.
 * Taking the lock may be one step with what is done first under it, dropping it with what is done last: no CPU can tell.
 *
 * To be defined before: N (CPUs), WORDS, BUF, ON_DRAIN. Where these are used, `c` is the CPU and `k` a local variable.
 */
#ifndef ONLY
#define ONLY 0
#endif
/* What must be true, by a number of the model's; ONLY this one if it is not 0, to see which mutant breaks which. */
#define CLAIM(number, what) assert((ONLY && ONLY != number) || (what))

byte mem[WORDS];
typedef fifo {
	byte n;
	byte at[BUF];
	byte v[BUF]
};
fifo sb[N];

#define FENCED (sb[c].n == 0)

inline STORE(word, value)
{
	assert(sb[c].n < BUF);
	sb[c].at[sb[c].n] = word;
	sb[c].v[sb[c].n] = value;
	sb[c].n++
}

inline LOAD(x, word)
{
	x = mem[word];
	k = 0;
	do
	:: k < sb[c].n ->
		if
		:: sb[c].at[k] == (word) -> x = sb[c].v[k]
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0
}

/* The oldest store of a CPU reaches memory. What is empty is 0, so that equal states look equal. */
inline DRAIN(cpu)
{
	ON_DRAIN(cpu, sb[cpu].at[0], sb[cpu].v[0]);
	mem[sb[cpu].at[0]] = sb[cpu].v[0];
	sb[cpu].n--;
	for (k : 0 .. BUF - 2) {
		sb[cpu].at[k] = sb[cpu].at[k + 1];
		sb[cpu].v[k] = sb[cpu].v[k + 1]
	}
	sb[cpu].at[BUF - 1] = 0;
	sb[cpu].v[BUF - 1] = 0;
	k = 0
}

active proctype memory_system()
{
	byte k;
end:
	do
	:: d_step { sb[0].n -> DRAIN(0) }
	:: d_step { sb[1].n -> DRAIN(1) }
	:: d_step { sb[2].n -> DRAIN(2) }
	od
}
