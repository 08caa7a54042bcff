/* SPDX-License-Identifier: MIT */
/*
 * A small machine for the emulator's tests: a few pages of memory at a linear address, mapped in reverse
 * order (so that an operand that crosses a page needs both translations), each page RAM or device, with the
 * guest's rights; registers, segments; and a record of what devices saw.
 */
#pragma once

#include "guest/emu/emulate.h"

#define MACHINE_PAGES_MAX 16
#define MACHINE_GPA	  0x7000000ull
#define MACHINE_LOG	  256

#define PAGE_PRESENT (1u << 0)
#define PAGE_WRITE   (1u << 1) /* the guest's paging lets it be written */
#define PAGE_DEVICE  (1u << 2) /* no RAM: mmio_read and mmio_write */
#define PAGE_ROM     (1u << 3) /* RAM that ram_write refuses */

struct machine_access {
	uint64_t gpa, value;
	unsigned n;
	bool write;
};

struct emu_machine {
	struct emu e;
	struct cpu_regs regs;
	struct cpu_segment seg[SEGS];
	uint8_t xmm[16][16], ymm_high[16][16];
	uint8_t *mem; /* by linear address; the caller's */
	uint64_t linear;
	unsigned pages;
	unsigned page[MACHINE_PAGES_MAX];
	bool old_cpu;	  /* without TZCNT and LZCNT */
	bool no_avx;	  /* XCR0 does not enable the YMM registers */
	bool hurried;	  /* a REP string is to stop between two elements */
	unsigned disturb; /* so many cmpxchg find that another CPU was there: it adds 1 to the first byte */
	unsigned translations, ram_accesses, segments_asked, logged;
	struct machine_access log[MACHINE_LOG]; /* of devices */
};

/* Everything present, writable RAM; 64-bit mode; flat segments. */
void machine_init(struct emu_machine *m, uint8_t *mem, uint64_t linear, unsigned pages);
gpa_t machine_gpa(const struct emu_machine *m, uint64_t linear);
