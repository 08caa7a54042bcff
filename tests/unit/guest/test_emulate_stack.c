/* SPDX-License-Identifier: MIT */
/*
 * Emulated instructions that use the stack, which may lie in device memory, and branches through device memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/emu_rig.h"

/* ---- stack ---- */

static void push_and_pop_use_the_stack_of_their_mode(void **state)
{
	fresh(INSN_MODE_32);
	put(0x100, 0x11223344, 4);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	m.regs.gpr[RSP] = LINEAR + 0x204;
	assert_int_equal(RUN("\xff\x30"), 0); /* push dword [eax] */
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x200);
	assert_int_equal(at(0x200, 4), 0x11223344);
	assert_int_equal(RUN("\x8f\x40\x10"), 0); /* pop dword [eax + 16] */
	assert_int_equal(at(0x110, 4), 0x11223344);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x204);
	/* pop [esp]: to where esp points afterwards */
	put(0x204, 0x55, 4);
	assert_int_equal(RUN("\x8f\x04\x24"), 0);
	assert_int_equal(at(0x208, 4), 0x55);
	/* A 16-bit stack: SP wraps, the rest of ESP stays. */
	m.seg[SEG_SS].access = 0x8093;
	m.seg[SEG_SS].base = LINEAR - 0xf000;
	m.regs.gpr[RSP] = 0x7fff0000;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\xff\x30"), 0);
	assert_int_equal(m.regs.gpr[RSP], 0x7ffffffc);
	assert_int_equal(at(0xffc, 4), 0x11223344);
	/* A fault leaves RSP. */
	m.page[0] &= ~PAGE_WRITE;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8f\x00"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.regs.gpr[RSP], 0x7ffffffc);
}

static void pusha_and_popa_move_eight_or_none(void **state)
{
	fresh(INSN_MODE_32);
	for (unsigned r = 0; r < 8; r++)
		m.regs.gpr[r] = 0x11111111u * r;
	m.regs.gpr[RSP] = LINEAR + 0x1010;
	m.page[0] = 0;
	assert_fault(RUN("\x60"), VEC_PF, PF_WRITE);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x1010);
	assert_int_equal(at(0x100c, 4), 0);
	m.page[0] = PAGE_PRESENT | PAGE_WRITE | PAGE_DEVICE;
	assert_int_equal(RUN("\x60"), 0);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0xff0);
	assert_int_equal(at(0xff0 + 4 * 7, 4), 0); /* EAX is highest */
	assert_int_equal(at(0xff0 + 4 * (7 - RSP), 4), LINEAR + 0x1010);
	assert_int_equal(at(0xff0, 4), 0x77777777);
	for (unsigned r = 0; r < 8; r++)
		if (r != RSP)
			m.regs.gpr[r] = 0;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x61"), 0);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(m.regs.gpr[r], r == RSP ? LINEAR + 0x1010 : 0x11111111u * r);
}

static void popf_changes_what_its_privilege_allows(void **state)
{
	const uint64_t all = 0x3f7fd7; /* with VM, VIF, VIP, RF */

	for (unsigned cpl = 0; cpl < 4; cpl += 3)
		for (unsigned iopl = 0; iopl < 4; iopl += 3) {
			uint64_t may = 0x244dd5 | (cpl <= iopl ? RFLAGS_IF : 0) | (cpl ? 0 : RFLAGS_IOPL);

			fresh_device();
			m.e.cpl = (uint8_t)cpl;
			m.regs.gpr[RSP] = LINEAR + 0x100;
			put(0x100, all, 8);
			m.regs.rflags = RFLAGS_ONE | iopl << 12;
			assert_int_equal(RUN("\x9d"), 0);
			assert_int_equal(m.regs.rflags, RFLAGS_ONE | (iopl << 12 & ~may) | (all & may));
			m.regs.rip = 0x1000;
			m.regs.rflags = RFLAGS_ONE | iopl << 12;
			assert_int_equal(RUN("\x66\x9d"), 0); /* 16 bits do not reach AC and ID */
			assert_int_equal(m.regs.rflags & (RFLAGS_AC | RFLAGS_ID), 0);
		}
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.regs.rflags |= RFLAGS_VM;
	assert_int_equal(RUN("\x9d"), -E_NOSUP);
	assert_int_equal(RUN("\x9c"), -E_NOSUP);
}

