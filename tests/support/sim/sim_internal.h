/* SPDX-License-Identifier: MIT */
/*
 * What the files of the simulated machine (sim.h) share.
 *
 *	sim.c		the machine: what happens next, what may come in between, what must always be true
 *	sim_vcpu.c	vCPUs: enter, touch memory, fault, leave
 *	sim_slots.c	devices: change the map, store, hold pointers, reuse RAM
 *	sim_log.c	what must be in the dirty logs
 *	sim_configs.c	the machines that there are
 *
 * All is decided by oracle_random(), in one thread: the order of these calls is the run. To add one, anywhere,
 * gives every seed another run.
 */
#pragma once

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "tests/support/rig/arena.h"
#include "tests/support/sim/sim.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)
#define WIDTH	     40 /* guest-physical bits */
#define TICKETS	     16
#define SLOTS_BUSY   12	  /* of the model's, so that many are in use */
#define SPOTS	     24	  /* gfns around which everything happens */
#define LOG_PAGES    1100 /* more than any slot has */
#define PENDS	     64

/*
 * What the model knows of a slot's dirty log: pages that were written and must be in the next reading. Nothing is noted
 * while a write need not be recorded: before the ticket of the last reading (or of the start of logging) is ready.
 */
struct sim_log {
	uint64_t serial; /* counts starts of logging; 0: off */
	bool reading, waits;
	struct mmu_ticket t;
	bool written[LOG_PAGES];
};

/* Written, and in the buffer of this vCPU, which has not left the guest since. */
struct sim_pend {
	unsigned slot;
	uint64_t serial, page;
};

struct sim_vcpu {
	struct mmu_vcpu v;
	bool in, kicked, locked; /* in the guest; to be kicked out; in the middle of something */
	unsigned cpu;
	uint64_t eptp, linear;
	bool again; /* the last access faulted: it is tried again */
	uint64_t again_gfn;
	unsigned again_access, stuck;
	struct sim_pend pend[PENDS];
	unsigned npend;
	unsigned outside; /* tries to enter that failed, one after the other */
};

struct sim_cpu {
	int vcpu; /* in the guest here; -1: none */
	bool locked;
	struct backing *held; /* a device's pointer into it, since this CPU last passed the top of its loop */
};

struct sim_ticket {
	bool used;
	struct mmu_ticket t;
	uint64_t version;
	struct backing *free; /* when it is ready; NULL: nothing */
};

struct sim {
	const struct sim_config *c;
	struct arena arena;
	struct mmu *mmu;
	struct sim_vcpu vcpu[SIM_VCPUS];
	struct sim_cpu cpu[ORACLE_CPUS];
	struct sim_ticket ticket[TICKETS];
	struct model m;
	uint64_t spot[SPOTS];
	struct sim_log log[SLOTS_BUSY]; /* of the model's slot with this number */
	uint64_t linear_next, log_serial;
	uint64_t changes, reads; /* of the map; of dirty logs */
	uint64_t hot;		 /* gfn of the last fault: others do something with it, too */
	unsigned depth;		 /* of steps within steps */
};
extern struct sim sim;

/* ---- sim.c ---- */
/* Other CPUs come in between. */
void sim_nest(void);
/* A CPU that runs no vCPU and does nothing else; -1: none. */
int sim_free_cpu(void);
/* CPU c starts something in the host, and leaves idling for it; false if c is -1. / CPU c has finished it. */
bool sim_host_begin(int c);
void sim_host_end(int c);
/* Likely one that a slot holds, or held. */
uint64_t sim_random_gfn(void);
/* True if this answer about gfn is right for some version of the map since `from`. */
bool sim_some_version(uint64_t from, uint64_t gfn, bool want_slot, bool want_rom);

/* ---- sim_vcpu.c ---- */
void sim_enter(struct sim_vcpu *v);
void sim_access(struct sim_vcpu *v);
void sim_linear(struct sim_vcpu *v);
void sim_leave(struct sim_vcpu *v);
/* One batch, checked, on this CPU. */
void sim_reclaim(void);

/* ---- sim_slots.c ---- */
/* One random change of the map. */
void sim_slots(void);
void sim_hold(void);
void sim_top(void);
void sim_store(void);
/* Frees what waits for tickets that are ready. */
void sim_tickets(void);
unsigned sim_tickets_waiting(void);

/* ---- sim_log.c ---- */
/* Slot i of the model is logged from when t is ready; NULL: from now on. */
void sim_log_start(unsigned i, const struct mmu_ticket *t);
/* The host has stored to gfn. / v has written frame f at gfn. / v has left the guest. */
void sim_log_store(uint64_t gfn);
void sim_log_write(struct sim_vcpu *v, uint64_t gfn, uint64_t f);
void sim_log_drained(struct sim_vcpu *v);
/* Reads and clears a log, and compares. */
void sim_read_log(void);
