/* SPDX-License-Identifier: MIT */
/*
 * The MMU as hv/ sees it. (What is inside: mm/mmu/mmu.c, which opens with the states of a page, and mm/mmu/internal.h.)
 *
 * One `struct mmu` a VM, one `struct mmu_vcpu` embedded in each of hv/'s vCPUs. The run loop calls, in this order:
 *
 *	mmu_enter()		the entry handshake, interrupts off, last thing before VMLAUNCH/VMRESUME. If it says no:
 *	    mmu_cpu_quiescent()		this CPU holds no pointer into guest memory here
 *	    mmu_serve()			requests made of this vCPU: reload the root, wait for others to leave the guest;
 *					then all that this CPU needs for it: flushes, page-modification logging
 *	  ... guest ...
 *	mmu_exit()		first thing after the VM exit
 *	mmu_fault() / mmu_misconfig() for the exits that are its own
 *	mmu_pay()		some of the obsolete pages, in bounded batches, if mmu_reclaim_waiting() and mmu_pay_due()
 *
 * What stands between an exit and the next entry is inline here: it is a dozen instructions a call.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/cpu_id.h"
#include "lib/types.h"
#include "mm/map/slots.h"
#include "mm/mmu/levels.h"
#include "mm/mutant.h"

struct backend;
struct guest_walk;
struct mmu;
struct mmu_vcpu;
struct spage;

/* The kinds of tables that the MMU can make (mm/mmu/backend.h). */
extern const struct backend mmu_backend_ept;

/* What the MMU asks of the CPU; hv/ fills it in, hosted tests simulate it. Called with interrupts off. */
struct mmu_cpu_ops {
	void (*kick)(struct mmu_vcpu *v);      /* make it leave the guest soon; does not wait; any CPU */
	void (*invept_single)(uint64_t eptp);  /* this CPU */
	void (*invvpid_single)(uint16_t vpid); /* this CPU */
	/* Page-modification logging (SDM Vol. 3C 28.3.6); both NULL: not used. v's VMCS is current on this CPU. */
	void (*pml_set)(struct mmu_vcpu *v, bool on); /* before entry */
	void (*pml_drain)(struct mmu_vcpu *v); /* after an exit: mmu_pml_drain(), and the buffer is empty */
};

/* What the CPUs can do (IA32_VMX_EPT_VPID_CAP, CPUID), the same for all CPUs. */
struct mmu_caps {
	bool ept, ept_2m, ept_1g, ept_ad, ept_exec_only, ept_uc, ept_wb, ept_5level, pml, vpid;
	bool pschange_mc_no; /* not prone to iTLB multihit: executable large pages are safe */
	unsigned maxphyaddr; /* host */
	bool guest_no_1g;    /* CPUID.80000001H:EDX[26] is 0: in a guest's PDPTE, PS is a reserved bit */
};

/* How a slot that goes is removed (contract, rule 16), and when the tables that a bump leaves are freed. */
enum mmu_removal { MMU_REMOVAL_BULK, MMU_REMOVAL_TARGETED, MMU_REMOVAL_AUTO };
enum mmu_freeing { MMU_FREE_BATCHED, MMU_FREE_EAGER /* inside the bump: a baseline to compare with */ };

struct mmu_params {
	const struct backend *backend;
	const struct mmu_cpu_ops *ops;
	struct mmu_caps caps;
	owner_t owner;		   /* of the tables */
	unsigned guest_maxphyaddr; /* EPT: at most 48, or 52 with ept_5level; shadow: 32 to 52 */
	unsigned vcpus;		   /* how many will be added, at most MMU_VCPUS_MAX */
	uint64_t pool_pages;	   /* most shadow pages; 0: from the size of guest memory */
	/* Pages made from the guest's own tables that are expected; 0: there are none. */
	uint64_t indirect_pages;
	bool small_pages; /* shadow: no leaf is larger than 4 KiB */
	uint64_t tick_us; /* ticks of the TSC in a microsecond; 0: 1000 */
	uint16_t vm;	  /* number, for trace records */
	enum mmu_removal removal;
	enum mmu_freeing freeing;
};

