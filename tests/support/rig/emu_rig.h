/* SPDX-License-Identifier: MIT */
/*
 * A rig for the emulator's tests: one small machine (tests/support/fakes/emu_machine.h) with its memory, and what all of
 * these tests do with it. At most one file of a program includes it.
 */
#pragma once

#include <string.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/fakes/emu_machine.h"

#define LINEAR 0x10000ull
#define PAGES  8u

static struct emu_machine m;
static struct insn_cache cache;
static uint8_t memory[PAGES * PAGE_SIZE]; /* at linear address LINEAR */

/* The machine as it starts: cleared memory, all of it RAM, RIP 0x1000. */
static inline void fresh(enum insn_mode mode)
{
	memset(memory, 0, sizeof(memory));
	machine_init(&m, memory, LINEAR, PAGES);
	m.e.mode = mode;
	m.regs.rip = 0x1000;
	if (mode == INSN_MODE_16)
		for (unsigned s = 0; s < SEGS; s++)
			m.seg[s].limit = 0xffff;
}

/* The same in 64-bit mode, with all memory a device's. */
static inline void fresh_device(void)
{
	fresh(INSN_MODE_64);
	for (unsigned k = 0; k < PAGES; k++)
		m.page[k] |= PAGE_DEVICE;
}

/* Emulates one instruction. */
static inline int run_bytes(const char *bytes, size_t n)
{
	uint8_t code[16] = { 0 };

	memcpy(code, bytes, n);
	return emulate_cached(&m.e, &cache, code, INSN_MAX); /* kept from test to test */
}
#define RUN(s) run_bytes(s, sizeof(s) - 1)

/* n bytes of memory at this offset, read past the emulator. */
static inline uint64_t at(unsigned offset, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, memory + offset, n);
	return v;
}

static inline void put(unsigned offset, uint64_t v, unsigned n)
{
	memcpy(memory + offset, &v, n);
}

/* Fails the test unless rc, from an emulation, is this fault, and RIP is where it was. */
static inline void assert_fault(int rc, unsigned vector, uint32_t error)
{
	assert_int_equal(rc, -E_FAULT);
	assert_int_equal(m.e.fault.vector, vector);
	assert_int_equal(m.e.fault.has_error, vector != VEC_UD && vector != VEC_DE);
	assert_int_equal(m.e.fault.error, error);
	assert_int_equal(m.regs.rip, 0x1000);
}

/* Fails the test unless the device's access number k was this one. */
static inline void assert_logged(unsigned k, uint64_t linear, unsigned n, bool write, uint64_t value)
{
	assert_true(k < m.logged);
	assert_int_equal(m.log[k].gpa, machine_gpa(&m, linear).v);
	assert_int_equal(m.log[k].n, n);
	assert_int_equal(m.log[k].write, write);
	assert_int_equal(m.log[k].value, value);
}

/* The gpa of the VM exit is that of `linear`, and hardware allowed these kinds of access (EMU_READ, EMU_WRITE). */
static inline void known(uint64_t linear, unsigned kinds)
{
	m.e.known = kinds;
	m.e.gpa = machine_gpa(&m, linear);
}
