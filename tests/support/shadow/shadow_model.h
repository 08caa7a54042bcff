/* SPDX-License-Identifier: MIT */
/*
 * The model for the tests of shadow page tables: what a guest may observe that has page tables of its own, by a naive walk of
 * them.
 *
 * Some frames of guest memory may be tables. Of each, a few entries (cells) are ever used, and of each cell the model keeps what
 * was in it and when, in versions: a counter that grows whenever a look at guest memory (shadow_model_scan()) finds a cell changed.
 *
 *	value 1 |----------)			[from, until): the value may be observed at these versions
 *	value 2       |---------------)		they overlap while a store by the host is under way
 *
 * A guest's TLB may hold what its tables said at any time since the guest flushed it, the upper levels of a walk no later than
 * the lower ones, since the walk reads them first. What is not in the TLB is what the tables say now. So an access that
 * reaches memory is right if some walk with all values from after the flush gives that frame, with the flags A and D set in what the walk
 * read: the CPU sets them before it caches. A fault is right if some walk with values of the time of the access gives it.
 *
 * The slots of the VM have versions, too. What a slot mapped may be reached until a vCPU has entered after it went, or its ticket
 * is ready (contract, rules 3 and 4), whatever the guest flushed.
 */
#pragma once

#include "mm/mmu/internal.h"
#include "mm/space/walker.h"

#define MODEL_TABLES 40u
#define MODEL_CELLS  9u /* of 8 bytes each; a 32-bit table has two entries in each */
#define MODEL_SLOTS  256u
#define MODEL_OPEN   UINT64_MAX

/* The entries of 8 bytes that are used. */
extern const uint16_t shadow_model_index[MODEL_CELLS];

void shadow_model_reset(struct mmu *mmu);
/* The frame at gfn may be a table from now on; its cells are 0 as yet, or there is no RAM. */
void shadow_model_table(uint64_t gfn);

/* The version of now. */
uint64_t shadow_model_now(void);
/* Looks at all cells. What has changed since the last look may only be flags that the CPU sets, unless a store is under way. */
void shadow_model_scan(void);

/* A store (into at most two frames), or a change of the map, that takes its time: what was there before may be observed until its
 * end. Both look. `pages` from gfn are touched; cells of other frames must stay as they are. */
unsigned shadow_model_begin(uint64_t gfn, uint64_t pages);
/* The same for a store through the guest's own mapping into the host's frame. */
unsigned shadow_model_begin_frame(uint64_t frame);
void shadow_model_end(unsigned op);

/* ---- the map ---- */
struct model_map {
	uint64_t base, pages, backing_page;
	struct backing *backing;
	unsigned flags;
	/* Versions: may be there from, is there from, may be gone from, is gone from. */
	uint64_t from, sure, fading, until;
};
/* Between begin and end of an operation: a slot is there from its end on, or is gone. Returns its number. */
unsigned shadow_model_slot_add(const struct model_map *m);
const struct model_map *shadow_model_slot(unsigned slot);
void shadow_model_slot_gone(unsigned slot);
/* It gets other flags: returns the number of the slot in its place. Both are to be told that it is done. */
unsigned shadow_model_slot_flags(unsigned slot, unsigned flags);
void shadow_model_slot_done(unsigned slot); /* before the operation's end */
/* What was gone before this version is reached by no vCPU from now on. */
void shadow_model_forget(uint64_t version);
/* As forget(): a vCPU has found that gfn is in no slot, or in none for writing, and may tell others. */
void shadow_model_told(uint64_t gfn);
/* Version of the map of now: the frame at gfn, 0 for none. */
uint64_t shadow_model_frame(uint64_t gfn);

/* ---- questions ---- */
enum model_want {
	MODEL_FRAME, /* the access reaches the host's frame `value` */
	MODEL_GPA,   /* the access is allowed, to the gpa `value` */
	MODEL_FAULT, /* a page fault with error code `value` */
};

struct model_question {
	const struct paging_regs *regs;
	uint64_t at;
	unsigned access; /* MMU_READ, MMU_WRITE or MMU_EXEC, with WALK_IMPLICIT */
	uint64_t since;	 /* the version of the flush, or of the beginning of the access */
	enum model_want want;
	uint64_t value;
	bool flags; /* A and D must have been set */
};
/* True if that may be. */
bool shadow_model_allows(const struct model_question *q);
/* True if gfn may have been in no slot (or in a read-only one) at some time since this version. */
bool shadow_model_hole(uint64_t gfn, uint64_t since);
bool shadow_model_rom(uint64_t gfn, uint64_t since);
/* From now until shadow_model_write_end() a write to q->at may set the D flag of what its walk ends in. */
void shadow_model_write_begin(const struct model_question *q);
void shadow_model_write_end(void);
/* What the tables say now, as text, for a failure. */
void shadow_model_explain(const struct paging_regs *regs, uint64_t at);

struct model_seen {
	uint64_t changes, widest, given_up;
};
extern struct model_seen model_seen;
