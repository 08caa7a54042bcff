/* SPDX-License-Identifier: MIT */
/*
 * Physical frames: the owner of every piece of RAM that Lethe may use, in sizes of 4 KiB, 2 MiB and 1 GiB.
 *
 *	mm/host/frames.c	the lock, the accounts, scrubbing		<- all others call this
 *	mm/host/pieces.c	which pieces are free, used, cut up
 *
 * RAM below 1 MiB is never handed out: it is where processors start and where firmware keeps what it does not say.
 */
#pragma once

#include "lib/boot_info.h"
#include "lib/types.h"

enum frame_size { FRAME_4K, FRAME_2M, FRAME_1G, FRAME_SIZES };

/* How many 4 KiB pages a frame of this size is. */
static inline uint64_t frame_pages(enum frame_size s)
{
	return 1ull << (9 * s);
}

/* Whose memory it is, for the accounts and so that RAM is scrubbed before another owner gets it. */
typedef uint16_t owner_t;
enum {
	OWNER_NOBODY = 0,
	OWNER_LETHE = 1,
	OWNER_VM0 = 16, /* VM n's RAM: 16 + 2n, its tables: 17 + 2n */
	OWNERS_MAX = 16 + 2 * 64
};

/*
 * Takes over the MEM_USABLE ranges; forgets all that was before. Its own records (2.2 KiB for each GiB that has RAM)
 * are cut from the top of the smallest range that they fit in. 0, or -E_NOMEM: no RAM, or none for the records.
 * The ranges must be reachable at direct_map_base: call it while the firmware's identity map is active, and before
 * hostmap_init(). Hosted tests hand in a boot_info whose ranges lie in a test arena (tests/support/rig/arena.h).
 */
int frames_init(const struct boot_info *bi);

/* Adds the MEM_BOOT_SERVICES ranges, once: when every CPU that runs does so on Lethe's own page tables, GDT, IDT and
 * stack. Not before: the firmware's, on which the first CPU starts, lie there. Returns 0.
 * Takes the frame lock. */
int frames_add_boot_services(const struct boot_info *bi);

/* Gives RAM to the allocator that was in use when it started (MEM_BOOT: loaded files, the boot stack). Pages below
 * 1 MiB are left out. -E_RANGE: in a GiB that has no usable or boot RAM. Takes the frame lock. */
int frames_donate(hpa_t base, uint64_t pages);

/*
 * One naturally aligned frame. Contents: zeroed if it held another owner's data, or what it held is not known, else
 * undefined. 0 or -E_NOMEM. Takes the frame lock; scrubbing is done outside it.
 */
int frame_alloc(enum frame_size size, owner_t owner, pfn_t *out);
/* As frame_alloc, but never cleared: for memory that no guest sees, of which the caller writes all before it reads it. */
int frame_alloc_uncleared(enum frame_size size, owner_t owner, pfn_t *out);
/* As frame_alloc, but always zeroed, and never twice. */
int frame_alloc_zero(enum frame_size size, owner_t owner, pfn_t *out);
/* As frame_alloc with FRAME_4K, below 4 GiB: for what a register of 32 bits points to. */
int frame_alloc_low(owner_t owner, pfn_t *out);
/* As frame_alloc_zero with FRAME_4K, but as a pointer into the direct map. NULL if there is none. */
void *frame_alloc_zeroed(owner_t owner);
/* Contiguous run of n >= 1 4 KiB frames (start-up structures such as per-CPU areas); 2 MiB aligned if n >= 512.
 * Contents as frame_alloc. 0 or -E_NOMEM. It searches under the lock: not for hot paths. */
int frames_alloc_run(uint64_t n, owner_t owner, pfn_t *out);
/* Gives back what was allocated with the same size (n) and owner; a mismatch is a bug and asserts. */
void frame_free(enum frame_size size, owner_t owner, pfn_t frame);
void frames_free_run(uint64_t n, owner_t owner, pfn_t first);
/* As a bounded piece of work: from the run's end, `most` pieces of 2 MiB or 4 KiB. Returns how many frames are left of it: the
 * next call's n, until it is 0. */
uint64_t frames_free_run_some(uint64_t n, owner_t owner, pfn_t first, unsigned most);
/* 2 MiB of a frame of FRAME_1G; the caller gives back its other parts in the same way. */
void frame_free_part(owner_t owner, pfn_t part);

#ifdef LETHE_DEBUG
/* Plants a failure: of the allocations from now on, of frames or runs, the n-th returns -E_NOMEM, once; 0: none does. Returns how
 * many were still to come up to the failure planted before; 0: it has come. Takes the frame lock. */
uint64_t frames_fail_at(uint64_t n);
#endif

struct frames_stats {
	uint64_t total, free;		   /* in 4 KiB pages */
	uint64_t free_pieces[FRAME_SIZES]; /* that could be handed out in this size now */
};
/* total = free + what all owners own; also what was donated since the start. */
void frames_stats(struct frames_stats *out);
/* In 4 KiB pages. OWNER_LETHE's include the allocator's own records. */
uint64_t frames_owned(owner_t owner);

/*
 * The direct map: all RAM that Lethe may touch is mapped at direct_map_base + hpa, writable, never executable.
 * It is 0 (identity) until hostmap is active. Hosted builds set it so that the test arena is reached.
 */
extern uint64_t direct_map_base;

/* The room that our address space has for it (mm/host/hostmap.h): 64 TiB. RAM above is left unused. */
#define DIRECT_MAP_BYTES (1ull << 46)

static inline void *hpa_to_virt(hpa_t a)
{
	return (void *)(direct_map_base + a.v);
}
static inline void *pfn_to_virt(pfn_t f)
{
	return hpa_to_virt(pfn_to_hpa(f));
}
/* p must point into the direct map. */
static inline hpa_t virt_to_hpa(const void *p)
{
	return hpa((uint64_t)p - direct_map_base);
}