#define MMU_VCPUS_MAX 512

/* 0; -E_NOMEM; -E_INVAL; -E_NOSUP: this CPU cannot give the back end what it needs, or not that address width (the log
 * says which). */
int mmu_create(const struct mmu_params *p, struct mmu **out);
/* All vCPUs are gone (mmu_vcpu_fini) and so is every reader of its guest memory; nothing leaks. Slots go with it,
 * their backings stay the caller's. */
void mmu_destroy(struct mmu *mmu);
/* The same in turns that are short: gives back at most so many chunks of tables (2 MiB each). True: all is given back, and
 * *mmu is NULL; a *mmu that was NULL has nothing. Until then only this may be done with it. */
bool mmu_destroy_some(struct mmu **mmu, unsigned chunks);

/* The words of a VM that every entry reads: the head of struct mmu. */
struct mmu_front {
	uint64_t valid_gen;   /* the generation; never 0 */
	uint64_t flush_epoch; /* counts the times that rights were taken away within a generation */
	uint64_t debt;	      /* pages waiting to be given back */
	uint64_t pml;	      /* vCPUs are to run with page-modification logging */
} __aligned(64);

#define MMU_REQ_RELOAD (1u << 0) /* the root is not of valid_gen any more, or there is none yet */
#define MMU_REQ_FLUSH  (1u << 1) /* rights were taken away: go on only when no vCPU runs with the old ones */

/* What a vCPU runs on: the topmost table of a tree. */
struct mmu_root {
	struct spage *page; /* pinned; NULL: none. The CPUs that are ready for it are noted there (tags.c) */
	uint64_t gen;	    /* page->gen; 0: none */
	uint64_t pointer;   /* for the VMCS: with EPT, the EPTP */
};

/* Roots that a vCPU keeps beside the one that it runs on, at most (backend->roots_kept): a guest that goes back to an address
 * space of a moment ago finds its tables as they were. */
#define MMU_ROOTS_KEPT 3

/* What the guest's paging consists of; hv/ fills it in from the VMCS when it handles an exit that needs it. */
struct paging_regs {
	uint64_t cr0, cr3, cr4, efer, rflags;
	uint64_t pdpte[4]; /* PAE: as latched */
	unsigned cpl;
};

/* The MMU's part of a vCPU. hv/ embeds it and looks inside at nothing but `regs` (its to fill in), `vpid`, and what a verdict leaves in
 * `inject` and `fault_at`. */
struct mmu_vcpu {
	/* Read by other CPUs: */
	uint64_t entered; /* generation on which it is in the guest; 0 outside */
	/* The flush_epoch that its CPU is ready for: that of its entry while entered is not 0. */
	uint64_t entered_epoch;
	uint32_t requests; /* MMU_REQ_*; bits 31:8 are hv/'s own: the handshake looks at them, too */
	uint16_t vpid;
	uint16_t index; /* its place in mmu->vcpu[] */
	/* Its own: */
	struct mmu_front *front;
	struct mmu *mmu;
	const struct mmu_cpu_ops *ops;
	struct mmu_root root;		      /* the one that it runs on */
	struct mmu_root kept[MMU_ROOTS_KEPT]; /* newest first; those without a page come last */
	unsigned cpu;			      /* the one that was last made ready for it; CPUS_MAX: none */
	uint64_t *low_root; /* a page below 4 GiB, for the four PDPTEs of PAE paging (backend->low_root) */
	/* The hole in the map where its last device access went, true as long as the slot table has this version. */
	uint64_t hole_seq, hole_first, hole_pages;
	uint64_t hole_hits;
	uint32_t inject; /* MMU_INJECT: the error code that the guest's own hardware would give */
	uint64_t
		spurious; /* shadow: the address of the last fault, and how often in a row nothing was missing for it in our tables */
	uint32_t spurious_times;
	bool smap_let; /* shadow: the next store that CR0.WP = 0 allows is mapped, though it then escapes SMAP (shadow_let_store()) */
	gpa_t fault_at; /* shadow: the guest-physical address of the access, where it is to be emulated */
	bool pml;	/* page-modification logging is on in its VMCS */
	/* What it pays of the debt (pay.c), in ticks of the TSC: when it last paid (low half), when it pays again, exits since,
	 * and what a page took. */
	uint32_t paid_at, pay_after, unpaid, price;
	struct paging_regs regs;
} __aligned(64);

