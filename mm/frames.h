/* SPDX-License-Identifier: MIT */
/*
 * Physical frames: who owns every piece of RAM that Lethe may use, in sizes of 4 KiB, 2 MiB and 1 GiB.
 */
#pragma once

#include "lib/boot_info.h"
#include "lib/types.h"

enum frame_size { FRAME_4K, FRAME_2M, FRAME_1G, FRAME_SIZES };

static inline uint64_t frame_pages(enum frame_size s)
{
	return 1ull << (9 * s);
}

/* Whose memory it is, for the accounts and so that RAM is scrubbed before another owner gets it. */
typedef uint16_t owner_t;
enum { OWNER_NOBODY = 0, OWNER_LETHE = 1, OWNER_VM0 = 16 /* VM n's RAM: 16 + 2n, its tables: 17 + 2n */, OWNERS_MAX = 16 + 2 * 64 };

/* Takes over the MEM_USABLE ranges. `spare` pages at most are taken from the top of them for the allocator's own
 * records. 0 or -E_NOMEM. Before hostmap is active records are reached by identity, so call order is: frames_init,
 * hostmap_init. Hosted tests hand in a boot_info whose ranges lie in a test arena (see direct_map_base). */
int frames_init(const struct boot_info *bi);

/* Adds the MEM_BOOT_SERVICES ranges, once: when this CPU runs on Lethe's own page tables, GDT, IDT and stack. Not
 * before: the firmware's, on which it starts, lie there. 0 or -E_NOMEM. Lock: takes the frame lock. */
int frames_add_boot_services(const struct boot_info *bi);

/* One naturally aligned frame. Contents: zeroed if another owner's data was in it, else undefined.
 * 0 or -E_NOMEM. Lock: takes the frame lock. */
int frame_alloc(enum frame_size size, owner_t owner, pfn_t *out);
/* As frame_alloc with FRAME_4K, but zeroed, and as a pointer into the direct map. NULL if there is none. */
void *frame_alloc_zeroed(owner_t owner);
/* Contiguous run of n 4 KiB frames (start-up structures such as per-CPU areas). 0 or -E_NOMEM. */
int frames_alloc_run(uint64_t n, owner_t owner, pfn_t *out);
/* Gives back what was allocated with the same size and owner; a mismatch is a bug and asserts. */
void frame_free(enum frame_size size, owner_t owner, pfn_t frame);
void frames_free_run(uint64_t n, owner_t owner, pfn_t first);

struct frames_stats {
	uint64_t total, free;	      /* in 4 KiB pages */
	uint64_t free_pieces[FRAME_SIZES]; /* that could be handed out in this size now */
};
void frames_stats(struct frames_stats *out);
uint64_t frames_owned(owner_t owner); /* in 4 KiB pages */

/*
 * The direct map: all RAM that Lethe may touch is mapped at direct_map_base + hpa, writable, never executable.
 * It is 0 (identity) until hostmap is active. Hosted builds set it so that the test arena is reached.
 */
extern uint64_t direct_map_base;

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
