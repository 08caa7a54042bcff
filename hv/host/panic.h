/* SPDX-License-Identifier: MIT */
/* The end of the hypervisor: stops the other CPUs and prints all that helps to find out why. */
#pragma once

#include "hv/host/trap.h"

void panic_init(void); /* installs the hook of lib/assert.h */
/* A trap that nothing foresaw. */
void panic_trap(const struct trap_frame *f) __noreturn;
bool panicking(void);

/* "mmu_fault+0x42", from the table that the build appends (tools/symbols); "?" outside the image. */
const char *symbol_name(uint64_t at, char *buf, size_t n);