/* v is zeroed or to be overwritten. index is its number in the VM, below params.vcpus. 0; -E_INVAL; -E_EXIST; -E_NOMEM. */
int mmu_vcpu_init(struct mmu_vcpu *v, struct mmu *mmu, unsigned index, uint16_t vpid);
/* v is outside the guest for good. */
void mmu_vcpu_fini(struct mmu_vcpu *v);

/*
 * Host quiescence (contract, rule 4): a CPU is `busy` from a moment with an epoch on, or 0: in the guest, idle, or
 * not started. While it is busy it may hold pointers into guest memory that it looked up since that moment.
 */
struct mmu_host_cpu {
	uint64_t busy;
} __aligned(64);
extern struct mmu_host_cpu mmu_host_cpu[CPUS_MAX];
extern uint64_t mmu_host_epoch; /* counts removals, over all VMs; never 0 */

/* Where a CPU that stays in root mode, or comes out of idling, holds no pointer into guest memory. (mmu_enter() says
 * so of one that goes into the guest.) */
static inline void mmu_cpu_quiescent(unsigned cpu)
{
	uint64_t now = atomic_load(&mmu_host_epoch);

	/* The exchange keeps every later look-up of a slot behind it: it finds what was published before `now`. */
	if (atomic_load_relaxed(&mmu_host_cpu[cpu].busy) != now)
		atomic_xchg(&mmu_host_cpu[cpu].busy, now);
}
/* Before a CPU halts in root mode or is stopped: until mmu_cpu_quiescent() it touches no guest memory. */
static inline void mmu_cpu_idle(unsigned cpu)
{
	atomic_store(&mmu_host_cpu[cpu].busy, 0);
}

/* A promise to be told when what a removal took away may be reused (contract, rule 4). */
struct mmu_ticket {
	uint64_t gen; /* the newest generation that could still reach it; 0: none (targeted removal) */
	uint64_t flush_epoch; /* a vCPU that entered before it could still reach it; 0: does not matter */
	uint64_t host_epoch;  /* CPUs busy since before it may hold a pointer */
};
/* True once the VM is host-quiescent for the ticket: the removed slot's RAM may be reused. */
bool mmu_ticket_ready(struct mmu *mmu, const struct mmu_ticket *t);

/* Slow halves of the inline functions below. */
int mmu_serve_slow(struct mmu_vcpu *v);
void mmu_make_ready(struct mmu_vcpu *v, unsigned cpu);
void mmu_tags_check(const struct mmu_vcpu *v, unsigned cpu);

/* Checks that cost time; set before mmu_create(). Each by itself, since one can hide what another finds: a table full of
 * poison is cleared when it is taken, so with poison no entry that reclaim failed to clear is ever met again. */
#define MMU_DEBUG_POISON   (1u << 0) /* freed tables are full of what no walk may meet */
#define MMU_DEBUG_HIGH_GEN (1u << 1) /* generations begin near their maximum */
#define MMU_DEBUG_TAGS	   (1u << 2) /* the state of the TLB tags is checked at every entry */
#define MMU_DEBUG_ALL	   (MMU_DEBUG_POISON | MMU_DEBUG_HIGH_GEN | MMU_DEBUG_TAGS)
extern unsigned mmu_debug; /* MMU_DEBUG_* */

