/* SPDX-License-Identifier: MIT */
/* Shadow pages: their descriptors, and how many there are. (Their states: mm/mmu/mmu.c.) */
#pragma once

#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "mm/mmu/mmu.h"

/*
 * All that decides whether a table may be shared: same gfn and same role, same table.
 */
typedef struct {
	uint32_t v;
} role_t;
#define ROLE_LEVEL    BITS(2, 0)  /* 1: maps 4 KiB pages ... 5 */
#define ROLE_DIRECT   BIT(3)	  /* maps gpas linearly; not built from a table of the guest's */
#define ROLE_ACCESS   BITS(6, 4)  /* rights inherited from above, MMU_* << 4 */
#define ROLE_QUADRANT BITS(8, 7)  /* which quarter of a 32-bit guest table */
#define ROLE_SPACE    BITS(11, 9) /* 0; of roots that stand for registers: of which (mm/shadow/paging.c) */
/* Tables that are made from the guest's page tables (mm/shadow/): how the guest's entries are read. */
#define ROLE_NARROW   BIT(16) /* 4 bytes each: 32-bit paging */
#define ROLE_PSE      BIT(17) /* CR4.PSE, in 32-bit paging */
#define ROLE_NXE      BIT(18) /* EFER.NXE */
#define ROLE_WP0      BIT(19) /* CR0.WP is 0: ROLE_ACCESS counts, and links give all rights */
#define ROLE_SMEP     BIT(20) /* CR4.SMEP and SMAP, with ROLE_WP0 only */
#define ROLE_SMAP     BIT(21)
#define ROLE_PAT      BITS(24, 22) /* linear pages: PWT, PCD and PAT of the guest's large leaf */
#define ROLE_PAE      BIT(25)	   /* PAE paging: more bits are reserved than in IA-32e mode */
/* Linear pages, with ROLE_WP0: D is set in the guest's large leaf. Another leaf for the same memory may not be stored through yet. */
#define ROLE_DIRTY    BIT(26)
/* Not tables: the MMU's own notes, which live and die with their generation like tables (rule 7). */
#define ROLE_RECORDS  BIT(12) /* words about guest frames (records.c) */
#define ROLE_BLOCKS   BIT(13) /* blocks of chains (chain.c) */
#define ROLE_NOTES    (ROLE_RECORDS | ROLE_BLOCKS)

static inline unsigned role_level(role_t r)
{
	return (unsigned)(r.v & ROLE_LEVEL);
}

/*
 * A shadow page: the descriptor of one 4 KiB table. 80 bytes, 502 of them lie with their tables in 2 MiB of pool
 * (pool.c). Everything is guarded by the MMU lock, except that a detached page belongs to the CPU that detached it.
 */
struct spage {
	struct list link; /* active, pending-free or a list of the pool; on none if pinned and invalid */
	struct spage *hash_next;  /* newest first; only pages that are looked up: roots, indirect ones */
	uint64_t gen;		  /* born in this generation; 0: free, detached or invalid */
	gfn_t gfn;		  /* the first that it maps; for an indirect one: the guest's table */
	union {			  /* stored when it was linked (rule 10) */
		uint64_t *parent; /* the entry that links it; NULL: a root */
		uint64_t parents; /* an indirect page: the chain of entries that link it */
	};
	union {
		uint64_t cpus;	/* a root: CPUs that entered it, see tags.c */
		uint64_t epoch; /* pending: free when no vCPU is in the guest since before this flush epoch */
	};
	uint64_t *keys; /* indirect pages: what each entry was made from (rule 10); NULL for direct ones */
	role_t role;
	uint32_t pins;	   /* vCPUs that have it loaded as a root, or keep it */
	uint16_t lo, hi;   /* entries [lo, hi) may be other than 0; lo >= hi: none */
	uint16_t children; /* entries that link tables; of records: words that are not 0 */
	uint16_t flags;	   /* SPAGE_* */
};
_Static_assert(sizeof(struct spage) == 80, "8.2 bytes per mapped 4 KiB page count on it");

