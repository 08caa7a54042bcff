/* SPDX-License-Identifier: MIT */
/* INVPCID: its operands as the VM exit describes them (SDM Vol. 3C table 27-12), and what raises #GP(0) (Vol. 2A). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/exit/invpcid_pure.h"
#include "lib/bits.h"

#define SCALE(n)   ((n) << 0)
#define ADDRESS(n) ((n) << 7) /* 0, 1, 2: 16, 32, 64 bits */
#define SEGMENT(n) ((n) << 15)
#define INDEX(n)   ((n) << 18)
#define NO_INDEX   (1u << 22)
#define BASE(n)	   ((n) << 23)
#define NO_BASE	   (1u << 27)
#define REG2(n)	   ((uint32_t)(n) << 28)

static const uint64_t gpr[GPRS] = { [RAX] = 0x100000002,
	[RBX] = 0x11000,
	[RCX] = 3,
	[RSP] = 0xffff800000001000,
	[R9] = 0xfffffffffffffff0,
	[R15] = 2 };

static struct invpcid_operands decode(uint32_t info, uint64_t displacement, bool code64)
{
	struct invpcid_operands o;

	invpcid_decode(info, displacement, gpr, code64, &o);
	return o;
}

static void addresses_are_made_of_base_index_and_displacement(void **state)
{
	struct invpcid_operands o = decode(
		ADDRESS(2) | SEGMENT(SEG_DS) | BASE(RBX) | INDEX(RCX) | SCALE(3) | REG2(R15), 0x40, true);

	assert_int_equal(o.offset, 0x11000 + (3 << 3) + 0x40);
	assert_int_equal(o.seg, SEG_DS);
	assert_int_equal(o.type, 2);
	assert_int_equal(
		decode(ADDRESS(2) | NO_INDEX | NO_BASE, 0xffff888000001234, true).offset, 0xffff888000001234);
	assert_int_equal(
		decode(ADDRESS(2) | BASE(RSP) | NO_INDEX, (uint64_t)-16, true).offset, 0xffff800000000ff0);
	/* Register numbers in fields that are not valid mean nothing. */
	assert_int_equal(decode(ADDRESS(2) | BASE(RSP) | NO_BASE | INDEX(RBX) | NO_INDEX, 8, true).offset, 8);
	/* An address is cut to its size. */
	assert_int_equal(decode(ADDRESS(1) | BASE(RBX) | INDEX(R9) | SCALE(0), 0, true).offset, 0x10ff0);
	assert_int_equal(decode(ADDRESS(0) | BASE(RBX) | NO_INDEX, 4, false).offset, 0x1004);
}

static void the_type_is_the_register_as_wide_as_the_code_is(void **state)
{
	const uint32_t info = ADDRESS(1) | NO_BASE | NO_INDEX | REG2(RAX);

	assert_int_equal(decode(info, 0, true).type, 0x100000002);
	assert_int_equal(decode(info, 0, false).type, 2);
}

/* All values of the field of three bits stay within a guest's segments. */
static void segments(void **state)
{
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(
			decode(SEGMENT(n) | NO_BASE | NO_INDEX, 0, true).seg, n < SEGS ? n : SEGS - 1);
}

static bool ok(uint64_t type, uint64_t low, uint64_t address, bool pcide)
{
	const uint64_t descriptor[2] = { low, address };

	return invpcid_ok(type, descriptor, pcide, 48);
}

static void what_raises_gp(void **state)
{
	for (uint64_t type = 0; type < 4; type++) {
		assert_true(ok(type, 0, 0x1000, false));
		assert_true(ok(type, 0, 0x1000, true));
		assert_int_equal(ok(type, 5, 0x1000, false), type > INVPCID_CONTEXT);
		assert_true(ok(type, 0xfff, 0x1000, true));
		assert_false(ok(type, 0x1000, 0x1000, true));
		assert_false(ok(type, 1ull << 63, 0x1000, true));
		assert_int_equal(ok(type, 0, 1ull << 47, true), type != INVPCID_ADDRESS);
		assert_true(ok(type, 0, 0xffff800000000000, true));
	}
	assert_false(ok(4, 0, 0x1000, true));
	assert_false(ok(1ull << 32, 0, 0x1000, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_made_of_base_index_and_displacement),
		cmocka_unit_test(the_type_is_the_register_as_wide_as_the_code_is),
		cmocka_unit_test(segments),
		cmocka_unit_test(what_raises_gp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
