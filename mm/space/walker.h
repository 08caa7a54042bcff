/* SPDX-License-Identifier: MIT */
/*
 * The guest page-table walker (SDM Vol. 3A 4.3 to 4.7): what the CPU would do with a linear address of the guest's, in
 * any paging mode, with all rights rules, accessed and dirty flags and error codes.
 *
 *	mode		CR0.PG	CR4.PAE	EFER.LMA CR4.LA57	tables, from the root
 *	off		0					none: linear is physical
 *	32-bit		1	0				2 of 1024 4-byte entries; 4 MiB pages (PSE, PSE-36)
 *	PAE		1	1	0			4 latched PDPTEs, then 2
 *	4-level		1	1	1	0		4; 2 MiB and 1 GiB pages
 *	5-level		1	1	1	1		5
 *
 * Protection keys, shadow stacks and LAM are not offered to guests, so CR4.PKE, CET and PKS cannot be set; they are not
 * looked at.
 */
#pragma once

#include "mm/mmu/mmu.h"

/* Beside MMU_READ, MMU_WRITE, MMU_EXEC (mm/mmu/mmu.h) in an access: */
/* To a descriptor table, TSS, ...: supervisor whatever CPL, SMAP whatever AC. */
#define WALK_IMPLICIT (1u << 3)
#define WALK_PEEK     (1u << 4) /* for dumps: sets no accessed and dirty flags */

#define WALK_LEVELS 5

/* A table entry that a walk went through. */
struct walk_step {
	gpa_t at;	/* where it lies; WALK_LATCHED: in the CPU, a PDPTE of PAE paging */
	uint64_t entry; /* as it was found, with the flags that this walk set */
};
#define WALK_LATCHED (~0ull)

/*
 * A walk with all it saw. Levels as the SDM's figures read from the right: 1 is a PTE. Valid are the steps from level
 * `top` down to `leaf`, or, when the walk ended in a fault, to the level where it did.
 */
struct guest_walk {
	struct walk_step step[WALK_LEVELS]; /* of level n: step[n - 1] */
	unsigned top;			    /* 0: paging is off */
	unsigned leaf;
	unsigned shift;	     /* the page is 1 << shift bytes; 0: paging is off */
	uint64_t all;	     /* of all entries: PTE_U, PTE_W set in every one */
	uint64_t any;	     /* PTE_NX set in some; meaningful if EFER.NXE */
	gpa_t out;	     /* what `at` translates to */
	uint32_t error_code; /* if it faulted */
};

/*
 * Translates `at` for an access: MMU_READ, MMU_WRITE (a read-modify-write too) or MMU_EXEC, with WALK_*, made at CPL
 * r->cpl. Sets accessed and dirty flags as the CPU does, by atomic compare-exchange, once the access is allowed.
 * Tables where there is no RAM read as all ones; in ROM they keep their flags.
 *
 * 0: w->out. -E_FAULT: a page fault, w->error_code as the CPU would push it (SDM Vol. 3A 4.7). -E_RANGE: not canonical
 * (a general protection or stack fault, the caller's to tell). -E_AGAIN: others change the entries faster than flags
 * can be set; let the guest try again. No lock; w tells of the moment it was read.
 */
int guest_walk_record(
	struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, struct guest_walk *w);

/* The same for callers that only need the address; *error_code is set with -E_FAULT only. */
int guest_walk(struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, gpa_t *out,
	uint32_t *error_code);
