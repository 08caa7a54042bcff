/* SPDX-License-Identifier: MIT */
/*
 * Emulated instructions that work on data: locks and exchanges, SSE and AVX moves, stores of system registers, arithmetic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/emu_rig.h"

/* ---- locks and exchanges ---- */

static void locked_update_of_ram_is_atomic_or_tries_again(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = LINEAR + 0x20;
	m.regs.gpr[RCX] = 0x100;
	put(0x20, 0x1000, 4);
	m.disturb = 3;
	assert_int_equal(RUN("\xf0\x0f\xc1\x08"), 0); /* lock xadd [rax], ecx */
	assert_int_equal(at(0x20, 4), 0x1103);	      /* neither addition is lost */
	assert_int_equal(m.regs.gpr[RCX], 0x1003);
	m.disturb = 1000;
	m.regs.rip = 0x1000;
	m.regs.rflags = RFLAGS_ONE | RFLAGS_CF;
	assert_int_equal(RUN("\xf0\x83\x28\x01"), -E_AGAIN); /* lock sub */
	assert_int_equal(m.disturb, 1000 - EMU_RETRIES);
	assert_int_equal(at(0x20, 4), 0x1103 + EMU_RETRIES);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(m.regs.rflags, RFLAGS_ONE | RFLAGS_CF);
	m.disturb = 1;
	assert_int_equal(RUN("\x87\x08"), 0); /* xchg is locked without the prefix */
	assert_int_equal(m.disturb, 0);
	m.disturb = 1;
	assert_int_equal(RUN("\x01\x08"), 0); /* add is not */
	assert_int_equal(m.disturb, 1);
}

static void lock_that_cannot_be_kept_is_refused(void **state)
{
	struct emu_ops no_lock;

	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "page boundary"));
	assert_int_equal(at(0xffe, 4), 0);
	no_lock = *m.e.ops;
	no_lock.ram_cmpxchg = NULL;
	m.e.ops = &no_lock;
	m.regs.gpr[RAX] = LINEAR;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), -E_NOSUP);
	assert_int_equal(RUN("\x83\x00\x01"), 0);
	m.page[0] |= PAGE_DEVICE;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), 0);
}

static void cmpxchg16b_must_be_aligned(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RSI] = LINEAR + 8;
	assert_fault(RUN("\x48\x0f\xc7\x0e"), VEC_GP, 0);
	assert_int_equal(RUN("\x0f\xc7\x0e"), 0); /* cmpxchg8b need not be */
	m.regs.gpr[RSI] = LINEAR + 16;
	m.regs.gpr[RBX] = 5;
	m.regs.gpr[RCX] = 6;
	assert_int_equal(RUN("\xf0\x48\x0f\xc7\x0e"), 0);
	assert_int_equal(at(16, 8), 5);
	assert_int_equal(at(24, 8), 6);
}

static void failed_cmpxchg_still_writes_to_the_device(void **state)
{
	fresh_device();
	put(0, 7, 4);
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RAX] = 8;
	m.regs.gpr[RCX] = 9;
	assert_int_equal(RUN("\x0f\xb1\x0f"), 0);
	assert_int_equal(m.logged, 2);
	assert_logged(1, LINEAR, 4, true, 7);
	assert_int_equal(m.regs.gpr[RAX], 7);
}

/* ---- SSE and AVX moves ---- */

static void sse_moves_reach_devices_in_two_halves(void **state)
{
	struct emu_ops no_xmm;

	fresh_device();
	for (unsigned k = 0; k < 16; k++)
		m.xmm[9][k] = (uint8_t)k;
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\x66\x44\x0f\x7f\x08"), 0); /* movdqa [rax], xmm9 */
	assert_int_equal(m.logged, 2);
	assert_logged(0, LINEAR + 0x40, 8, true, 0x0706050403020100);
	assert_logged(1, LINEAR + 0x48, 8, true, 0x0f0e0d0c0b0a0908);
	m.regs.gpr[RAX] = LINEAR + 0x48;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x66\x44\x0f\x7f\x08"), VEC_GP, 0); /* not aligned */
	assert_int_equal(RUN("\xf3\x44\x0f\x7f\x08"), 0);     /* movdqu */
	no_xmm = *m.e.ops;
	no_xmm.xmm_read = NULL;
	m.e.ops = &no_xmm;
	assert_int_equal(RUN("\xf3\x44\x0f\x7f\x08"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "XMM"));
}

