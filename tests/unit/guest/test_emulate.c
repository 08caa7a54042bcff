/* SPDX-License-Identifier: MIT */
/*
 * What the CPU that runs the tests cannot show (test_emulate_native.c does the rest), in five files. Here: the gpa of the
 * VM exit, operands and their pages, what is refused, the cache of decoded instructions.
 *
 *	test_emulate_address.c	canonical addresses, segments, wrapping, alignment
 *	test_emulate_data.c	locks and exchanges, SSE and AVX moves, system registers, arithmetic
 *	test_emulate_stack.c	the stack, branches through device memory
 *	test_emulate_string.c	REP strings, INS and OUTS, breakpoints
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/emu_rig.h"

/* ---- the gpa of the VM exit ---- */

static void known_gpa_goes_to_the_device_without_translation(void **state)
{
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RCX] = 0x1122334455667788;
	known(LINEAR + 0x300, EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0); /* mov [rax], ecx */
	assert_int_equal(m.translations + m.ram_accesses + m.segments_asked, 0);
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x300, 4, true, 0x55667788);
	assert_int_equal(m.regs.rip, 0x1002);
	known(LINEAR + 0x300, EMU_READ);
	assert_int_equal(RUN("\x0f\xbe\x10"), 0); /* movsx edx, byte [rax] */
	assert_int_equal(m.regs.gpr[RDX], 0xffffff88);
	assert_int_equal(m.translations + m.ram_accesses, 0);
	known(LINEAR + 0x300, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x83\x08\x01"), 0); /* or dword [rax], 1: not the shortest path */
	assert_int_equal(m.translations + m.ram_accesses, 0);
	assert_logged(m.logged - 1, LINEAR + 0x300, 4, true, 0x55667789);
}

static void known_gpa_is_not_used_for_what_the_hardware_did_not_check(void **state)
{
	/* It allowed a read, the instruction (exchanged meanwhile) writes: the guest's paging decides. */
	fresh_device();
	m.page[0] &= ~PAGE_WRITE;
	m.regs.gpr[RAX] = LINEAR + 0x300;
	known(LINEAR + 0x300, EMU_READ);
	assert_fault(RUN("\x89\x08"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.e.fault.cr2, LINEAR + 0x300);
	assert_fault(RUN("\x83\x08\x01"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.logged, 0);

	/* Another place in the page than the operand's. */
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0x300;
	known(LINEAR + PAGE_SIZE + 0x304, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.translations, 1);
	assert_logged(0, LINEAR + 0x300, 4, true, 0);
	known(LINEAR + PAGE_SIZE + 0x300, EMU_READ | EMU_WRITE);

	/* The same offset, but before the base of GS is added. */
	m.seg[SEG_GS].base = 8;
	assert_int_equal(RUN("\x65\x89\x08"), 0);
	assert_logged(1, LINEAR + 0x308, 4, true, 0);

	/* An operand that crosses into the next page. */
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	known(LINEAR + 0xffe, EMU_READ | EMU_WRITE);
	m.translations = 0;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.translations, 2);

	/* PUSH [rax]: the gpa may be the stack's. Same page offset on purpose. */
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RSP] = LINEAR + PAGE_SIZE + 0x308;
	put(0x300, 0xabcd, 8);
	known(LINEAR + PAGE_SIZE + 0x300, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\xff\x30"), 0);
	assert_int_equal(at(PAGE_SIZE + 0x300, 8), 0xabcd);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + PAGE_SIZE + 0x300);
}

/* ---- pages ---- */

static void both_pages_are_checked_before_either_is_touched(void **state)
{
	fresh_device();
	m.page[1] = 0;
	m.regs.gpr[RAX] = LINEAR + 0xffd;
	assert_fault(RUN("\x48\x89\x08"), VEC_PF, PF_WRITE); /* mov [rax], rcx */
	assert_int_equal(m.e.fault.cr2, LINEAR + PAGE_SIZE);
	assert_fault(RUN("\x48\x8b\x08"), VEC_PF, 0);
	assert_int_equal(m.logged, 0);
}

static void crossing_operand_is_made_of_pieces_that_devices_know(void **state)
{
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0xffd;
	m.regs.gpr[RCX] = 0x8877665544332211;
	assert_int_equal(RUN("\x48\x89\x08"), 0);
	assert_int_equal(m.logged, 4); /* 3 bytes here, 5 there */
	assert_logged(0, LINEAR + 0xffd, 2, true, 0x2211);
	assert_logged(1, LINEAR + 0xfff, 1, true, 0x33);
	assert_logged(2, LINEAR + 0x1000, 4, true, 0x77665544);
	assert_logged(3, LINEAR + 0x1004, 1, true, 0x88);
	assert_int_equal(RUN("\x48\x8b\x10"), 0); /* mov rdx, [rax] */
	assert_int_equal(m.regs.gpr[RDX], 0x8877665544332211);
}

static void an_operand_half_in_ram_half_in_a_device_is_split(void **state)
{
	fresh(INSN_MODE_64);
	m.page[1] |= PAGE_DEVICE;
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	m.regs.gpr[RCX] = 0x44332211;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x1000, 2, true, 0x4433);
	assert_int_equal(at(0xffe, 4), 0x44332211);
	assert_int_equal(RUN("\x83\x00\x01"), 0); /* add dword [rax], 1 */
	assert_int_equal(at(0xffe, 4), 0x44332212);
}

