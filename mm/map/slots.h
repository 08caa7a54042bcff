/* SPDX-License-Identifier: MIT */
/*
 * Guest memory slots: which gfns of a VM are backed by RAM, by which pieces of it, with which rights.
 * gfns that no slot covers are MMIO or holes; the platform (guest/) knows which.
 *
 * The table is immutable once published: a change builds a new one, publishes it and bumps the generation in
 * one critical section of the MMU lock (contract, rule 1). Changing it never waits.
 */
#pragma once

#include "lib/types.h"
#include "mm/host/frames.h"

struct mmu;

/* The RAM behind one or more slots: 2 MiB and 1 GiB pieces where the size allows, 4 KiB pieces for the rest.
 * Owned by the caller that allocated it; slots point to it. */
struct backing;

/* Takes `pages` of RAM for owner, zeroed. -E_NOMEM leaves nothing taken. */
int backing_alloc(uint64_t pages, owner_t owner, struct backing **out);
/* A backing over memory that has another owner: device memory, loaded images. -E_NOMEM; -E_INVAL. */
int backing_over(hpa_t at, uint64_t pages, struct backing **out);
/* `pages` of guest memory that are all of `of`, over and over, as with a memory chip that does not decode all of its
 * address lines. The memory stays of's, which must live longer. -E_INVAL: not a multiple of it; -E_NOMEM: also when `of`
 * has so many pieces, so often, that they cannot be written down (some 40,000). */
int backing_repeat(const struct backing *of, uint64_t pages, struct backing **out);
void backing_free(struct backing *b);
/* The same in turns that are short: gives back at most so many pieces (of 2 MiB, or 4 KiB). True: all is given back, and *b is
 * NULL; a *b that was NULL has nothing. Until then only this may be done with it. */
bool backing_free_some(struct backing **b, unsigned most);
uint64_t backing_pages(const struct backing *b);

#define SLOT_READONLY  (1u << 0) /* guest writes go to the platform (ROM) */
#define SLOT_DIRTY_LOG (1u << 1)

struct slot_desc {
	gfn_t base;
	uint64_t pages;
	unsigned flags;
	struct backing *backing;
	uint64_t backing_page; /* the slot's first page is this page of the backing */
};

typedef uint16_t slot_id;

/* A promise to be told when what a removal took away may be reused (contract, rule 4). */
struct mmu_ticket {
	uint64_t gen; /* the newest generation that could still reach it; 0: none (targeted removal) */
	uint64_t flush_epoch; /* a vCPU that entered before it could still reach it; 0: does not matter */
	uint64_t host_epoch;  /* CPUs busy since before it may hold a pointer */
};

/* Each returns at once; none waits for a vCPU. -E_EXIST: overlaps another slot; -E_RANGE: beyond the guest's
 * physical address width, wraps, or beyond the backing; -E_NOENT: no such slot; -E_NOMEM: too many slots.
 * Locks: take the MMU lock. */
int slot_add(struct mmu *mmu, const struct slot_desc *desc, slot_id *out);
int slot_delete(struct mmu *mmu, slot_id id, struct mmu_ticket *out);
int slot_move(struct mmu *mmu, slot_id id, gfn_t to, struct mmu_ticket *out);
int slot_set_flags(struct mmu *mmu, slot_id id, unsigned flags, struct mmu_ticket *out);
/* True once the VM is host-quiescent for the ticket: the removed slot's RAM may be reused. */
bool mmu_ticket_ready(struct mmu *mmu, const struct mmu_ticket *t);

/* guest_mem: the one way by which the hypervisor and its devices touch a guest's memory (contract, rule 14).
 * A range may cross slots. Reads and writes are complete or -E_FAULT before the first byte is touched; writes to
 * a read-only slot are -E_FAULT. Writes mark pages dirty and tell the shadow back end. Lock: none held by the
 * caller; callable from any CPU, never holding a pointer across the top of its run loop. Naturally aligned accesses
 * of 1, 2, 4 or 8 bytes are single accesses, as the guest's own would be. */
int guest_read(struct mmu *mmu, gpa_t at, void *to, size_t n);
int guest_write(struct mmu *mmu, gpa_t at, const void *from, size_t n);
/* As guest_write, but also into read-only slots: for loaders that fill in ROMs. */
int guest_write_rom(struct mmu *mmu, gpa_t at, const void *from, size_t n);
int guest_zero(struct mmu *mmu, gpa_t at, uint64_t n);
/* Atomic compare-exchange of n = 4 or 8 bytes, naturally aligned (guest page-table entries). 0: *expected was there
 * and `desired` is now; -E_AGAIN: something else was, now in *expected; -E_FAULT: not writable RAM; -E_INVAL. */
int guest_cmpxchg(struct mmu *mmu, gpa_t at, uint64_t *expected, uint64_t desired, size_t n);