static void avx_moves_reach_devices_and_clear_what_is_above(void **state)
{
	struct emu_ops no_ymm;

	fresh_device();
	memset(m.xmm, 0xaa, sizeof(m.xmm));
	memset(m.ymm_high, 0xbb, sizeof(m.ymm_high));
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\xc5\x7d\x7f\x08"), 0); /* vmovdqa [rax], ymm9 */
	assert_int_equal(m.logged, 4);
	assert_logged(0, LINEAR + 0x40, 8, true, 0xaaaaaaaaaaaaaaaa);
	assert_logged(3, LINEAR + 0x58, 8, true, 0xbbbbbbbbbbbbbbbb);
	assert_int_equal(RUN("\xc5\xfe\x6f\x08"), 0); /* vmovdqu ymm1, [rax] */
	assert_memory_equal(m.ymm_high[1], m.ymm_high[9], 16);
	assert_int_equal(RUN("\xc5\xfa\x6f\x08"), 0); /* vmovdqu xmm1, [rax] */
	assert_memory_equal(m.xmm[1], m.xmm[9], 16);
	assert_int_equal(m.ymm_high[1][0] | m.ymm_high[1][15], 0);
	assert_int_equal(RUN("\xf3\x0f\x6f\x10"), 0); /* movdqu xmm2, [rax]: leaves it */
	assert_int_equal(m.ymm_high[2][0], 0xbb);
	assert_int_equal(RUN("\xc5\xf9\x6e\x18"), 0); /* vmovd xmm3, [rax] */
	assert_int_equal(m.xmm[3][3] | m.xmm[3][4] << 8, 0xaa);
	assert_int_equal(RUN("\xc5\xf9\x17\x18"), 0); /* vmovhpd [rax], xmm3 */
	assert_logged(m.logged - 1, LINEAR + 0x40, 8, true, 0);
	m.regs.gpr[RAX] = LINEAR + 0x50;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\xc5\x7d\x7f\x08"), VEC_GP, 0); /* aligned to 16, not to 32 */
	m.regs.gpr[RAX] = LINEAR + 0xff0;		  /* over two pages */
	assert_int_equal(RUN("\xc5\x7e\x7f\x08"), 0);
	m.logged = 0;
	m.regs.rip = 0x1000;
	m.no_avx = true;
	assert_fault(RUN("\xc5\xfe\x6f\x08"), VEC_UD, 0);
	assert_int_equal(m.logged, 0);
	no_ymm = *m.e.ops;
	no_ymm.ymm_write = NULL;
	m.e.ops = &no_ymm;
	assert_int_equal(RUN("\xc5\xfe\x6f\x08"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "YMM"));
}

/* ---- system registers ---- */

static void stores_of_system_registers_are_16_bits_and_heed_umip(void **state)
{
	fresh_device();
	put(0x300, ~0ull, 8);
	m.regs.gpr[RAX] = LINEAR + 0x300;
	assert_int_equal(RUN("\x48\x0f\x01\x20"), 0); /* smsw [rax] */
	assert_logged(0, LINEAR + 0x300, 2, true, 0x1100 + EMU_CR0);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x0f\x00\x00"), 0); /* sldt */
	assert_logged(1, LINEAR + 0x300, 2, true, 0x1100 + EMU_LDTR);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x0f\x00\x08"), 0); /* str */
	assert_logged(2, LINEAR + 0x300, 2, true, 0x1100 + EMU_TR);
	m.regs.rip = 0x1000;
	m.e.umip = true;
	m.e.cpl = 3;
	assert_fault(RUN("\x0f\x01\x20"), VEC_GP, 0);
	m.e.cpl = 0;
	m.e.protected_mode = false;
	assert_fault(RUN("\x0f\x00\x08"), VEC_UD, 0);
}

/* ---- arithmetic that the native test leaves out ---- */

