/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: the one way by which the hypervisor and its devices touch it (contract, rule 14).
 *
 * A range may cross slots. Reads and writes are complete or -E_FAULT before the first byte is touched; writes to
 * a read-only slot are -E_FAULT. Writes mark pages dirty and tell the shadow back end. Lock: none held by the
 * caller; callable from any CPU, never holding a pointer across the top of its run loop. Naturally aligned accesses
 * of 1, 2, 4 or 8 bytes are single accesses, as the guest's own would be.
 */
#pragma once

#include "lib/types.h"

struct mmu;

int guest_read(struct mmu *mmu, gpa_t at, void *to, size_t n);
int guest_write(struct mmu *mmu, gpa_t at, const void *from, size_t n);
/* As guest_write, but also into read-only slots: for loaders that fill in ROMs. */
int guest_write_rom(struct mmu *mmu, gpa_t at, const void *from, size_t n);
int guest_zero(struct mmu *mmu, gpa_t at, uint64_t n);
/* Atomic compare-exchange of n = 4 or 8 bytes, naturally aligned (guest page-table entries). 0: *expected was there
 * and `desired` is now; -E_AGAIN: something else was, now in *expected; -E_FAULT: not writable RAM; -E_INVAL. */
int guest_cmpxchg(struct mmu *mmu, gpa_t at, uint64_t *expected, uint64_t desired, size_t n);