/* ---- branches ---- */

static void near_branches_go_through_device_memory(void **state)
{
	fresh_device();
	m.regs.gpr[RSP] = LINEAR + 0x800;
	assert_int_equal(RUN("\xe8\xfb\x0f\x00\x00"), 0); /* call 0x2000 */
	assert_int_equal(m.regs.rip, 0x2000);
	assert_true(m.e.branched);
	assert_logged(0, LINEAR + 0x7f8, 8, true, 0x1005);
	m.regs.rflags |= RFLAGS_RF;
	assert_int_equal(RUN("\xc2\x10\x00"), 0); /* ret 16 */
	assert_int_equal(m.regs.rip, 0x1005);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x810);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, 0);
	put(0x300, 0x7654, 8);
	m.regs.gpr[RAX] = LINEAR + 0x300;
	assert_int_equal(RUN("\x66\xff\x10"), 0); /* call [rax]: 66 means nothing there */
	assert_int_equal(m.regs.rip, 0x7654);
	assert_int_equal(at(0x808, 8), 0x1008);
	assert_int_equal(RUN("\xff\x20"), 0); /* jmp [rax] */
	assert_int_equal(m.regs.rip, 0x7654);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x808);
	assert_int_equal(RUN("\x90"), -E_NOSUP);
	assert_false(m.e.branched);
}

static void call_does_not_take_the_known_gpa_of_its_pointer_for_its_stack(void **state)
{
	fresh_device();
	put(0x1308, 0x5000, 8);
	m.regs.gpr[RAX] = LINEAR + 0x1308;
	m.regs.gpr[RSP] = LINEAR + 0x310; /* pushes at the same offset in another page */
	known(LINEAR + 0x1308, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\xff\x10"), 0);
	assert_int_equal(at(0x308, 8), 0x1002);
	assert_int_equal(at(0x1308, 8), 0x5000);
}

static void a_branch_that_may_not_go_there_changes_nothing(void **state)
{
	fresh_device();
	put(0x300, 0x800000000000, 8); /* not canonical */
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RSP] = LINEAR + 0x300;
	assert_fault(RUN("\xff\x10"), VEC_GP, 0);
	assert_fault(RUN("\xff\x20"), VEC_GP, 0);
	assert_fault(RUN("\xc3"), VEC_GP, 0);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x300);
	fresh(INSN_MODE_32);
	m.seg[SEG_CS].limit = 0xfff;
	put(0x300, 0x1000, 4);
	m.regs.gpr[RAX] = m.regs.gpr[RSP] = LINEAR + 0x300;
	assert_fault(RUN("\xff\x10"), VEC_GP, 0);
	assert_fault(RUN("\xc3"), VEC_GP, 0);
	assert_fault(RUN("\xe8\x00\x10\x00\x00"), VEC_GP, 0);
	m.seg[SEG_CS].limit = 0x1000;
	assert_int_equal(RUN("\xc3"), 0);
	assert_int_equal(m.regs.rip, 0x1000);
	fresh(INSN_MODE_16); /* a relative branch wraps at 64 KiB */
	m.regs.gpr[RSP] = 0xabcd0000 | (LINEAR & 0xffff) | 0x200;
	m.seg[SEG_SS].base = LINEAR;
	m.seg[SEG_SS].access = 0x93; /* SS.B = 0: SP counts alone */
	assert_int_equal(RUN("\xe8\x00\xf0"), 0);
	assert_int_equal(m.regs.rip, 0x0003);
	assert_int_equal(m.regs.gpr[RSP], 0xabcd01fe);
	assert_int_equal(at(0x1fe, 2), 0x1003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_and_pop_use_the_stack_of_their_mode),
		cmocka_unit_test(pusha_and_popa_move_eight_or_none),
		cmocka_unit_test(popf_changes_what_its_privilege_allows),
		cmocka_unit_test(near_branches_go_through_device_memory),
		cmocka_unit_test(call_does_not_take_the_known_gpa_of_its_pointer_for_its_stack),
		cmocka_unit_test(a_branch_that_may_not_go_there_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
