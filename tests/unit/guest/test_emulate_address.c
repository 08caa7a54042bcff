/* SPDX-License-Identifier: MIT */
/*
 * How the emulator makes an address of an operand: canonical addresses, segments in each mode, wrapping, alignment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/emu_rig.h"

static void non_canonical_address_is_gp_or_for_the_stack_ss(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = m.regs.gpr[R13] = 0x800000000000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);	  /* mov ecx, [rax] */
	assert_fault(RUN("\x8b\x4d\x00"), VEC_SS, 0);	  /* mov ecx, [rbp] */
	assert_fault(RUN("\x41\x8b\x4d\x00"), VEC_GP, 0); /* mov ecx, [r13] */
	m.regs.gpr[RAX] = 0x7ffffffffffd;		  /* its last byte is not canonical */
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	assert_int_equal(m.translations, 0);
	m.e.linear_bits = 57;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
	m.regs.gpr[RAX] = 0xff00000000000000;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
	m.regs.gpr[RAX] = 0xfe00000000000000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
}

static void fs_and_gs_have_a_base_in_64_bit_mode_and_the_others_none(void **state)
{
	fresh(INSN_MODE_64);
	put(0x100, 0x1234, 4);
	for (unsigned s = 0; s < SEGS; s++)
		m.seg[s].base = 0x555000;
	m.seg[SEG_GS].base = LINEAR;
	m.regs.gpr[RAX] = 0x100;
	assert_int_equal(RUN("\x65\x8b\x08"), 0); /* mov ecx, gs:[rax] */
	assert_int_equal(m.regs.gpr[RCX], 0x1234);
	assert_int_equal(m.segments_asked, 1);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	assert_int_equal(RUN("\x2e\x8b\x10"), 0); /* mov edx, cs:[rax]: ignored */
	assert_int_equal(m.regs.gpr[RDX], 0x1234);
	assert_int_equal(m.segments_asked, 1);
}

static void segment_limits_hold_in_32_bit_mode(void **state)
{
	fresh(INSN_MODE_32);
	m.seg[SEG_DS].base = LINEAR;
	m.seg[SEG_DS].limit = 0x103;
	m.seg[SEG_SS] = m.seg[SEG_DS];
	put(0x100, 0xcafe, 4);
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = 0x100;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0xcafe);
	m.regs.rip = 0x1000;
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = 0x101;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	assert_fault(RUN("\x8b\x4d\x00"), VEC_SS, 0);
	m.regs.gpr[RAX] = 0xfffffffe; /* wraps */
	m.seg[SEG_DS].limit = 0xffffffff;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	/* The linear address is 32 bits wide: base + offset wraps. */
	m.seg[SEG_DS].base = 0xffff0000;
	m.regs.gpr[RAX] = (uint32_t)(LINEAR + 0x100 - 0xffff0000ull);
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0xcafe);
}

static void segment_types_hold_in_protected_mode_only(void **state)
{
	fresh(INSN_MODE_32);
	m.regs.gpr[RAX] = LINEAR;
	m.seg[SEG_DS].access = 0xc091; /* read-only data */
	assert_fault(RUN("\x89\x08"), VEC_GP, 0);
	assert_int_equal(RUN("\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x2e\x89\x08"), VEC_GP, 0); /* mov cs:[eax], ecx */
	assert_int_equal(RUN("\x2e\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	m.seg[SEG_CS].access = 0xc099; /* execute-only */
	assert_fault(RUN("\x2e\x8b\x08"), VEC_GP, 0);
	m.seg[SEG_ES].access = 0x1c093; /* unusable */
	assert_fault(RUN("\x26\x8b\x08"), VEC_GP, 0);
	m.e.protected_mode = false;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(RUN("\x2e\x89\x08"), 0);
	assert_int_equal(RUN("\x26\x8b\x08"), 0);
}

static void expand_down_segments_begin_above_their_limit(void **state)
{
	fresh(INSN_MODE_32);
	m.seg[SEG_DS].access = 0xc097;
	m.seg[SEG_DS].limit = LINEAR + 0xff;
	m.regs.gpr[RAX] = LINEAR + 0xff;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	assert_int_equal(RUN("\x8b\x08"), 0);
	m.seg[SEG_DS].access = 0x8097; /* B clear: up to 64 KiB */
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
}

static void sixteen_bit_addresses_wrap_and_bp_means_the_stack_segment(void **state)
{
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.seg[SEG_DS].base = LINEAR;
	m.seg[SEG_SS].base = LINEAR + 0x2000;
	put(0x10, 0x1111, 2);
	put(0x2010, 0x2222, 2);
	m.regs.gpr[RBX] = 0xdead8000;
	m.regs.gpr[RBP] = 0xbeef8000;
	m.regs.gpr[RSI] = 0x8010;
	assert_int_equal(RUN("\x8b\x08"), 0); /* mov cx, [bx + si] */
	assert_int_equal(m.regs.gpr[RCX], 0x1111);
	assert_int_equal(RUN("\x8b\x0a"), 0); /* mov cx, [bp + si] */
	assert_int_equal(m.regs.gpr[RCX], 0x2222);
	m.regs.gpr[RBX] = 0xffff;
	m.regs.gpr[RSI] = 0;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0); /* the second byte is beyond the limit, it does not wrap */
	assert_int_equal(RUN("\xa1\x10\x00"), 0); /* mov ax, [0x10] */
	assert_int_equal(m.regs.gpr[RAX], 0x1111);
}

static void eip_wraps_at_4_gib_and_rip_does_not(void **state)
{
	fresh(INSN_MODE_32);
	m.regs.gpr[RAX] = LINEAR;
	m.regs.rip = 0xffffffff;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.rip, 1);
	m.e.mode = INSN_MODE_64;
	m.regs.rip = 0xffffffff;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.rip, 0x100000001);
}

static void unaligned_is_ac_where_asked_and_after_the_page_fault(void **state)
{
	fresh_device();
	m.e.align_check = true;
	m.regs.gpr[RAX] = LINEAR + 2;
	known(LINEAR + 2, EMU_READ | EMU_WRITE);
	assert_fault(RUN("\x8b\x08"), VEC_AC, 0);
	assert_fault(RUN("\x83\x08\x01"), VEC_AC, 0);
	assert_int_equal(m.logged, 0);
	assert_int_equal(RUN("\x66\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	m.e.known = 0;
	m.page[0] = 0;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(non_canonical_address_is_gp_or_for_the_stack_ss),
		cmocka_unit_test(fs_and_gs_have_a_base_in_64_bit_mode_and_the_others_none),
		cmocka_unit_test(segment_limits_hold_in_32_bit_mode),
		cmocka_unit_test(segment_types_hold_in_protected_mode_only),
		cmocka_unit_test(expand_down_segments_begin_above_their_limit),
		cmocka_unit_test(sixteen_bit_addresses_wrap_and_bp_means_the_stack_segment),
		cmocka_unit_test(eip_wraps_at_4_gib_and_rip_does_not),
		cmocka_unit_test(unaligned_is_ac_where_asked_and_after_the_page_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
