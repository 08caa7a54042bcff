/* SPDX-License-Identifier: MIT */
/* The decoder, instruction by instruction: lengths, LOCK, VEX, alignment, the words of refusals.
 * (test_insn_zydis.c compares it with another decoder.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/emu/insn.h"

static int decode(const char *bytes, size_t n, enum insn_mode mode, struct insn *out)
{
	return insn_decode((const uint8_t *)bytes, n, mode, out);
}
#define DECODE(s, mode) decode(s, sizeof(s) - 1, INSN_MODE_##mode, &in)

static void fifteen_bytes_are_allowed_sixteen_are_not(void **state)
{
	struct insn in;

	assert_int_equal(DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x00", 64), 0);
	assert_int_equal(in.len, 15);
	assert_int_equal(
		DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x00", 64), -E_INVAL);
	assert_int_equal(in.why, INSN_WHY_TOO_LONG);
	assert_int_equal(
		DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 64), -E_INVAL);
	assert_int_equal(in.why, INSN_WHY_TOO_LONG);
	assert_int_equal(DECODE("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 64), -E_RANGE);
	assert_int_equal(in.why, INSN_WHY_SHORT);
}

static void lock_only_where_the_manual_allows_it(void **state)
{
	struct insn in;

	assert_int_equal(DECODE("\xf0\x01\x00", 64), 0); /* lock add [rax], eax */
	assert_int_equal(in.flags & INSN_LOCK, INSN_LOCK);
	assert_int_equal(DECODE("\xf0\x01\xc0", 64), -E_INVAL); /* lock add eax, eax */
	assert_int_equal(in.why, INSN_WHY_LOCK);
	assert_int_equal(DECODE("\xf0\x03\x00", 64), -E_INVAL);	    /* lock add eax, [rax] */
	assert_int_equal(DECODE("\xf0\x39\x00", 64), -E_INVAL);	    /* lock cmp */
	assert_int_equal(DECODE("\xf0\x85\x00", 64), -E_INVAL);	    /* lock test */
	assert_int_equal(DECODE("\xf0\x8b\x00", 64), -E_INVAL);	    /* lock mov */
	assert_int_equal(DECODE("\xf0\xa4", 64), -E_INVAL);	    /* lock movsb */
	assert_int_equal(DECODE("\xf0\x0f\xa3\x00", 64), -E_INVAL); /* lock bt */
	assert_int_equal(DECODE("\xf0\x0f\xab\x00", 64), 0);	    /* lock bts */
	assert_int_equal(DECODE("\xf0\xc1\x20\x01", 64), -E_INVAL); /* lock shl */
	assert_int_equal(DECODE("\xf0\x0f\xc7\x08", 64), 0);	    /* lock cmpxchg8b */
}

static void avx_moves_are_decoded_others_refused_and_les_is_not_taken_for_them(void **state)
{
	struct insn in;

	assert_int_equal(DECODE("\xc5\x7e\x6f\x00", 64), 0); /* vmovdqu ymm8, [rax] */
	assert_int_equal(in.op, INSN_XMM_LOAD);
	assert_int_equal(in.mem_size, 32);
	assert_int_equal(in.reg, 8);
	assert_int_equal(DECODE("\xc4\xe1\x7e\x6f\x00", 32), 0);
	assert_int_equal(DECODE("\xc4\x41\x79\x7f\x00", 64), 0); /* vmovdqa [r8], xmm8 */
	assert_int_equal(in.mem_size, 16);
	assert_int_equal(in.flags & INSN_ALIGNED, INSN_ALIGNED);
	assert_int_equal(DECODE("\x66\xc5\xfe\x6f\x00", 64), -E_INVAL); /* a prefix before VEX */
	assert_int_equal(DECODE("\xc5\xf6\x6f\x00", 64), -E_NOSUP);	/* vvvv is not 1111b */
	assert_int_equal(DECODE("\xc5\xfd\x6e\x00", 64), -E_NOSUP);	/* vmovd with L = 1 */
	assert_int_equal(DECODE("\xc5\xfd\xfe\x00", 64), -E_NOSUP);	/* vpaddd ymm0, ymm0, [rax] */
	assert_int_equal(in.why, INSN_WHY_VEX);
	assert_int_equal(DECODE("\xc4\x00", 32), -E_NOSUP); /* les eax, [eax] */
	assert_int_equal(in.why, INSN_WHY_UNKNOWN);
	assert_int_equal(DECODE("\xc5", 32), -E_RANGE);			    /* cannot tell yet */
	assert_int_equal(DECODE("\x62\xf1\x7c\x48\x10\x00", 64), -E_NOSUP); /* vmovups zmm0, [rax] */
	assert_int_equal(in.why, INSN_WHY_EVEX);
	assert_int_equal(DECODE("\x62\x00", 32), -E_NOSUP); /* bound */
	assert_int_equal(in.why, INSN_WHY_UNKNOWN);
	assert_int_equal(DECODE("\x8f\xe8\x78\xc0\x00\x01", 64), -E_NOSUP);
	assert_int_equal(in.why, INSN_WHY_XOP);
	assert_int_equal(DECODE("\x0f\x6f\x00", 64), -E_NOSUP); /* movq mm0, [rax] */
	assert_int_equal(in.why, INSN_WHY_MMX);
	assert_int_equal(DECODE("\x0f\x0b", 64), -E_NOSUP); /* ud2 */
	assert_int_equal(in.why, INSN_WHY_UNKNOWN);
}

static void aligned_moves_are_flagged(void **state)
{
	struct insn in;

	assert_int_equal(DECODE("\x66\x0f\x6f\x00", 64), 0); /* movdqa */
	assert_int_equal(in.flags & INSN_ALIGNED, INSN_ALIGNED);
	assert_int_equal(DECODE("\xf3\x0f\x6f\x00", 64), 0); /* movdqu */
	assert_int_equal(in.flags & INSN_ALIGNED, 0);
	assert_int_equal(DECODE("\x0f\x2b\x00", 64), 0); /* movntps */
	assert_int_equal(in.flags & INSN_ALIGNED, INSN_ALIGNED);
	assert_int_equal(DECODE("\x0f\x10\x00", 64), 0); /* movups */
	assert_int_equal(in.flags & INSN_ALIGNED, 0);
}

static void every_refusal_has_words(void **state)
{
	for (unsigned k = 0; k < INSN_WHYS; k++)
		assert_true(strlen(insn_why_text(k)) > 5);
	for (unsigned k = 0; k < INSN_OPS; k++)
		assert_true(insn_op_name(k) && strlen(insn_op_name(k)) >= 2);
	assert_string_equal(insn_why_text(INSN_WHYS), "?");
	assert_string_equal(insn_op_name(INSN_OPS), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifteen_bytes_are_allowed_sixteen_are_not),
		cmocka_unit_test(lock_only_where_the_manual_allows_it),
		cmocka_unit_test(avx_moves_are_decoded_others_refused_and_les_is_not_taken_for_them),
		cmocka_unit_test(aligned_moves_are_flagged),
		cmocka_unit_test(every_refusal_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
