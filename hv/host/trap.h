/* SPDX-License-Identifier: MIT */
/* Exceptions, NMIs and interrupts that reach root mode through the IDT. */
#pragma once

#include "lib/types.h"

struct trap_frame { /* as entry.asm pushes it */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

void idt_build(void); /* once */
void idt_load(void);  /* each CPU */
void trap_entry(struct trap_frame *f);
/* Says in the log that there were NMIs. Any CPU, now and then. */
void host_nmi_report(void);

/* hv/host/entry.asm */
uint64_t trap_stub_address(unsigned vector);
uint64_t trap_fixup(uint64_t rip);
