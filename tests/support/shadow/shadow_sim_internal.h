/* SPDX-License-Identifier: MIT */
/*
 * What the files of the simulated machine share:
 *
 *	shadow_sim.c	the VM, and what happens next
 *	shadow_vcpu.c	vCPUs: enter, access, fault, leave
 *	shadow_regs.c	what a guest does with its registers and its TLB
 *	shadow_tables.c	the guest's tables: what is written into them, by vCPUs and by devices
 *	shadow_slots.c	slots that come and go, and the dirty log of one
 */
#pragma once

#include "lib/x86.h"
#include "mm/shadow/shadow.h"
#include "tests/support/rig/arena.h"
#include "tests/support/shadow/shadow_hw.h"
#include "tests/support/shadow/shadow_model.h"
#include "tests/support/shadow/shadow_sim.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)

#define GUEST_WIDTH 36u	  /* guest-physical bits */
#define RAM_PAGES   2048u /* from gfn 0: large pages can map it */
#define BAR	    4096u /* gfn of a slot that comes and goes; now and then it is at BAR + BAR_STEP */
#define BAR_STEP    64u
#define BAR_PAGES   8u
#define ROM	    5000u
#define ROM_PAGES   4u
#define ALIAS	    6000u /* the first pages of RAM once more */
#define ALIAS_PAGES 64u
#define HOLE	    7000u
#define WIDE	    16u /* tables of entries of 8 bytes; what comes after those has 4 */
#define NARROW	    6u
#define PDPTS	    3u /* pages that are loaded as PDPTEs and are no tables otherwise */
#define PDPT	    1900u
#define PCIDS	    3u
#define INVLPGS	    24u
#define TICKETS	    8u

struct shadow_invlpg {
	uint64_t page, version;
	unsigned pcids; /* bit n: in this one */
};

struct shadow_vcpu {
	struct mmu_vcpu v;
	struct shadow_hw_regs hw;
	bool in, kicked;
	bool busy;   /* in the middle of a step */
	bool on_cpu; /* in the guest, or at work there */
	unsigned cpu;
	struct paging_regs guest; /* its registers; CPL and RFLAGS are those of each access */
	enum shadow_mode mode;
	/* What its TLB may hold is not older than this, for each PCID; and for single pages. */
	uint64_t flushed[PCIDS];
	struct shadow_invlpg invlpg[INVLPGS];
	unsigned ninvlpg;
	bool again; /* the last access is tried again */
	struct shadow_hw_access access;
	unsigned cpl;
	bool implicit;
	unsigned stuck, outside;
	/* What guests do most: an entry is changed by which `edited` is reached (2), invalidated (1), and used (0 from then on). */
	unsigned stage;
	uint64_t edited;
};

/* An access that reached memory not long ago: it is repeated, also by other vCPUs, and the entries on its way change. */
#define HOTS 24u
struct shadow_hot {
	enum shadow_mode mode;
	struct paging_regs regs;
	uint64_t at, frame;
};

struct shadow_sim {
	const struct shadow_config *c;
	struct mmu *mmu;
	struct shadow_vcpu vcpu[SHADOW_SIM_VCPUS];
	bool cpu_taken[SHADOW_HW_CPUS];
	uint64_t table[MODEL_TABLES]; /* gfns: WIDE, then NARROW, then more of both */
	unsigned ntables;
	struct backing *ram, *rom;
	struct shadow_hot hot[HOTS];
	struct shadow_hot
		now;	/* a fault that is handled: others change the entries on its way. No frame: none */
	unsigned depth; /* steps within a step */
	bool orderly;	/* most tables are of one level, as in real guests */
	bool calm;	/* flushes, moves and changes of registers are seldom in the life of this VM */
};
extern struct shadow_sim shadow_sim;

/* ---- shadow_vcpu.c ---- */
void shadow_vcpu_leave(struct shadow_vcpu *v);
void shadow_vcpu_enter(struct shadow_vcpu *v);
void shadow_vcpu_access(struct shadow_vcpu *v);
/* The version since which v's TLB may hold something for `at`. */
uint64_t shadow_vcpu_since(const struct shadow_vcpu *v, uint64_t at);
/* An address, likely one of late. */
uint64_t shadow_vcpu_address(const struct shadow_vcpu *v);
/* Where an entry lies through which an access of late went; 0: none. */
uint64_t shadow_vcpu_hot_entry(void);

/* ---- shadow_regs.c ---- */
/* v, outside, is in a random mode from now on. */
void shadow_regs_init(struct shadow_vcpu *v);
/* v has left the guest for one of: MOV to CR3, to CR0, CR4 or EFER; INVLPG and INVPCID. */
void shadow_regs_change(struct shadow_vcpu *v);
void shadow_regs_invlpg(struct shadow_vcpu *v, uint64_t at);
/* A device stores into what is loaded as PDPTEs: no vCPU learns of that before it loads them again. */
void shadow_regs_pdpt(void);

/* ---- shadow_tables.c ---- */
void shadow_tables_init(void);
uint64_t shadow_tables_root(bool wide);
/* v has stored to this host-physical address, where it has a mapping. */
void shadow_tables_store(uint64_t address);
/* After MMU_TABLE: false: v is to do it itself. */
bool shadow_tables_emulate(struct shadow_vcpu *v);
void shadow_tables_device(void);

/* ---- shadow_slots.c ---- */
void shadow_slots_init(void);
void shadow_slots_fini(void);
void shadow_slots_change(void);
void shadow_slots_tickets(void);
void shadow_slots_read_log(void);
/* A vCPU has written to this frame at gfn, or a device has. */
void shadow_slots_written(uint64_t frame);
/* Counts changes of the slot and readings of its log: a store that one of them fell into may be in the reading before. */
uint64_t shadow_slots_changes(void);