static void write_fault_comes_before_the_read_of_a_read_modify_write(void **state)
{
	static const char *const code[] = { "\x83\x08\x01", "\xff\x00", "\x87\x08", "\x0f\xb1\x08",
		"\x0f\xab\x08", "\x0f\xc1\x08", "\x0f\xc7\x08", "\xf0\x83\x08\x01" };

	for (unsigned k = 0; k < ARRAY_SIZE(code); k++) {
		fresh_device();
		m.page[0] &= ~PAGE_WRITE;
		m.regs.gpr[RAX] = LINEAR + 0x40;
		assert_fault(run_bytes(code[k], strlen(code[k])), VEC_PF, PF_PRESENT | PF_WRITE);
		assert_int_equal(m.logged, 0);
	}
	/* CMP, TEST and BT only look. */
	fresh_device();
	m.page[0] &= ~PAGE_WRITE;
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\x39\x08"), 0);
	assert_int_equal(RUN("\x85\x08"), 0);
	assert_int_equal(RUN("\x0f\xba\x20\x03"), 0);
	assert_int_equal(m.logged, 3);
}

static void write_to_rom_goes_to_the_platform_and_reads_do_not(void **state)
{
	fresh(INSN_MODE_64);
	m.page[0] |= PAGE_ROM;
	put(0x10, 0x41, 4);
	m.regs.gpr[RAX] = LINEAR + 0x10;
	known(LINEAR + 0x10, EMU_WRITE);	  /* as for a write to a read-only slot */
	assert_int_equal(RUN("\x83\x08\x02"), 0); /* or dword [rax], 2 */
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x10, 4, true, 0x43);
	assert_int_equal(RUN("\xf0\x83\x08\x04"), 0); /* lock or: the exchange is refused by ROM, too */
	assert_int_equal(m.logged, 2);
}

/* ---- what is refused ---- */

static void refusals_name_the_instruction_and_the_reason(void **state)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	char text[128];

	fresh(INSN_MODE_64);
	assert_fault(RUN("\xf0\x8b\x08"), VEC_UD, 0); /* lock mov */
	assert_fault(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"), VEC_GP, 0);
	assert_int_equal(emulate(&m.e, (const uint8_t *)"\x8b", 1), -E_RANGE);
	assert_int_equal(RUN("\x8b\xc8"), -E_NOSUP); /* mov ecx, eax */
	assert_string_equal(m.e.why, "no memory operand");
	assert_int_equal(RUN("\x6c"), -E_NOSUP);	     /* insb */
	assert_int_equal(RUN("\xc5\xfd\xfe\x00"), -E_NOSUP); /* vpaddd ymm0, ymm0, [rax] */
	assert_non_null(strstr(m.e.why, "VEX"));
	assert_int_equal(emulate(&m.e, ud2, sizeof(ud2)), -E_NOSUP);
	emulate_describe(&m.e, ud2, sizeof(ud2), text, sizeof(text));
	assert_string_equal(text, "0f 0b (not decoded): not an instruction that Lethe emulates");
	assert_int_equal(m.regs.rip, 0x1000);
}

/* ---- the cache of decoded instructions ---- */

static void changed_code_and_changed_mode_are_decoded_anew(void **state)
{
	fresh(INSN_MODE_64);
	put(0, 0x1122334455667788, 8);
	m.regs.gpr[RAX] = LINEAR;
	for (unsigned k = 0; k < 3; k++) {
		m.regs.rip = 0x1000;
		assert_int_equal(RUN("\x48\x8b\x08"), 0); /* mov rcx, [rax] */
		assert_int_equal(m.regs.gpr[RCX], 0x1122334455667788);
		m.regs.rip = 0x1000;
		assert_int_equal(RUN("\x40\x8b\x08"), 0); /* mov ecx, [rax]: one bit of the code is another */
		assert_int_equal(m.regs.gpr[RCX], 0x55667788);
		m.regs.rip = 0x1000;
		m.e.mode = INSN_MODE_32;
		assert_int_equal(RUN("\x40\x8b\x08"), -E_NOSUP); /* inc eax, there */
		m.e.mode = INSN_MODE_64;
	}
	/* The 15th byte counts, too. */
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x10"), 0);
	assert_int_equal(m.regs.gpr[RDX], 0x7788);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_gpa_goes_to_the_device_without_translation),
		cmocka_unit_test(known_gpa_is_not_used_for_what_the_hardware_did_not_check),
		cmocka_unit_test(both_pages_are_checked_before_either_is_touched),
		cmocka_unit_test(crossing_operand_is_made_of_pieces_that_devices_know),
		cmocka_unit_test(an_operand_half_in_ram_half_in_a_device_is_split),
		cmocka_unit_test(write_fault_comes_before_the_read_of_a_read_modify_write),
		cmocka_unit_test(write_to_rom_goes_to_the_platform_and_reads_do_not),
		cmocka_unit_test(refusals_name_the_instruction_and_the_reason),
		cmocka_unit_test(changed_code_and_changed_mode_are_decoded_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
