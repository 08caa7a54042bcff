/* SPDX-License-Identifier: MIT */
/*
 * What the files of the MMU share. Outside of mm/ only tests include this.
 *
 *	mmu.c		the states of a page (read first), a VM's MMU from birth to death, the lock
 *	generation.c	the generation: change, bump, request, kick
 *	vcpu.c	vCPUs: reload of the root, pins
 *	tags.c	what is in the TLBs: INVEPT, INVVPID
 *	grace.c	quiescence and tickets
 *	page.c	shadow pages: birth, pins, retirement
 *	hash.c	shadow pages by gfn and role
 *	pool.c	the memory of tables
 *	reclaim.c	obsolete pages given back in batches
 *	pay.c	how much of that after an exit
 *	evict.c	valid pages given up when the pool runs low
 *	removal.c	a slot that goes: bump or unmap
 *	fault.c	the fault, above the back ends
 *	levels.h	the arithmetic of levels: entries, shifts, pages
 *	backend.h	the seam between the files above and those below
 *	ept.h, ept.c, ept_zap.c	the EPT back end; ept_ad.c: its A and D flags, switched off for a VM
 *	indirect.h, indirect.c	pages made from tables of the guest's: what shadow page tables and shadow EPT stand on
 *	indirect_zap.c	taking their entries away
 *	records.c	what is known of each guest frame: who maps it, is it a table
 *	chain.h, chain.c	chains of entries, and their blocks
 *	slots.c		the guest-physical map; slots_change.c: its changes; guest_mem.c: access to it
 *	dirty.c, dirty_read.c, dirty_pml.c	which pages were written
 */
#pragma once

#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "lib/trace.h"
#include "lib/x86.h"
#include "mm/map/dirty.h"
#include "mm/map/guest_window.h"
#include "mm/map/slot_table.h"
#include "mm/mmu/chain.h"
#include "mm/mmu/levels.h"
#include "mm/mmu/mmu.h"
#include "mm/mutant.h"

#define MMU_LOW_WATER 16 /* pages below which eviction begins */

/*
 * All that decides whether a table may be shared: same gfn and same role, same table.
 * (Bits 31:16 are for the guest's paging mode, when a table is built from the guest's: CR0.WP, SMEP, SMAP, NX, ...)
 */
typedef struct {
	uint32_t v;
} role_t;
#define ROLE_LEVEL    BITS(2, 0)  /* 1: maps 4 KiB pages ... 5 */
#define ROLE_DIRECT   BIT(3)	  /* maps gpas linearly; not built from a table of the guest's */
#define ROLE_ACCESS   BITS(6, 4)  /* rights inherited from above, MMU_* << 4 */
#define ROLE_QUADRANT BITS(8, 7)  /* which quarter of a 32-bit guest table */
#define ROLE_SPACE    BITS(11, 9) /* address space (0: the only one so far) */
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
 * (pool.c). Everything is guarded by the MMU lock, except that who detaches a page owns it.
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
		uint64_t epoch; /* pending: free when nobody is in the guest since before this flush epoch */
	};
	uint64_t *keys; /* indirect pages: what each entry was made from (rule 10); NULL for direct ones */
	role_t role;
	uint32_t pins;	   /* vCPUs that have it loaded as a root */
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

static inline bool spage_is_indirect(const struct spage *p)
{
	return p->keys != NULL;
}
/* Pages of memory that p stands for: its own, and that of its keys. */
static inline unsigned spage_frames(const struct spage *p)
{
	return spage_is_indirect(p) ? 2 : 1;
}

/* A chain of the hash: empty unless it is of the valid generation. */
struct hash_bucket {
	uint64_t gen;
	struct spage *first; /* newest first */
};

/* The memory of tables, see pool.c. */
struct mmu_pool {
	struct list chunks;
	struct list clean;   /* free pages, table all zeros */
	struct list dirty;   /* free pages, to be zeroed when taken */
	uint64_t free;	     /* that can be taken: on both lists, and never used yet */
	uint64_t used, peak; /* all others, but for those never taken yet */
	uint64_t limit;	     /* the most that may be used */
	uint64_t bytes;	     /* taken from the frame allocator */
	owner_t owner;
	uint32_t growing; /* somebody is at it */
	bool exhausted;	  /* the frame allocator said no: not asked again until the slots change */
};

#define MMU_MAPWORDS (MMU_VCPUS_MAX / 64)

/* What a VM's tables are like; the back end fills it in when they are made. */
struct backend_shape {
	unsigned levels;      /* of the root that maps gpas: at most LEVELS_MOST */
	unsigned fault_needs; /* pages of the pool that a fault can take, at most */
};

struct mmu {
	struct mmu_front front; /* first: mmu.h counts on it */