#define SPAGE_INVALID	 BIT(0) /* out of use for good */
#define SPAGE_REFERENCED BIT(1) /* used since eviction last came by */
#define SPAGE_HASHED	 BIT(2)
#define SPAGE_ACTIVE	 BIT(3) /* on the active list */
#define SPAGE_PENDING	 BIT(4) /* on pending-free */
#define SPAGE_FREE	 BIT(5)
/* indirect: nothing links it, and it is to be compared before anything does (indirect_sync.c) */
#define SPAGE_STALE	 BIT(6)
/* Bits 15:8: stores into the guest's table since a fault last went through the page made from it (indirect.c). */
#define SPAGE_STORE	 BIT(8)
#define SPAGE_STORES	 BITS(15, 8)

static inline bool spage_is_indirect(const struct spage *p)
{
	return p->keys != NULL;
}
/* Pages of memory that p stands for: its own, and that of its keys. */
static inline unsigned spage_frames(const struct spage *p)
{
	return spage_is_indirect(p) ? 2 : 1;
}

/* How many pages there are of each kind. A slot's deletion counts, so they lie together (struct mmu). */
struct mmu_counts {
	uint64_t active, valid, pending, detached; /* detached: the drainer's */
	uint64_t retired_logs;			   /* dirty logs that wait for their ticket */
	uint64_t barren; /* pages that eviction has looked at since it last gave one up */
};

/* Those pages that are not in the pool. */
struct mmu_pages {
	struct list active;  /* head: newest generation; sorted */
	struct list pending; /* invalid, wait for their flush epoch or generation; oldest first */
	uint64_t live_set;   /* the most that were valid at one time */
	uint64_t cut_epoch;  /* the flush that the pinned root cut off last waits for (indirect_zap) */
	uint64_t wait_epoch; /* the latest that a page on pending-free waits for: perhaps not asked for yet */
	/* TLBs may hold rights that no entry gives any more, until this flush epoch: perhaps not asked for yet, either. What relies
	 * on a right's being gone asks for it (indirect_write_protect). */
	uint64_t ahead_epoch;
	/* Entries of indirect pages undone, and blocks walked for it: bounds what is done in one go. */
	uint64_t undone;
};

/* All with the MMU lock held. */

/* A new valid page at the head of the active list; its table is zero. There must be one (mmu_make_available). */
struct spage *spage_new(struct mmu *mmu, gfn_t at, role_t role, uint64_t *parent);
/* Memory for p's keys, which makes it an indirect page. There must be a page. What it holds is anything. */
void spage_add_keys(struct mmu *mmu, struct spage *p);
/* Off the active list and the hash, invalid. Its parent's entry is the caller's to cut. */
void spage_detach(struct mmu *mmu, struct spage *p);
/* Detached pages that must wait for a flush epoch, or that a vCPU had pinned. */
void spage_pend(struct mmu *mmu, struct spage *p, uint64_t epoch);
void spage_pin(struct spage *p);
void spage_unpin(struct mmu *mmu, struct spage *p);
/* front.debt from the counts. */
void mmu_account(struct mmu *mmu);

uint64_t *spage_table(const struct spage *p);
/* The descriptor of the table in frame f, which must be one of a pool's. */
struct spage *spage_of(pfn_t f);

/* n entries, all 0. By string stores of 8 bytes: no vector registers here, and Bochs counts each store a tick. */
static inline void entries_zero(uint64_t *at, uint64_t n)
{
	if (n == 1)
		*at = 0;
	else
		__asm__ volatile("rep stosq" : "+D"(at), "+c"(n) : "a"(0ull) : "memory");
}

/* Every write to an entry of a table: remembers how far the table is in use. */
static inline void spte_set(struct spage *p, uint64_t *entry, uint64_t v)
{
	unsigned i = (unsigned)((uint64_t)entry % PAGE_SIZE / 8);

	if (i < p->lo)
		p->lo = (uint16_t)i;
	if (i >= p->hi)
		p->hi = (uint16_t)(i + 1);
	/* Release: a table is zeroed and filled before the hardware can reach it. */
	atomic_store(entry, v);
}
