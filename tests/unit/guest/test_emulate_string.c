/* SPDX-License-Identifier: MIT */
/* REP strings in chunks, INS and OUTS, and the breakpoints that emulated accesses meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/emu_rig.h"

/* ---- strings ---- */

/* To its end, or to a fault, in as many calls as it takes. */
#define RUN_ALL(code)                                                                                        \
	({                                                                                                   \
		int rc_;                                                                                     \
		do                                                                                           \
			rc_ = RUN(code);                                                                     \
		while (rc_ == EMU_PARTLY);                                                                   \
		rc_;                                                                                         \
	})

static void rep_string_stops_after_its_chunk_and_goes_on(void **state)
{
	fresh(INSN_MODE_64);
	for (unsigned k = 0; k < 200; k++)
		memory[k] = (uint8_t)(k + 1);
	m.page[2] |= PAGE_DEVICE;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x2000;
	m.regs.gpr[RCX] = EMU_CHUNK + 4;
	assert_int_equal(RUN("\xf3\xa4"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 4);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + EMU_CHUNK);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x2000 + EMU_CHUNK);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, RFLAGS_RF); /* no breakpoint at RIP in the middle */
	assert_int_equal(m.translations, 2);			/* one a page, not one an element */
	assert_int_equal(RUN("\xf3\xa4"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0);
	assert_int_equal(m.regs.rip, 0x1002);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, 0);
	assert_memory_equal(memory, memory + 0x2000, EMU_CHUNK + 4);
	assert_int_equal(memory[0x2000 + EMU_CHUNK + 4], 0);
	assert_int_equal(m.logged, EMU_CHUNK + 4);
}

static void rep_string_that_is_hurried_does_one_element_at_a_time(void **state)
{
	fresh(INSN_MODE_64);
	m.hurried = true;
	memory[0] = 7;
	memory[1] = 8;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x2000;
	m.regs.gpr[RCX] = 2;
	assert_int_equal(RUN("\xf3\xa4"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 1);
	assert_int_equal(memory[0x2000], 7);
	assert_int_equal(memory[0x2001], 0);
	assert_int_equal(RUN("\xf3\xa4"), 0);
	assert_int_equal(memory[0x2001], 8);
}

static void exactly_one_chunk_is_finished_at_once(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RCX] = EMU_CHUNK;
	assert_int_equal(RUN("\xf3\xaa"), 0);
	assert_int_equal(m.regs.rip, 0x1002);
	m.regs.gpr[RCX] = 0; /* nothing to do: nothing is touched */
	m.regs.gpr[RDI] = 0x800000000000;
	assert_int_equal(RUN("\xf3\xaa"), 0);
}

static void single_step_sees_each_element(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.rflags |= RFLAGS_TF;
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RCX] = 3;
	assert_int_equal(RUN("\xf3\xaa"), EMU_PARTLY);
	assert_int_equal(RUN("\xf3\xaa"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 1);
	assert_int_equal(RUN("\xf3\xaa"), 0);
}

static void fault_in_the_middle_keeps_what_was_done(void **state)
{
	fresh_device();
	m.page[0] &= ~PAGE_DEVICE;
	m.page[3] = 0;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x3000 - 10;
	m.regs.gpr[RCX] = 20;
	put(4, 0xbbaa, 2);
	assert_fault(RUN_ALL("\xf3\x66\xa5"), VEC_PF, PF_WRITE); /* rep movsw */
	assert_int_equal(m.e.fault.cr2, LINEAR + 0x3000);
	assert_int_equal(m.regs.gpr[RCX], 15);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + 10);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x3000);
	assert_int_equal(m.logged, 5);
	assert_logged(2, LINEAR + 0x3000 - 6, 2, true, 0xbbaa);
}