	/* What a slot's deletion touches lies in `front` and in the three lines that follow, up to `caps`: it comes now and then,
	 * and finds no line in a cache (mmu_prefetch()). */
	struct spinlock lock;
	uint64_t lock_since; /* TSC */
	struct slots slots;
	bool kick_any;
	bool indirect; /* the back end makes tables from guest memory: stores into it must be told (backend->stored) */
	uint8_t removal; /* enum mmu_removal */
	uint8_t freeing; /* enum mmu_freeing */
	uint16_t vm;
	unsigned nvcpus; /* places in vcpu[], some may be NULL */
	struct mmu_vcpu **vcpu;
	struct spage
		*root; /* the valid root that maps gpas, which all vCPUs share; NULL: there is none (yet) */
	uint64_t nactive, nvalid, npending, ndetached, nretired_logs;
	uint64_t barren; /* pages that eviction has looked at since it last gave one up */
	uint64_t faults_at_bump;
	struct mmu_stats stats;

	struct mmu_caps caps; /* what is used: ept_ad and pml may be switched off (ept_ad.c) */
	const struct backend *backend;
	struct backend_shape shape;
	const struct mmu_cpu_ops *ops;
	unsigned guest_maxphyaddr;
	uint64_t kick[MMU_MAPWORDS]; /* to be kicked when the lock is dropped */

	struct list active;  /* head: newest generation; sorted */
	struct list pending; /* invalid, wait for their flush epoch or generation; oldest first */
	uint64_t live_set;
	uint64_t cut_epoch;	  /* the flush that the pinned root cut off last waits for (indirect_zap) */
	struct hash_bucket *hash; /* 1 << hash_bits */
	unsigned hash_bits;
	uint64_t hash_factor; /* odd */
	struct chain_blocks blocks;
	uint64_t
		undone; /* entries of indirect pages undone, and blocks walked for it: bounds what is done in one go */
	struct mmu_pool pool;

	uint32_t draining;     /* the drainer's try-lock */
	struct spage *partial; /* the drainer's: half cleared, goes on with the next batch */

	struct guest_window_cache window;
	uint64_t tick_us;
	uint64_t params_pool_pages; /* 0: the pool's limit follows the slots */
	struct list retired_logs;
	uint64_t nlogs; /* slots with a dirty log */
	uint64_t
		pml_epoch; /* whoever entered in this flush epoch or later has page-modification logging on */
};
_Static_assert(sizeof(struct mmu) <= PAGE_SIZE, "a VM's MMU fits a frame");
_Static_assert(offsetof(struct mmu, stats.faults) < 4 * 64, "a deletion touches four lines of it");

/* What a deletion will touch, asked for at once: one after the other, each would cost a cache miss. */
static inline void mmu_prefetch(const struct mmu *mmu)
{
	for (unsigned line = 0; line < 4; line++)
		__builtin_prefetch((const char *)mmu + 64 * line, 1);
	__builtin_prefetch(&mmu_host_epoch, 1);
}
/* The same for what is to be asked of the vCPUs. Lock held. */
static inline void mmu_prefetch_vcpus(const struct mmu *mmu)
{
	for (unsigned i = 0; i < min(mmu->nvcpus, 8u); i++)
		__builtin_prefetch(mmu->vcpu[i], 1);
}

/* The lock, with the time it is held measured. Unlocking sends the kicks that were noted meanwhile. */
void mmu_lock(struct mmu *mmu);
void mmu_unlock(struct mmu *mmu);
void mmu_kick_noted(struct mmu *mmu);

/* ---- generation.c; lock held ---- */
void mmu_bump(struct mmu *mmu);
/* Rights were taken away in the valid generation: who is in the guest must leave (noted for kicking), every CPU
 * drops what it knows of the VM before it enters again. With `wait`, nobody enters before all have left. Returns the
 * epoch: mmu_flushed(epoch) says that all have left. */
uint64_t mmu_flush_request(struct mmu *mmu, bool wait);

/* ---- grace.c; lock not needed ---- */
/* No vCPU is in the guest on a generation below `gen`. */
bool mmu_quiescent_below(struct mmu *mmu, uint64_t gen);
/* Pages of generations below gen can be freed, and pages evicted in flush epochs up to `epoch`. */
struct horizon {
	uint64_t gen, epoch;
};
struct horizon mmu_horizon(struct mmu *mmu);
/* No vCPU is in the guest that entered it before flush epoch `epoch`. */
bool mmu_flushed(struct mmu *mmu, uint64_t epoch);
/* A new host epoch, for the ticket of a removal that was just published. */
uint64_t mmu_host_epoch_next(void);

