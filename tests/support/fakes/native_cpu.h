/* SPDX-License-Identifier: MIT */
/*
 * The real CPU as an oracle: executes one instruction of user mode with chosen registers, flags and memory.
 *
 * One mapping below 2 GiB, so that RIP-relative, 32-bit and absolute operands reach its data:
 *
 *	code (executable): load registers | the instruction | save registers
 *	data: NATIVE_DATA bytes, for the instruction to work on; unmapped pages around
 */
#pragma once

#include "lib/regs.h"

#define NATIVE_DATA (4 * 4096)

struct native_state {
	uint64_t gpr[GPRS];
	uint64_t rflags;
	uint8_t xmm[16][16];
};

/* Once. 0, or -1: this host does not allow it. */
int native_init(void);
uint8_t *native_data(void);
/* Where the instruction is put. */
uint64_t native_rip(void);
/* GS base, while it runs and after. */
void native_set_gs(uint64_t base);
/* Runs insn[0..n), n <= 15, with *s and leaves in *s what it has done. It must not fault. */
void native_run(const uint8_t *insn, size_t n, struct native_state *s);
