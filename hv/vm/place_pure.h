/* SPDX-License-Identifier: MIT */
/*
 * Which CPU each vCPU is pinned to. Decided for all VMs before the first one is built, so that a VM with `cpus` of its own gets
 * them, wherever its section stands in lethe.conf. Pure (hv/vm/place_pure.c).
 *
 *	cpus = given	its vCPUs are pinned to these in turn
 *	else		each vCPU goes to the CPU that has the fewest, of these the one whose core has the fewest
 *
 * With same_vm each core of several threads belongs to one VM: first VMs with `cpus` take the cores that their vCPUs are
 * pinned to; then each other VM gets one of the free cores; then what is free goes to VMs with more vCPUs than cores, to the
 * one with the most vCPUs for each core. CPUs that are alone in their core serve any VM.
 */
#pragma once

#include "guest/conf/conf.h"
#include "lib/cpu_id.h"

enum place_result {
	PLACE_DONE,
	PLACE_NO_CPU,	  /* none of `cpus` can run guests */
	PLACE_CORE_TAKEN, /* CPU `clash` is in a core that VM `owner` has */
	PLACE_NO_CORE,	  /* all cores belong to other VMs */
};

struct place_vm {
	unsigned vcpus; /* 1 to CONF_VCPUS_MAX */
	uint64_t cpus;	/* bit per CPU; 0: all */
	/* Found: */
	enum place_result result;
	uint8_t cpu[CONF_VCPUS_MAX]; /* of each vCPU */
	unsigned clash, owner;
};

struct place {
	uint64_t usable;	 /* bit per CPU that can run guests; at least one */
	uint32_t core[CPUS_MAX]; /* the same number: threads of one core */
	bool same_vm;
	unsigned nvms;
	struct place_vm vm[CONF_VMS_MAX];
};

/* Fills in what is found of each VM. */
void place_vms(struct place *p);
