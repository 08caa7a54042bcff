/* SPDX-License-Identifier: MIT */
/*
 * Two VMs on a machine whose CPUs are threads: what the files of this test share.
 *
 *	world.c		creation and end of VMs, what a guest may rely on, RAM and its stamps
 *	cpu.c		CPUs: the run loop, and the guest in it with EPT
 *	shadow.c	the guest on shadow page tables, with page tables of its own
 *	device.c	devices: they change the map, store, hold pointers; copy.c: they copy a running VM
 *	test_mmu.c	the pairs of VMs that there are, and the watch over progress
 *
 * A place is a slot that comes and goes. One thread changes it, its owner: a device, or a vCPU that emulates one. The
 * owner also says in guest memory (`told`) what all may rely on from now on:
 *
 *	owner						any vCPU in the guest
 *	told = 0					k = told
 *	delete, move, ...				reaches the place, or does not
 *	a vCPU: has entered the guest again		k = told, still the same and not 0?
 *	a device: the tickets are ready			then it must have been as k says
 *	told = what is there now
 *
 * No thread waits for another here, so it holds only if the MMU keeps rule 3 (contract).
 */
#pragma once

#include "lib/atomic.h"
#include "mm/map/backing.h"
#include "tests/support/sim/oracle.h"

#define CPUS	4 /* threads that run vCPUs, any of them each */
#define DEVICES 2
#define VMS	2
#define VCPUS	3 /* of a VM */
#define PLACES	6 /* 0: RAM, its owner is the device of its VM's number; then one for each device, each vCPU */
#define HOMES	3  /* gfns where a place may be, by turns */
#define DYING	32 /* tickets that an owner waits for */

#define RAM_PAGES 1024u
#define HOME_STEP 1024u
/* RAM is place 0's only home; of the others, those of an even number are aligned as large leaves want it. */
#define HOME(place, home)                                                                                    \
	((place) ? HOME_STEP * (4ull + (place) * (HOMES + 1ull) + (home)) + ((place) % 2 ? 37 : 0) : 0)

/* Words of 8 bytes in every page of RAM. */
#define STAMP	    64 /* whose it is; see stamp() */
#define WORD_VCPU   65 /* one for each vCPU, stored by it alone */
#define WORD_DEVICE 70
#define WORD_ENTRY  80 /* where the page is a table of the guest's: the entries in use (shadow.c) */
#define STAMPED	    96 /* [STAMP, STAMPED): what is compared and what dies with the RAM */
#define LONG_BYTES  96 /* stored by devices across the end of a page */

/* What told says; bits 63:32 are a number that never comes again. */
#define TOLD_THERE    BIT(0)
#define TOLD_READONLY BIT(1)
#define TOLD_HOME     BITS(3, 2)
#define TOLD_PAGES    BITS(15, 4)
#define TOLD_LIFE     BITS(31, 16) /* low bits of the RAM's number in this place */

struct place {
	uint64_t told; /* in effect guest memory */
	/* The owner's: */
	bool there, unsaid; /* unsaid: it has changed since it was told */
	slot_id id;
	unsigned flags, home;
	uint64_t pages, life, tellings;
	struct backing *backing;
	unsigned tickets; /* not ready yet */
};

struct dying {
	struct place *of; /* NULL: free */
	struct mmu_ticket ticket;
	struct backing *backing; /* goes when it is ready; NULL: nothing */
};

/* The owner of places, a device or a vCPU: what it has taken away and must keep until its tickets are ready. */
struct owner {
	struct dying dying[DYING];
};

struct vcpu {
	struct mmu_vcpu v;
	uint32_t kicked; /* the interrupt that a kick is */
	uint32_t taken;	 /* a CPU runs it, or it is held stopped */
	struct vm *vm;
	unsigned number;
	uint64_t linear; /* version of the guest's own page tables */
	uint64_t stores; /* ever made: what it stores next */
	struct owner owner;
	uint64_t hits; /* atomic: the watcher reads it */
};

struct vm {
	struct mmu *mmu;
	const struct world_vm *what;
	unsigned number;
	struct vcpu vcpu[VCPUS];
	struct place place[PLACES];
};

