/* SPDX-License-Identifier: MIT */
/* Guest state that VM entry and exit do not switch and root mode does not use: it stays in the CPU from one vCPU to the next. */
#pragma once

#include "lib/types.h"

struct guest_cpu {
	uint64_t star, lstar, cstar, syscall_mask, kernel_gs_base, tsc_aux;
	uint64_t xcr0, spec_ctrl;
	bool syscall; /* EFER.SCE, where VM entry and exit do not switch EFER */
	uint64_t cr2, dr[4], dr6;
	void *xsave; /* XSAVE area of all that xcr0_supported names; or FXSAVE's 512 bytes */
};

void guest_cpu_init(void); /* first CPU: what XCR0 can be, how big the area is */
uint64_t guest_xcr0_supported(void);
size_t guest_xsave_bytes(void);
/* As after power-up (SDM Vol. 3A table 9-1); firmware: the x87 as firmware hands it over. 0, or -E_NOMEM. */
int guest_cpu_create(struct guest_cpu *g, bool firmware);
void guest_cpu_destroy(struct guest_cpu *g);
void guest_cpu_load(struct guest_cpu *g);
void guest_cpu_save(struct guest_cpu *g);
/* Gives the CPU the guest's EFER.SCE. VM entry and exit that do not switch EFER set LME and LMA, and root mode has the same NXE as
 * guests on shadow page tables and uses no SYSCALL. */
void guest_cpu_load_syscall(const struct guest_cpu *g);
/* DR0 to DR3 and DR6 of the vCPU whose state is in the CPU; DR7 is in the VMCS. */
void guest_cpu_write_debug(const uint64_t dr[4], uint64_t dr6);
void guest_cpu_read_debug(uint64_t dr[4], uint64_t *dr6);