/* Serves what was asked of this vCPU, on the CPU that is about to run v, and makes that ready for it: so a vCPU that
 * comes to a CPU comes here before mmu_enter(), which does not look at the CPU (release builds). 0; -E_AGAIN:
 * another vCPU is still in the guest on an older generation (rule 3): do other useful work (reclaim, interrupts) and
 * call again; -E_NOMEM: not even a root can be had: the guest ends. */
static inline int mmu_serve(struct mmu_vcpu *v)
{
	int err = likely(!atomic_load(&v->requests)) ? 0 : mmu_serve_slow(v);

	YIELD();
	if (!err)
		mmu_make_ready(v, this_cpu_id());
	return err;
}

/*
 * The entry handshake (rule 2). 0: go; -E_AGAIN: something has changed, so mmu_serve() comes first. It looks at three
 * words, for whatever else an entry depends on changes with one of them: the CPU's TLB tags and page-modification
 * logging with flush_epoch, the root with valid_gen and the requests.
 * Interrupts are off and stay off until VM entry, so that a kick sent from now on ends up as a VM exit.
 */
static inline int mmu_enter_on(struct mmu_vcpu *v, unsigned cpu)
{
	const struct mmu_front *front = v->front;

	/* The exchange is a full barrier: either the changer sees us entered, and kicks; or we see its change. */
	if (!MUTANT(entered_late))
		atomic_xchg(&v->entered, v->root.gen);
	YIELD();
	/* flush_epoch, because not every flush comes with a request: a vCPU that was overtaken by one would enter as if
	 * before it, would not be kicked, and what waits for the flush would wait for an exit of the guest's own. */
	if (unlikely(atomic_load(&v->requests) || atomic_load(&front->valid_gen) != v->root.gen ||
		     atomic_load(&front->flush_epoch) != v->entered_epoch) &&
		!MUTANT(no_recheck)) {
		atomic_xchg(&v->entered, 0);
		return -E_AGAIN;
	}
	YIELD();
	if (MUTANT(entered_late))
		atomic_xchg(&v->entered, v->root.gen);
	if (unlikely(mmu_debug & MMU_DEBUG_TAGS))
		mmu_tags_check(v, cpu);
	atomic_store(&mmu_host_cpu[cpu].busy, 0);
	return 0;
}
/* What stands for the root in the VMCS, the EPTP; it changes in mmu_serve() only. */
static inline uint64_t mmu_root_pointer(const struct mmu_vcpu *v)
{
	return v->root.pointer;
}
static inline int mmu_enter(struct mmu_vcpu *v, uint64_t *pointer)
{
	*pointer = v->root.pointer;
	return mmu_enter_on(v, this_cpu_id());
}

static inline void mmu_exit_on(struct mmu_vcpu *v, unsigned cpu)
{
	/*
	 * 1. The CPU is busy, before it looks up a slot: draining does.
	 * 2. The buffer goes into the logs while v still counts as inside: what waits for v to leave waits for its records.
	 * 3. v is outside. The exchange keeps later look-ups behind `busy`, as in mmu_cpu_quiescent().
	 */
	if (!MUTANT(busy_late))
		atomic_store_relaxed(&mmu_host_cpu[cpu].busy, atomic_load(&mmu_host_epoch));
	YIELD();
	if (unlikely(v->pml) && !MUTANT(drained_late))
		v->ops->pml_drain(v);
	YIELD();
	atomic_xchg(&v->entered, 0);
	YIELD();
	if (MUTANT(busy_late))
		atomic_store_relaxed(&mmu_host_cpu[cpu].busy, atomic_load(&mmu_host_epoch));
	if (MUTANT(drained_late) && v->pml)
		v->ops->pml_drain(v);
}
static inline void mmu_exit(struct mmu_vcpu *v)
{
	mmu_exit_on(v, this_cpu_id());
}

/* Gives back one batch: at most `pages` pages and `entries` entries. A retired dirty log counts as a page; a batch has at most
 * one. Returns the pages freed; 0 also if another CPU drains this VM now or nothing is ready. No lock held.
 * mmu_reclaim_waiting(): is there any debt at all? */