static void strings_count_and_wrap_in_their_address_size(void **state)
{
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.seg[SEG_ES].base = LINEAR - 0xfff0;
	m.seg[SEG_DS].base = LINEAR;
	m.regs.gpr[RAX] = 0x77;
	m.regs.gpr[RDI] = 0xabcd0000fff0;
	m.regs.gpr[RCX] = 0x12340010;
	assert_int_equal(RUN_ALL("\xf3\xaa"), 0);
	assert_int_equal(m.regs.gpr[RDI], 0xabcd00000000); /* DI wrapped, the rest stays */
	assert_int_equal(m.regs.gpr[RCX], 0x12340000);
	assert_int_equal(at(15, 2), 0x77);
	/* A word at FFFF is beyond the limit. */
	m.regs.gpr[RDI] = 0xffff;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\xab"), VEC_GP, 0);
	/* 67: 32-bit registers, whose upper halves go. */
	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = 0xdeadull << 32 | LINEAR;
	m.regs.gpr[RCX] = 0xbeefull << 32 | 2;
	assert_int_equal(RUN("\xf3\x67\xaa"), 0);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 2);
	assert_int_equal(m.regs.gpr[RCX], 0);
}

/* ---- breakpoints ---- */

/* Breakpoint 1 on the four bytes of a device at offset 0x308, when they are written. */
static const struct breakpoints on_write = { .dr = { 0, LINEAR + 0x308 }, .dr7 = 1u << 3 | 0xdu << 20 };

static void breakpoints_are_met_by_what_the_emulator_accesses(void **state)
{
	fresh_device();
	m.e.watch = &on_write;
	m.regs.gpr[RAX] = LINEAR + 0x308;
	known(LINEAR + 0x308, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0); /* mov [rax], ecx: not by the short way */
	assert_int_equal(m.e.hits, 2);
	assert_int_equal(RUN("\x8b\x08"), 0); /* mov ecx, [rax] */
	assert_int_equal(m.e.hits, 0);
	assert_int_equal(RUN("\x09\x48\x02"), 0); /* or [rax + 2], ecx */
	assert_int_equal(m.e.hits, 2);
	m.e.watch = NULL;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.e.hits, 0);
}

static int no_port(void *ctx, uint16_t number, bool in, unsigned size, uint32_t *value)
{
	*value = 0;
	return 0;
}

static void rep_string_stops_where_it_meets_a_breakpoint(void **state)
{
	struct emu_string_io io = { .port = 1, .size = 1, .addr_size = 8, .len = 2, .in = true, .rep = true };

	fresh_device();
	m.e.watch = &on_write;
	m.regs.gpr[RDI] = LINEAR + 0x300;
	m.regs.gpr[RCX] = 5;
	assert_int_equal(RUN("\xf3\xab"), EMU_PARTLY); /* rep stosd */
	assert_int_equal(m.regs.gpr[RCX], 2);
	assert_int_equal(m.e.hits, 2);
	assert_int_equal(RUN("\xf3\xab"), 0);
	assert_int_equal(m.e.hits, 0);
	m.regs.gpr[RDI] = LINEAR + 0x308;
	m.regs.gpr[RCX] = 1;
	assert_int_equal(RUN("\xf3\xab"), 0); /* the last iteration is the instruction's end */
	assert_int_equal(m.e.hits, 2);
	io.pio = no_port;
	io.hits = 8;
	m.regs.rip = 0x1000;
	m.regs.gpr[RDI] = LINEAR + 0x306;
	m.regs.gpr[RCX] = 3;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(m.e.hits, 8); /* the port's */
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(m.e.hits, 8 | 2);
}

/* ---- INS and OUTS ---- */

static struct {
	unsigned calls, fail_at;
	uint32_t last;
} port;

static int pio(void *ctx, uint16_t number, bool in, unsigned size, uint32_t *value)
{
	assert_ptr_equal(ctx, &port);
	assert_int_equal(number, 0x1f0);
	if (++port.calls == port.fail_at)
		return -E_IO;
	if (in)
		*value = 0xa0000000 + port.calls;
	else
		port.last = *value;
	return 0;
}

