/* SPDX-License-Identifier: MIT */
/*
 * The seam between the core of the MMU and its back ends.
 *
 *	core		generation, grace, flush epochs, pool, hash, reclaim, eviction, removal policy, dirty log, faults' frame
 *	---- this header ----
 *	back end	what an entry means: which tables a fault needs, how an entry is taken away, what the CPU is given as a root
 *
 *	EPT		mm/mmu/ept*.c: tables that map gpas, made from the slots alone
 *	shadow		mm/shadow/: tables that map gvas, made from the guest's page tables, on the ground of mm/mmu/indirect.h
 *	nested		tests/support/nested: the smallest back end on that ground
 *
 * A VM has one back end, chosen when its MMU is made (mmu_params.backend). The files of the core name no function of a back end:
 * tests/tools/test_seam.py checks that.
 *
 * How it is called. In the freestanding build an indirect call goes through a thunk (hv/host/thunks.asm), which the hot
 * exits must not pay. These two come with EPT only, so mm/mmu/fault.c calls ept_fault() and ept_misconfig() for them
 * directly, without even a comparison, and the linker puts both in line. They are the only functions of a back end that
 * the core names, in backend_violation() and backend_misconfig() below. All else goes through the table.
 *
 * Unless said otherwise, a function is called with the MMU lock held, and flushes nothing: the core asks for one flush
 * for all that was taken away, and relies on it only when it is acknowledged (contract, rule 6).
 *
 * A table has ENTRIES entries with every back end (levels.h).
 */
#pragma once

#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"

/* Instructions of unmapping above which `removal = targeted` forgets, too. No stretch in root mode is to be longer than 10,000
 * (200 us in Bochs), with the guest's OUT, the table's new version, and what comes after the exit. So half of it is for
 * unmapping, some 800 pages or 27 tables. */
#define TARGETED_MOST 5000u

struct backend {
	const char *name;
	unsigned roots_kept; /* that a vCPU keeps beside the one that it runs on: at most MMU_ROOTS_KEPT */
	/* Instructions of unmapping above which a bump is the better way (removal = auto). */
	unsigned crossover;
	unsigned
		mmio_bits; /* low bits of the slot table's version that MMIO entries carry; 0: none carries any */
	/* Translations are tagged by the vCPU (VPID) and not by the root: each new root and each flush epoch needs drop_tags(). */
	bool tags_by_vcpu;
	bool low_root; /* a vCPU needs a page below 4 GiB (v->low_root) */

	/* 0, with mmu->shape filled in; -E_NOSUP: the CPU cannot do it, and the log says what. mmu has its parameters and nothing else
	 * yet. No lock. */
	int (*setup)(struct mmu *mmu, const struct mmu_params *p);

	/*
	 * Makes what an access needs, on v->root. shape.fault_needs pages are available, v's root is of the valid generation, and v
	 * waits for no flush (mmu_fault() has seen to that). The slots are looked up in here, under the same lock.
	 * Verdict: as mmu_fault(). NULL: this back end's faults are EPT violations.
	 */
	enum mmu_verdict (*fault)(struct mmu_vcpu *v, const struct mmu_fault *f);

	/* The valid root for v, found or made. 0; -E_AGAIN: v is to wait, for pages or for a flush that was asked for here; -E_NOMEM.
	 * Pages are made available in here, since most often none is needed. */
	int (*root)(struct mmu_vcpu *v, struct spage **out);
	/* What stands for it in the VMCS. */
	uint64_t (*pointer)(const struct mmu_vcpu *v, const struct spage *root);
	/* Drops what this CPU's TLB has from older roots in the frame of v's, or from this one before a flush. No lock; interrupts are
	 * off. */
	void (*drop_tags)(struct mmu_vcpu *v);

	/* Second chance: does eviction have to leave p alone, or was it used since the last time (which is forgotten)? `at` is the gfn
	 * of the fault that needs a page. With `hard`, use does not count. */
	bool (*stays)(struct mmu *mmu, struct spage *p, gfn_t at, bool hard);
	/* No walk leads to p any more, nor to what lies below it and to nothing else: all of it is detached and waits for the next flush
	 * epoch, a root that is pinned for its last pin. Takes as long as below() says. */
	void (*cut)(struct mmu *mmu, struct spage *p);
	/* Tables that a cut of p takes along. Children are counted when they are linked and unlinked, those further down are counted
	 * here: looks at ENTRIES * most entries at most, and any number above `most` may stand for more. */
	unsigned (*below)(const struct spage *p, unsigned most);
	/* The same as cut() for what lies below p, but not p itself, in pieces: looks at up to *budget entries, lowers it by those, and
	 * goes on where it stopped when it is called again. True: nothing lies below p any more. Between two pieces the lock may be
	 * dropped, and what is gone may come back by a fault as long as p itself is linked. */
	bool (*detach)(struct mmu *mmu, struct spage *p, unsigned *budget);

	/* All that maps [at, at + pages) goes, if that takes at most `most` instructions (EPT_WEIGHT_* says how they are weighed): else
	 * nothing is touched. Returns what it took (0: that was not counted), or anything above `most`. */
	unsigned (*unmap)(struct mmu *mmu, gfn_t at, uint64_t pages, unsigned most);
	/* Dirty log: the next write to page `at` + n is to be seen again, for each bit n: by a D bit (pml) or by a fault. Returns how
	 * many entries it looked at beyond one a page. */
	unsigned (*rearm)(struct mmu *mmu, gfn_t at, uint64_t bits, bool pml);
	/* The host has stored these bytes. NULL: tables do not depend on what guest memory holds. Takes the lock itself. */
	void (*stored)(struct mmu *mmu, gpa_t at, uint64_t bytes);
	/* As mmu_rom_walked(). NULL: a walk of the guest's tables is never taken for a write. Takes the lock itself. */
	enum mmu_verdict (*rom_walked)(struct mmu_vcpu *v, gpa_t at);
	/* For dumps: the entries on the way from v's root, which is valid, to `at` (a gfn for EPT; the number of the page that the guest
	 * addressed, for tables made from the guest's). Returns how many, at most LEVELS_MOST. */
	unsigned (*walk)(const struct mmu_vcpu *v, uint64_t at, struct mmu_step step[]);
};

static inline enum mmu_verdict backend_violation(
	struct mmu *mmu, struct mmu_vcpu *v, gfn_t at, unsigned access)
{
	return ept_fault(mmu, v->root.pointer, at, access);
}
/* MMU_MMIO: the entry is of the slot table in force. MMU_RESUME: it was stale and is gone, or is none any more. */
static inline enum mmu_verdict backend_misconfig(struct mmu *mmu, struct mmu_vcpu *v, gfn_t at)
{
	return ept_misconfig(mmu, v->root.pointer, at);
}