unsigned mmu_reclaim(struct mmu *mmu, unsigned pages, unsigned entries);
static inline bool mmu_reclaim_waiting(const struct mmu *mmu)
{
	return atomic_load_relaxed(&((const struct mmu_front *)mmu)->debt) != 0;
}
#define MMU_BATCH_PAGES	  16
#define MMU_BATCH_ENTRIES 4096

/* What a vCPU pays of the debt after an exit (pay.c says how these hang together). */
#define MMU_PAY_SHARE	  24u
#define MMU_PAY_MOST_US	  50u
#define MMU_PAY_EXITS	  64u
#define MMU_PAY_PERIOD_US 1000u /* after which a vCPU is made to leave the guest */
#define MMU_PAY_LONG_US	  900u /* since it last paid; less than a period, for its timer may be a little early */
#define MMU_PAY_LEAST                                                                                        \
	12u /* pages, then: full ones are 6,200 instructions, of the 10,000 of a stretch in root mode */
#define MMU_PAY_BRIEF 4u /* pages, when there is no time for more */
/* After each exit while mmu_reclaim_waiting(): is it time to pay? now: the low half of the TSC. */
static inline bool mmu_pay_due(struct mmu_vcpu *v, uint32_t now)
{
	return unlikely(now - v->paid_at >= v->pay_after) || unlikely(++v->unpaid >= MMU_PAY_EXITS);
}
/* Pays. brief: at most MMU_PAY_BRIEF pages, since this exit has taken long already; a whole batch that was due is due at the next
 * exit, too. Returns the pages freed. No lock held. */
unsigned mmu_pay(struct mmu_vcpu *v, bool brief);

/* As bits 2:0 of the exit qualification of an EPT violation (SDM Vol. 3C 27.2.1). */
#define MMU_READ  (1u << 0)
#define MMU_WRITE (1u << 1)
#define MMU_EXEC  (1u << 2)

enum mmu_verdict {
	MMU_RESUME,    /* mapped, or spurious: enter the guest again */
	MMU_MMIO,      /* no RAM there: ask the platform (decode and emulate) */
	MMU_ROM,       /* a write to a read-only slot: as MMIO */
	MMU_EXEC_MMIO, /* instruction fetch from what is not RAM: the guest ends */
	MMU_NO_MEMORY, /* no table page could be had: the guest ends */
	MMU_INJECT, /* a fault of the guest's own: inject #PF with v->inject, and the address that it used in CR2 */
	MMU_TABLE, /* a store into a page table of the guest's, at v->fault_at: emulate it (mm/shadow/shadow.h) */
};

/* EPT violation at a gpa; access: MMU_*. Locks: takes the MMU lock. */
enum mmu_verdict mmu_violation(struct mmu_vcpu *v, gpa_t at, unsigned access);
/* The same for back ends that see the guest's faults by other exits than EPT violations: an access for which the CPU found no
 * translation. */
struct mmu_fault {
	gpa_t at;	 /* the guest-physical address that faulted, if there is one */
	gva_t gva;	 /* the address that the guest used */
	uint32_t error;	 /* the error code of the CPU (PF_*) */
	unsigned access; /* MMU_* */
	/* the guest's own translation of gva, as it was read (mm/space/walker.h) */
	const struct guest_walk *walk;
};
enum mmu_verdict mmu_fault(struct mmu_vcpu *v, const struct mmu_fault *f);
/* v is to run on another root, since its guest has loaded another address space: the back end chooses it in the next mmu_serve(),
 * which comes before the next entry. */
static inline void mmu_reload(struct mmu_vcpu *v)
{
	atomic_fetch_or(&v->requests, MMU_REQ_RELOAD);
}
/* mmu_fault() said MMU_ROM, and the access was a walk of the guest's own tables, which counts as a write where EPT's A and D
 * flags are in use: switches them off for this VM (ept_ad.c). MMU_RESUME; MMU_ROM: v walked without them, so that it was
 * a write indeed. Locks: takes the MMU lock. */
