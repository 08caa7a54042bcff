/* SPDX-License-Identifier: MIT */
/*
 * What the files of the nested guest share:
 *
 *	nested.c	vCPUs, devices, the VM, in random order
 *	nested_model.c	what the guest's tables say, and said
 *	nested_mmu.c	the back end: shadow pages made from them
 *	backends.c	its place behind the seam of mm/mmu/backend.h
 *	nested_audit.c	checks that the notes about indirect pages agree with their entries
 */
#pragma once

#include "mm/mmu/indirect.h"
#include "tests/support/nested/nested.h"
#include "tests/support/rig/arena.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)

#define RAM_PAGES   2048u /* from gfn 0; large leaves can map it */
#define BAR	    4096u /* gfn of a slot that comes and goes */
#define BAR_PAGES   16u
#define TABLES	    20u /* gfns TABLE0.. may be tables of the guest's; some of them in the BAR */
#define USED	    6u	/* entries of each that are ever used */
#define LEVELS	    4u
#define FAULT_NEEDS (LEVELS * (INDIRECT_NEW_NEEDS + INDIRECT_LINK_NEEDS) + INDIRECT_MAP_NEEDS)
#define VERSIONS    512u
#define WAITING	    16u

/* Everything that decides what the guest's tables say. */
struct nested_version {
	uint64_t entry[TABLES][USED];
	struct backing *bar; /* NULL: no slot there */
	uint64_t epoch, gen; /* seen by all when no vCPU is in the guest from before these */
};

struct nested_vcpu {
	struct mmu_vcpu v;
	bool in, kicked;
	bool busy;    /* in the middle of a step: others may take steps, this one does not */
	bool on_cpu;  /* in the guest, or at work there */
	unsigned cpu; /* on which it is, or was last */
	uint64_t eptp;
	unsigned root; /* index of the table that it has as its root */
	bool again;    /* the last access was not the guest's own fault: it is tried again */
	uint64_t again_at;
	unsigned again_access;
	unsigned stuck;
};

struct nested_state {
	const struct nested_config *c;
	struct arena arena;
	struct mmu *mmu;
	struct nested_vcpu vcpu[NESTED_VCPUS];
	struct backing *ram, *bar;
	slot_id ram_id, bar_id;
	uint64_t table_gfn[TABLES];
	struct nested_version at[VERSIONS];
	uint64_t version, oldest;
	bool cpu_taken[ORACLE_CPUS]; /* a vCPU is in the guest there, or busy */
	bool changing_map;
	unsigned nested;   /* steps within a step */
	unsigned quiet;	   /* > 0: no other step comes in between */
	unsigned changing; /* changes of guest memory that are under way */
	struct {
		struct backing *b;
		struct mmu_ticket t;
	} waiting[WAITING]; /* BARs that are gone */
	/* All vCPUs that could write to it unseen have left when this epoch is acknowledged. */
	uint64_t tracked_since[RAM_PAGES + BAR + BAR_PAGES];
};
extern struct nested_state nested;

/* ---- nested_model.c ---- */
struct nested_version *nested_now(void);
/* Guest memory is different: a new version, read off it. */
void nested_changed(void);
/* Around a store or a change of the map by the host: what was before may be seen until every vCPU has left since its end.
 * Others may see what comes after in the middle of it. */
uint64_t nested_change_begin(void);
void nested_change_end(uint64_t begun);
/* Which of the guest's tables lies at gfn; -1: none. */
int nested_table_at(uint64_t gfn);
/* The host's frame behind gfn in a version; 0: none. */
uint64_t nested_frame_of(const struct nested_version *v, uint64_t gfn);
/* Where a version of the guest's tables leads for an access: the gfn, or -1. */
int64_t nested_walk(const struct nested_version *v, unsigned root, uint64_t at, unsigned access);
/* vCPU v has reached something by leaf e: fails if it may not. */
void nested_check_hit(struct nested_vcpu *v, uint64_t at, unsigned access, uint64_t e, unsigned level);

/* ---- nested_mmu.c ---- */
/* What the back end of a nested VM does (mm/mmu/backend.h). */
enum mmu_verdict nested_fault(struct mmu_vcpu *v, const struct mmu_fault *f);
int nested_root(struct mmu_vcpu *v, struct spage **out);