/* What is tried in one VM. */
struct world_vm {
	struct mmu_caps caps;
	uint64_t pool_pages;
	enum mmu_removal removal;
	enum mmu_freeing freeing;
	bool shadow; /* on shadow page tables */
};

/* Counted by each thread for itself; the watcher adds up. All by relaxed atomics. */
struct seen {
	uint64_t rounds;		  /* of its loop */
	uint64_t hits, faults, mmio, rom; /* by vCPUs */
	uint64_t sure;			  /* of all accesses: those for which told said what must be there */
	uint64_t blocked, backed_out, kicked, changes, freed, reclaimed;
	uint64_t held, stored, refused; /* by devices */
	uint64_t copies, dirty;		/* of running VMs; of pages while they were made */
};

struct world {
	struct vm vm[VMS];
	struct seen seen[CPUS + DEVICES] __aligned(64);
	uint64_t seed;
	uint32_t stop;
};
extern struct world world;

#define count(field, n)                                                                                      \
	do {                                                                                                 \
		uint64_t *at_ = &world.seen[this_cpu_id()].field;                                            \
		atomic_store_relaxed(at_, *at_ + (n));                                                       \
	} while (0)

/* ---- world.c ---- */
void world_start(const struct world_vm what[VMS], uint64_t seed);
/* All threads have ended: everything goes, and all of it must come back. */
void world_end(void);
void world_seen(struct seen *out);
/* Others get this host CPU, for about so long; 0: if they want it. */
void world_pause(unsigned us);

/* A random change of a place by its owner; false: none was possible. Then told is 0. */
bool place_change(struct vm *vm, struct place *p, struct owner *o);
/* All may rely on what p is now. */
void place_tell(struct place *p);
/* Frees what o's tickets allow. */
void owner_reap(struct vm *vm, struct owner *o);
void owner_waits(struct owner *o, struct place *p, const struct mmu_ticket *t, struct backing *backing);

/* What must be in page `page` of home `home`, by what was told before and after an access to it. */
enum expected { ANYTHING, NOTHING, ROM, RAM };
enum expected place_expected(uint64_t before, uint64_t after, unsigned home, uint64_t page);
/* Word STAMP of a page to which place `number` of vm was seen to lead, while told said k (0: not to be relied on). */
void stamp_check(const struct vm *vm, unsigned number, uint64_t stamp, uint64_t k, const char *who);
/* The words of a page of RAM, and access to them as the guest's own would be. */
static inline uint64_t *words(pfn_t f)
{
	return pfn_to_virt(f);
}

/* ---- cpu.c ---- */
/* What a vCPU reaches for: MMU_* access to a page of a place, while told said this. */
struct reach {
	unsigned place, home, access;
	uint64_t page, told;
};
enum why { WHY_TIMER, WHY_KICK, WHY_FAULT, WHY_CHANGE, WHY_FLUSH };

/* In the guest: has an interrupt arrived? */
bool interrupted(const struct vcpu *v);
/* An access to r led to the page at w: may it? */
void reach_check(struct vcpu *v, const struct reach *r, const uint64_t *w);
/* An access to r ended in verdict d, which is not MMU_RESUME: may it? */
void reach_verdict(const struct vcpu *v, const struct reach *r, enum mmu_verdict d);

/* ---- shadow.c ---- */
/* Builds the page tables of vm's guest, and sets the registers of its vCPUs. */
void shadow_start(struct vm *vm);
/* v in the guest, after mmu_enter(); again: it repeats its last access. Returns why it leaves. */
enum why shadow_guest(struct vcpu *v, uint64_t pointer, bool again, unsigned slice);
/* After mmu_exit(): serves the exit. True: the access is to be repeated. */
bool shadow_exit(struct vcpu *v, enum why why);
/* A device stores into one of its entries in the tables of vm's guest. */
void shadow_device_store(struct vm *vm);

/* ---- cpu.c, device.c: threads, until world.stop ---- */
void *cpu_thread(void *number);
void *device_thread(void *number);