enum mmu_verdict mmu_rom_walked(struct mmu_vcpu *v, gpa_t at);
/* EPT misconfiguration at a gpa: MMU_MMIO if the entry is one of ours and current, MMU_RESUME if it was stale and
 * is gone now. A misconfiguration that is not ours is a bug of Lethe's and panics. Locks: takes the MMU lock, but not
 * for another access to the hole that the last one was in. */
enum mmu_verdict mmu_misconfig(struct mmu_vcpu *v, gpa_t at);

/*
 * Reads and clears the dirty log of pages [first, first + pages) of a slot: bit n % 64 of bitmap[n / 64] says that page
 * first + n was written since it was read last. `first` is a multiple of 64; so is `pages`, unless it reaches the end.
 *
 * When the ticket is ready, what the pages hold may be copied: a write that the copy may miss is in the next reading.
 * (Before, vCPUs may write with rights that they had, and no further record.) With page-modification logging, records
 * may be in the buffers of vCPUs that are in the guest now, and are in the first reading after these have left it: the
 * last reading of all is done with none inside. Logging counts from when the ticket of slot_set_flags() is ready.
 *
 * 0; -E_NOENT: no such slot; -E_INVAL: not logged, or `first` is odd; -E_RANGE. Locks: takes the MMU lock, for at most
 * DIRTY_CHUNK pages at a time. It does not wait.
 */
#define DIRTY_CHUNK 4096u
int dirty_log_read_clear(struct mmu *mmu, slot_id id, uint64_t first, uint64_t pages, uint64_t *bitmap,
	struct mmu_ticket *out);

/* The index counts down from this (the VMCS field), and wraps below 0 when the buffer is full. Of its 512 entries so few are
 * used, since one takes a hundred instructions, and a full buffer is one exit's work. */
#define MMU_PML_EMPTY 47u
/* From hv's pml_drain(): v's buffer of guest-physical addresses, of which those above `index` are filled in, goes into the dirty
 * logs. Locks: none held, takes none. */
void mmu_pml_drain(struct mmu_vcpu *v, const uint64_t *buffer, uint16_t index);

/* An entry of a table that a walk passes. */
struct mmu_step {
	uint64_t entry;
	unsigned level, index; /* of the table, and in it */
	/* Tables below the one that it links, as far as they were counted (MMU_STEP_COUNTED). */
	unsigned below;
	enum { MMU_STEP_EMPTY, MMU_STEP_TABLE, MMU_STEP_LEAF, MMU_STEP_MMIO } kind;
};
#define MMU_STEP_COUNTED 1000u
/* For dumps: how v's tables translate `at`, from the root down to what ends the walk. Returns the number of steps, at most
 * LEVELS_MOST; 0: v has no root of the valid generation. Locks: takes the MMU lock. */
unsigned mmu_walk(struct mmu_vcpu *v, gpa_t at, struct mmu_step step[]);

/* Counts the generation up: every table is obsolete from now on (rule 1). Takes the MMU lock; O(vCPUs). */
void mmu_invalidate_all(struct mmu *mmu);

struct mmu_stats {
	uint64_t bumps, lock_ticks_max, flushes, kicks, faults; /* the first few: what a deletion counts */
	uint64_t targeted;					/* slots removed without a bump */
	uint64_t batches, pages_freed, batch_pages_max, waiting, evictions;
	uint64_t faults_mmio, faults_spurious, pages_live, pages_peak, tables_bytes;
	uint64_t pages_live_peak; /* the live set: most pages valid at one time */
	uint64_t batch_entries_max;
	uint64_t batch_ticks_max; /* longest batch */
	uint64_t faults_since_bump;
	uint64_t ad_off; /* 1: EPT's A and D flags were switched off (ept_ad.c) */
};
/* Locks: takes the MMU lock. */
void mmu_stats(struct mmu *mmu, struct mmu_stats *out);