static struct emu_string_io string_io(bool in, unsigned size)
{
	memset(&port, 0, sizeof(port));
	return (struct emu_string_io){ .port = 0x1f0,
		.size = (uint8_t)size,
		.addr_size = 8,
		.seg = SEG_DS,
		.len = 2,
		.in = in,
		.rep = true,
		.pio = pio,
		.ctx = &port };
}

static void rep_outs_that_is_hurried_does_one_element_at_a_time(void **state)
{
	struct emu_string_io io = string_io(false, 1);

	fresh(INSN_MODE_64);
	m.hurried = true;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RCX] = 2;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(port.calls, 1);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(port.calls, 2);
}

static void rep_ins_fills_memory_in_chunks(void **state)
{
	struct emu_string_io io = string_io(true, 2);

	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = LINEAR + 0xffe;
	m.regs.gpr[RCX] = EMU_CHUNK + 2;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 2);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(m.regs.rip, 0x1002);
	assert_int_equal(port.calls, EMU_CHUNK + 2);
	assert_int_equal(at(0xffe, 2), 1);
	assert_int_equal(at(0x1000, 2), 2);
	assert_int_equal(at(0xffe + 2 * EMU_CHUNK + 2, 2), EMU_CHUNK + 2);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0xffe + 2 * (EMU_CHUNK + 2));
}

static void ins_checks_memory_before_it_reads_the_port(void **state)
{
	struct emu_string_io io = string_io(true, 4);

	fresh(INSN_MODE_64);
	m.page[1] &= ~PAGE_WRITE;
	m.regs.gpr[RDI] = LINEAR + 0xff8;
	m.regs.gpr[RCX] = 5;
	assert_fault(emulate_string_io(&m.e, &io), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(port.calls, 2);
	assert_int_equal(m.regs.gpr[RCX], 3);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x1000);
}

static void outs_reads_through_its_segment_and_backwards(void **state)
{
	struct emu_string_io io = string_io(false, 1);

	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	io.addr_size = 2;
	io.seg = SEG_FS;
	io.rep = false;
	m.seg[SEG_FS].base = LINEAR;
	put(0, 0x99, 1);
	m.regs.gpr[RSI] = 0x10000; /* SI = 0 */
	m.regs.gpr[RCX] = 0;	   /* no REP: not looked at */
	m.regs.rflags |= RFLAGS_DF;
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(port.last, 0x99);
	assert_int_equal(m.regs.gpr[RSI], 0x1ffff);
	m.seg[SEG_FS].limit = 0x7fff;
	m.regs.rip = 0x1000;
	assert_fault(emulate_string_io(&m.e, &io), VEC_GP, 0);
	assert_int_equal(port.calls, 1);
}

static void error_of_the_port_ends_string_io_before_that_element(void **state)
{
	struct emu_string_io io = string_io(false, 4);

	fresh(INSN_MODE_64);
	port.fail_at = 3;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RCX] = 10;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_IO);
	assert_int_equal(m.regs.gpr[RCX], 8);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + 8);
	io.size = 3;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_INVAL);
	io.size = 4;
	io.seg = SEGS;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rep_string_stops_after_its_chunk_and_goes_on),
		cmocka_unit_test(rep_string_that_is_hurried_does_one_element_at_a_time),
		cmocka_unit_test(exactly_one_chunk_is_finished_at_once),
		cmocka_unit_test(single_step_sees_each_element),
		cmocka_unit_test(fault_in_the_middle_keeps_what_was_done),
		cmocka_unit_test(strings_count_and_wrap_in_their_address_size),
		cmocka_unit_test(breakpoints_are_met_by_what_the_emulator_accesses),
		cmocka_unit_test(rep_string_stops_where_it_meets_a_breakpoint),
		cmocka_unit_test(rep_outs_that_is_hurried_does_one_element_at_a_time),
		cmocka_unit_test(rep_ins_fills_memory_in_chunks),
		cmocka_unit_test(ins_checks_memory_before_it_reads_the_port),
		cmocka_unit_test(outs_reads_through_its_segment_and_backwards),
		cmocka_unit_test(error_of_the_port_ends_string_io_before_that_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