static void divisions_fault_where_the_quotient_does_not_fit(void **state)
{
	/* Every dividend of 16 bits (a step apart) by every byte, against C's own division. */
	for (unsigned n = 0; n < 0x10000; n += 7)
		for (unsigned d = 0; d < 256; d++) {
			int sn = (int16_t)n, sd = (int)(d ^ 0x80) - 0x80;
			bool fits = d && n / d < 256, sfits = sd && sn / sd >= -128 && sn / sd <= 127;

			fresh_device();
			memory[0x300] = (uint8_t)d;
			m.regs.gpr[RBX] = LINEAR + 0x300;
			m.regs.gpr[RAX] = 0xff0000 | n;
			if (fits) {
				assert_int_equal(RUN("\xf6\x33"), 0); /* div byte [rbx] */
				assert_int_equal(m.regs.gpr[RAX], 0xff0000 | n % d << 8 | n / d);
			} else {
				assert_fault(RUN("\xf6\x33"), VEC_DE, 0);
			}
			m.regs.rip = 0x1000;
			m.regs.gpr[RAX] = n;
			if (sfits) {
				assert_int_equal(RUN("\xf6\x3b"), 0); /* idiv */
				assert_int_equal(
					m.regs.gpr[RAX], (uint8_t)(sn % sd) << 8 | (uint8_t)(sn / sd));
			} else {
				assert_fault(RUN("\xf6\x3b"), VEC_DE, 0);
			}
		}
	/* The edges of 64 bits: -2^63 / 1 fits, 2^63 / 1 does not, -2^127 / -1 even less. */
	fresh_device();
	put(0x300, 1, 8);
	m.regs.gpr[RBX] = LINEAR + 0x300;
	m.regs.gpr[RAX] = 1ull << 63;
	m.regs.gpr[RDX] = ~0ull;
	assert_int_equal(RUN("\x48\xf7\x3b"), 0);
	assert_int_equal(m.regs.gpr[RAX], 1ull << 63);
	assert_int_equal(m.regs.gpr[RDX], 0);
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x48\xf7\x3b"), VEC_DE, 0);
	put(0x300, ~0ull, 8);
	m.regs.gpr[RAX] = 0;
	m.regs.gpr[RDX] = 1ull << 63;
	assert_fault(RUN("\x48\xf7\x3b"), VEC_DE, 0);
	assert_fault(RUN("\x48\xf7\x7b\x08"), VEC_DE, 0); /* by 0 */
}

static void tzcnt_and_lzcnt_are_bit_scans_to_an_old_cpu(void **state)
{
	fresh_device();
	put(0x300, 0x10, 4);
	m.regs.gpr[RBX] = LINEAR + 0x300;
	m.old_cpu = true;
	assert_int_equal(RUN("\xf3\x0f\xbd\x03"), 0);
	assert_int_equal(m.regs.gpr[RAX], 4);
	m.old_cpu = false;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\xf3\x0f\xbd\x03"), 0);
	assert_int_equal(m.regs.gpr[RAX], 27);
	m.old_cpu = true;
	put(0x300, 0, 4);
	m.regs.rip = 0x1000;
	m.regs.gpr[RAX] = 0x123456789abcdef0;
	assert_int_equal(RUN("\xf3\x0f\xbc\x03"), 0); /* a scan of nothing leaves the register */
	assert_int_equal(m.regs.gpr[RAX], 0x123456789abcdef0);
	assert_int_equal(m.regs.rflags & RFLAGS_ZF, RFLAGS_ZF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locked_update_of_ram_is_atomic_or_tries_again),
		cmocka_unit_test(lock_that_cannot_be_kept_is_refused),
		cmocka_unit_test(cmpxchg16b_must_be_aligned),
		cmocka_unit_test(failed_cmpxchg_still_writes_to_the_device),
		cmocka_unit_test(sse_moves_reach_devices_in_two_halves),
		cmocka_unit_test(avx_moves_reach_devices_and_clear_what_is_above),
		cmocka_unit_test(stores_of_system_registers_are_16_bits_and_heed_umip),
		cmocka_unit_test(divisions_fault_where_the_quotient_does_not_fit),
		cmocka_unit_test(tzcnt_and_lzcnt_are_bit_scans_to_an_old_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
