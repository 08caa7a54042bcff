/* SPDX-License-Identifier: MIT */
/*
 * What a guest was doing when it had to end: registers, the code at RIP, the exit. It is taken at once, when the state is
 * that of the fault, and logged a line at a time when the VM is taken apart: a line costs some thousand instructions.
 */
#pragma once

#include <stdarg.h>

#include "guest/load/vcpu_state.h"
#include "mm/mmu/mmu.h"

struct vm;
struct vcpu;

#define DUMP_TEXT 320
#define DUMP_CODE 16

struct dump {
	bool claimed;	      /* a vCPU has taken it or is taking it (atomic) */
	char text[DUMP_TEXT]; /* why; once that is logged, its last exits */
	struct vcpu_state state;
	const struct vcpu *vcpu; /* NULL: there is no dump */
	uint64_t reason, qualification, physical;
	bool shadow; /* it runs on shadow page tables */
	/* After a fault of the second stage: how EPT translates `physical`; how shadow page tables translate `qualification`. */
	struct mmu_step step[LEVELS_MOST];
	unsigned nsteps;
	uint8_t code[DUMP_CODE];
	unsigned ncode;	 /* bytes of it that could be read */
	unsigned logged; /* calls of dump_log_line() so far */
};

/* Takes the dump of v's VM, which the caller ends then; of further vCPUs that fail, none is taken. why: a printf format. v's
 * VMCS is current. */
void dump_take(struct vcpu *v, const char *why, ...) __printf_like(2, 3);
void dump_vtake(struct vcpu *v, const char *why, va_list ap) __printf_like(2, 0);
/* Logs the next line of the VM's dump. False: there is none. Before its vCPUs are destroyed. */
bool dump_log_line(struct vm *vm);
