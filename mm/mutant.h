/* SPDX-License-Identifier: MIT */
/*
 * Planted faults. Each breaks one rule of the MMU's contract and can be switched on by name in a debug build, to
 * show that the tests catch it and to show a reader what the rule is for. In the release build MUTANT(x) is the
 * constant false and leaves no trace.
 */
#pragma once

#include "lib/types.h"

/*	name			rule	what is broken */
#define MUTANTS(X)                                                                                                \
	X(publish_after_bump)	   /* 1	the slot table is published after the generation and the requests */      \
	X(bump_without_request)	   /* 1	running vCPUs are not asked to reload, nor kicked */                      \
	X(no_fence)		   /* 1	`entered` is read before what was asked can be seen */                    \
	X(no_recheck)		   /* 2	requests and valid_gen are not read again after the exchange */           \
	X(entered_late)		   /* 2	`entered` is set after the second look, not before it */                  \
	X(no_wait)		   /* 3	a new generation is entered while others run on an older one */           \
	X(free_before_grace)	   /* 4	tables are freed while a vCPU still runs on them */                       \
	X(ticket_guest_only)	   /* 4	RAM is reused while a CPU may hold a pointer to it */                     \
	X(ticket_at_once)	   /* 4	RAM is reused while a vCPU may still reach it */                          \
	X(busy_late)		   /* 4	a CPU that leaves the guest is busy only when the vCPU is outside */      \
	X(new_at_tail)		   /* 5	new pages enter the active list at the wrong end */                       \
	X(batch_overrun)	   /* 5	a batch does not stop inside a page */                                    \
	X(two_drainers)		   /* 5	no try-lock: two CPUs go on with the same half-cleared page */            \
	X(no_invept_new_root)	   /* 6	a recycled root frame is entered without INVEPT */                        \
	X(no_invvpid_on_move)	   /* 6	a vCPU that changes CPU keeps what that CPU knew of it */                 \
	X(flush_without_ack)	   /* 6	evicted pages are freed before all vCPUs have left the guest */           \
	X(ad_root_kept)		   /* 6	A and D go off without a new root: no CPU is told */                      \
	X(flush_running_only)	   /* 6	only CPUs in the guest now are flushed, not those that were */            \
	X(stale_hash_hit)	   /* 7	a look-up believes an obsolete page */                                    \
	X(stale_blocks)		   /* 7	blocks of chains are taken from a generation that is gone */              \
	X(large_over_table)	   /* 7	a table of the guest's stays mapped by large leaves */                    \
	X(table_writable)	   /* 8	a table of the guest's is not write-protected */                          \
	X(entries_not_read_again)  /* 8	a page is linked by an entry that has changed meanwhile */                \
	X(clean_writable)	   /* 8	a store through an entry without D does not fault */                      \
	X(unsync_linked)	   /* 8	a table that the guest has written to is linked as it was */              \
	X(quadrant_lost)	   /* 8	the two halves of a 32-bit page table share a page */                     \
	X(directory_quadrant_lost) /* 8	the four quarters of a 32-bit directory share a page */                   \
	X(half_entry_kept) /* 8	a store into a 32-bit directory takes one of the two entries made from it */      \
	X(low_root_late)   /* 8	the copy of the four PDPTEs is not filled in for another root */                  \
	X(role_without_nxe)	   /* 8	the role does not say whether NX is reserved */                           \
	X(role_without_pse)	   /* 8	the role does not say whether PS counts in 32-bit paging */               \
	X(role_without_smep)	   /* 8	with WP = 0, the role does not say SMEP */                                \
	X(wp0_user_kept)	   /* 8	a page that a supervisor may store to by WP = 0 stays the user's */       \
	X(wp0_exec_kept)	   /* 8	the same page can be executed with SMEP */                                \
	X(wp0_smap_escaped)	   /* 8	the same page is mapped with SMAP */                                      \
	X(error_code_without_rsvd) /* 8	the error code does not say that a reserved bit was set */                \
	X(invlpg_without_sync)	   /* 8	INVLPG does not compare the entry with the guest's */                     \
	X(cr3_without_sync)	   /* 8	a CR3 load does not compare unsynchronised tables */                      \
	X(sync_ignores_a)	   /* 8	comparing takes no notice of A */                                         \
	X(sync_ignores_d)	   /* 8	comparing takes no notice of D */                                         \
	X(sync_ignores_rights)	   /* 8	comparing takes no notice of U */                                         \
	X(sync_unprotected)	   /* 8	a table is synchronised and stays writable */                             \
	X(stale_forgotten)	   /* 8	pages that a sync had no time for are linked again as they were */        \
	X(flood_ignored)	   /* 8	a page whose table has many stores is not given up */                     \
	X(large_over_new_table)	   /* 7	a large leaf is mapped over a table that its own fault has found */       \
	X(cr3_without_flush)	   /* 6	another root is entered with what the TLB has of the last */              \
	X(invlpg_without_flush)	   /* 6	INVLPG leaves the TLB as it is */                                         \
	X(protect_without_ack) /* 6	a frame that becomes a table is write-protected, and no flush is asked for */ \
	X(ahead_forgotten)     /* 6	the same, where the right to write had gone without a flush before */         \
	X(previous_root_kept)  /* 11	a vCPU keeps roots of older generations */                                   \
	X(fault_unlogged)      /* 13	a fault does not log the store that it is for */                             \
	X(log_writable)	       /* 13	a page of a logged slot is mapped for writing by a read */                   \
	X(rom_writable)	       /* 8	a page of a read-only slot is mapped for writing */                           \
	X(pdptes_not_compared) /* 10	a root of PAE paging keeps what other PDPTEs led to */                       \
	X(no_check_under_lock) /* 8	the fault does not check that its root is still current */                    \
	X(fault_unflushed)     /* 8	the fault acts on the new map while others may still use the old */           \
	X(evict_path)	       /* 9	eviction may take a page of the faulting path */                              \
	X(no_debt_bound)       /* 9	allocation retires nothing */                                                 \
	X(recomputed_key)      /* 10	what links an evicted page is looked up, not remembered */                   \
	X(recomputed_rmap)     /* 10	where a leaf was noted is worked out anew when it goes */                    \
	X(free_pinned_root)    /* 11	pins are ignored */                                                          \
	X(pin_leaked)	       /* 11	the previous root stays pinned */                                            \
	X(mmio_ignores_gen)    /* 12	a stale MMIO entry is believed */                                            \
	X(mmio_wrap_no_bump)   /* 12	the generation in MMIO entries wraps unnoticed */                            \
	X(dirty_lost_on_large) /* 13	logging starts without taking large leaves apart */                          \
	X(dirty_no_flush)      /* 13	read-and-clear does not flush */                                             \
	X(pml_not_drained)     /* 13	read-and-clear leaves PML buffers full */                                    \
	X(pml_left_on)	       /* 13	A and D go off, and the CPU is still relied on to log */                     \
	X(drained_late)	       /* 13	a vCPU counts as outside before its PML buffer is drained */                 \
	X(host_store_unlogged) /* 14	stores by devices are not logged */                                          \
	X(host_store_untold)   /* 14	stores by devices into the guest's tables are not told */                    \
	X(exec_large)	       /* 15	large leaves are executable on a CPU prone to iTLB multihit */               \
	X(targeted_no_flush)   /* 16	targeted removal forgets its flush */                                        \
	X(targeted_short)      /* 16	targeted removal misses the range's last entry */

#define MUTANT_ENUM(n) MUTANT_##n,
enum mutant { MUTANT_none, MUTANTS(MUTANT_ENUM) MUTANTS_END };

#ifdef LETHE_DEBUG
extern enum mutant mutant_active;
#define MUTANT(n) unlikely(mutant_active == MUTANT_##n)
#else
#define MUTANT(n) false
#endif

/*
 * Where other CPUs may come in between: points at which no lock is held and something may change. The oracle of the
 * tests lets them do so here; in the release build there is nothing.
 */
extern void (*mmu_yield)(void);
#ifdef LETHE_DEBUG
#define YIELD()                                                                                              \
	do {                                                                                                 \
		if (unlikely(mmu_yield != 0))                                                                \
			mmu_yield();                                                                         \
	} while (0)
#else
#define YIELD() ((void)0)
#endif

/* Switches one on by its name, all off with "none". False: no such name. */
bool mutant_select(const char *name);
const char *mutant_name(enum mutant m);