/* ---- page.c; lock held ---- */
static inline bool spage_obsolete(const struct mmu *mmu, const struct spage *p)
{
	return p->gen != mmu->front.valid_gen;
}
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

/* ---- hash.c; lock held, but for the first two ---- */
/* A hash good for about `pages` pages. 0; -E_NOMEM. */
int hash_init(struct mmu *mmu, uint64_t pages);
void hash_fini(struct mmu *mmu);
/* The valid page of this gfn and role, or NULL. */
struct spage *hash_find(const struct mmu *mmu, gfn_t at, role_t role);
/* Valid pages of this gfn whose role has the bits `value` among those of `mask`: the newest, or NULL; the one before p. */
struct spage *hash_find_any(const struct mmu *mmu, gfn_t at, uint32_t mask, uint32_t value);
struct spage *hash_next_any(const struct spage *p, uint32_t mask, uint32_t value);
void hash_add(struct mmu *mmu, struct spage *p);
void hash_remove(struct mmu *mmu, struct spage *p);

/* ---- vcpu.c; lock held ---- */
/* v runs on `root`, which is valid, from now on. What it ran on before is kept if the back end says so and it is still valid. */
void mmu_load_root(struct mmu_vcpu *v, struct spage *root);

/* ---- pool.c ---- */
void pool_init(struct mmu_pool *pool, owner_t owner, uint64_t limit);
/* Gives back at most so many chunks. True: none is left. */
bool pool_fini(struct mmu_pool *pool, unsigned most);
/* More memory: 2 MiB. Lock: not held, taken to add it. 0; -E_NOMEM; -E_BUSY: another CPU is at it. */
int pool_grow(struct mmu *mmu);
bool pool_wants_more(const struct mmu_pool *pool);
/* Is it time to look closer (grow, evict)? */
static inline bool pool_low(const struct mmu_pool *pool)
{
	return pool->free < 2 * MMU_LOW_WATER || pool->used + 2 * MMU_LOW_WATER > pool->limit;
}
/* How many pages can be taken now. */
static inline uint64_t pool_available(const struct mmu_pool *pool)
{
	return pool->limit > pool->used ? min(pool->free, pool->limit - pool->used) : 0;
}
struct spage *pool_take(struct mmu_pool *pool);
/* One whose table may hold anything. */
struct spage *pool_take_raw(struct mmu_pool *pool);
/* p, and what it has for keys. Its table is all zeros if `clean`. */
void pool_put(struct mmu_pool *pool, struct spage *p, bool clean);
uint64_t *spage_table(const struct spage *p);
/* The descriptor of the table in frame f, which must be one of a pool's. */
struct spage *spage_of(pfn_t f);

/* ---- removal.c; lock held ---- */
/* A change of the slot table was just published, whose version was `before`: the new one must not look like an old one in
 * MMIO entries. */
void mmu_slots_published(struct mmu *mmu, uint64_t before);
/* The pool's limit follows the size of guest memory. */
void mmu_slots_resized(struct mmu *mmu);
/* Everything that maps `old`, which the table in force does not hold any more, goes. */
void mmu_remove(struct mmu *mmu, const struct slot *old, struct mmu_ticket *out);

/* ---- reclaim.c ---- */
/* Up to n quiesced obsolete pages go to the pool at once, to be cleared when taken. Lock held. Returns how many. */
unsigned mmu_retire(struct mmu *mmu, unsigned n);
/* Everything that can be freed, now (MMU_FREE_EAGER). Lock held. */
void mmu_reclaim_all(struct mmu *mmu);

/* ---- evict.c; lock held ---- */
/* Makes `need` pages available, keeping off what translates `at`. 0; -E_AGAIN: some will be, when all vCPUs have
 * left the guest; -E_NOMEM: there is nothing left to give up. */
int mmu_make_available_slow(struct mmu *mmu, unsigned need, gfn_t at);
static inline int mmu_make_available(struct mmu *mmu, unsigned need, gfn_t at)
{
	if (likely(need <= 2 * MMU_LOW_WATER && !pool_low(&mmu->pool) &&
		    (mmu->nactive == mmu->nvalid || mmu->pool.used + need <= 2 * mmu->live_set)))
		return 0;
	return mmu_make_available_slow(mmu, need, at);
}

/* ---- dirty_pml.c; lock held ---- */
/* A slot began to be logged (1), or a logged one is gone (-1). */
void dirty_logs_count(struct mmu *mmu, int by);
/* Is every vCPU that may be in the guest one with page-modification logging on? Then entries may be left writable, with
 * D clear. */
bool dirty_pml_ready(struct mmu *mmu);
/* A logged slot moves: the old place's addresses, still in buffers, will be found in no slot. */
void dirty_log_moved(struct mmu *mmu, struct dirty_log *log);

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
