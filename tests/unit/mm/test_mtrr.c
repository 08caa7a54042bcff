/* SPDX-License-Identifier: MIT */
/* MTRRs: chosen register sets, and random ones against an oracle that knows nothing but the rule for one address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/bits.h"
#include "mm/host/mtrr.h"
#include "tests/support/rig/xorshift.h"

#define WIDTH 36

static struct {
	unsigned maxphyaddr, vcnt;
	bool has_fixed;
	uint64_t def, base[40], mask[40], fix[11];
} regs;

static const uint32_t fix_msr[11] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e,
	0x26f };

static uint64_t fake_rdmsr(uint32_t msr)
{
	if (msr == 0xfe)
		return regs.vcnt | (uint64_t)regs.has_fixed << 8 | 1 << 10;
	if (msr == 0x2ff)
		return regs.def;
	for (int i = 0; i < 11; i++)
		if (msr == fix_msr[i]) {
			assert_true(regs.has_fixed); /* reading one that does not exist would fault */
			return regs.fix[i];
		}
	assert_true(msr >= 0x200 && msr < 0x200 + 2 * regs.vcnt && msr < 0x250);
	return msr & 1 ? regs.mask[(msr - 0x200) / 2] : regs.base[(msr - 0x200) / 2];
}

static void clear_regs(void)
{
	memset(&regs, 0, sizeof(regs));
	regs.maxphyaddr = WIDTH;
	regs.vcnt = 10;
}

static void add(unsigned i, uint64_t base, uint64_t bytes, unsigned type)
{
	regs.base[i] = base | type;
	regs.mask[i] = (((1ull << regs.maxphyaddr) - 1) & ~(bytes - 1)) | 1 << 11;
}

/* SDM Vol. 3A 11.11.2 and 11.11.4.1, for one address. */
static int oracle(uint64_t at)
{
	uint64_t width = (1ull << regs.maxphyaddr) - 1;
	bool any[256] = { false };
	unsigned kinds = 0, last = 0;

	if (!(regs.def & 1 << 11))
		return 0;
	if ((regs.def & 1 << 10) && regs.has_fixed && at < 0x100000) {
		const uint8_t *bytes = (const uint8_t *)regs.fix;

		if (at < 0x80000)
			return bytes[at >> 16];
		if (at < 0xc0000)
			return bytes[8 + ((at - 0x80000) >> 14)];
		return bytes[24 + ((at - 0xc0000) >> 12)];
	}
	for (unsigned i = 0; i < regs.vcnt; i++) {
		uint64_t mask = regs.mask[i] & width & ~0xfffull;

		if ((regs.mask[i] & 1 << 11) && (at & mask) == (regs.base[i] & mask))
			any[regs.base[i] & 0xff] = true;
	}
	for (unsigned t = 0; t < 256; t++)
		if (any[t]) {
			kinds++;
			last = t;
		}
	if (kinds == 0)
		return regs.def & 0xff;
	if (kinds == 1)
		return (int)last;
	if (kinds == 2 && any[4] && any[6])
		return 4;
	return 0;
}

static int oracle_range(uint64_t at, uint64_t bytes)
{
	int type = oracle(at);

	for (uint64_t p = at + 4096; p < at + bytes; p += 4096)
		if (oracle(p) != type)
			return -E_INVAL;
	return type;
}

static void disabled_is_uncacheable(void **state)
{
	clear_regs();
	add(0, 0, 1ull << WIDTH, MT_WB);
	regs.def = MT_WB;
	mtrr_read(fake_rdmsr, WIDTH);
	assert_int_equal(mtrr_type(hpa(0), GiB), MT_UC);
	assert_int_equal(mtrr_type(hpa(GiB), 4096), MT_UC);
}

static void the_usual_pc(void **state)
{
	clear_regs();
	regs.has_fixed = true;
	regs.def = 3 << 10 | MT_WB;
	memset(regs.fix, MT_WB, sizeof(regs.fix));
	regs.fix[2] = 0; /* 0xa0000...0xbffff */
	add(0, 2 * GiB, 2 * GiB, MT_UC);
	add(1, 0xd0000000, 256 * MiB, MT_WC); /* under UC: stays UC */
	mtrr_read(fake_rdmsr, WIDTH);
	assert_int_equal(mtrr_type(hpa(0), 4096), MT_WB);
	assert_int_equal(mtrr_type(hpa(0xa0000), 4096), MT_UC);
	assert_int_equal(mtrr_type(hpa(0), 2 * MiB), -E_INVAL);
	assert_int_equal(mtrr_type(hpa(0), GiB), -E_INVAL);
	assert_int_equal(mtrr_type(hpa(2 * MiB), 2 * MiB), MT_WB);
	assert_int_equal(mtrr_type(hpa(GiB), GiB), MT_WB);
	assert_int_equal(mtrr_type(hpa(3 * GiB), GiB), MT_UC);
	assert_int_equal(mtrr_type(hpa(0xd0000000), 2 * MiB), MT_UC);
	assert_int_equal(mtrr_type(hpa(4 * GiB), GiB), MT_WB);
	assert_int_equal(mtrr_type(hpa(1ull << WIDTH), 4096), MT_WB); /* beyond the end: the default */
}

static void one_piece_of_several_ranges(void **state)
{
	clear_regs();
	regs.def = 1 << 11 | MT_UC;
	for (unsigned i = 0; i < 4; i++) /* 1 GiB of four quarters */
		add(i, GiB + i * 256 * MiB, 256 * MiB, MT_WB);
	add(4, 2 * GiB, GiB, MT_WB);
	add(5, 2 * GiB + 64 * KiB, 64 * KiB, MT_WT); /* WB and WT: WT */
	add(6, 3 * GiB, GiB, MT_WP);
	add(7, 3 * GiB, 2 * MiB, MT_WC); /* undefined: UC */
	mtrr_read(fake_rdmsr, WIDTH);
	assert_int_equal(mtrr_type(hpa(GiB), GiB), MT_WB);
	assert_int_equal(mtrr_type(hpa(2 * GiB), GiB), -E_INVAL);
	assert_int_equal(mtrr_type(hpa(2 * GiB), 2 * MiB), -E_INVAL);
	assert_int_equal(mtrr_type(hpa(2 * GiB + 2 * MiB), 2 * MiB), MT_WB);
	assert_int_equal(mtrr_type(hpa(2 * GiB + 64 * KiB), 4096), MT_WT);
	assert_int_equal(mtrr_type(hpa(3 * GiB), 2 * MiB), MT_UC);
	assert_int_equal(mtrr_type(hpa(3 * GiB + 2 * MiB), 2 * MiB), MT_WP);
}

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(uint64_t below)
{
	return xorshift(&seed) % below;
}

static void random_regs(bool gaps)
{
	static const uint8_t types[] = { MT_UC, MT_WC, MT_WT, MT_WP, MT_WB, MT_WB, MT_WB, MT_WT };

	clear_regs();
	regs.vcnt = (unsigned)rnd(11);
	regs.has_fixed = rnd(4) != 0;
	regs.def = types[rnd(8)] | (rnd(20) ? 1 << 11 : 0) | (rnd(2) ? 1 << 10 : 0);
	for (unsigned i = 0; i < sizeof(regs.fix); i++)
		((uint8_t *)regs.fix)[i] = types[rnd(8)];
	for (unsigned i = 0; i < regs.vcnt; i++) {
		uint64_t bytes = 1ull << (12 + rnd(WIDTH - 11)), at = rnd(1ull << WIDTH);

		if (rnd(3)) /* crowd them into the first 4 GiB, where they meet */
			at %= 4 * GiB;
		add(i, at & ~(bytes - 1), bytes, types[rnd(8)]);
		if (!rnd(8))
			regs.mask[i] &= ~(1ull << 11);
		if (gaps && rnd(2))
			regs.mask[i] &= ~(1ull << (12 + rnd(WIDTH - 12)));
	}
}

/* Places worth asking about: near the ends of ranges, and anywhere. */
static uint64_t place(uint64_t bytes)
{
	uint64_t at = rnd(1ull << WIDTH);

	if (regs.vcnt && rnd(4)) {
		unsigned i = (unsigned)rnd(regs.vcnt);
		uint64_t mask = regs.mask[i] & BITS(WIDTH - 1, 12);

		at = (regs.base[i] & ~0xfffull) + (rnd(2) ? 0 : mask & -mask) + (rnd(3) - 1) * bytes;
	} else if (!rnd(3)) {
		at = rnd(2 * MiB);
	}
	return at & ((1ull << WIDTH) - 1) & ~(bytes - 1);
}

static void random_sets_agree_with_the_rule_for_one_address(void **state)
{
	for (int round = 0; round < 150; round++) {
		random_regs(false);
		mtrr_read(fake_rdmsr, WIDTH);
		for (int i = 0; i < 200; i++) {
			uint64_t at = place(4096);

			assert_int_equal(mtrr_type(hpa(at), 4096), oracle(at));
		}
		for (int i = 0; i < 20; i++) {
			uint64_t at = place(2 * MiB);

			assert_int_equal(mtrr_type(hpa(at), 2 * MiB), oracle_range(at, 2 * MiB));
		}
		if (round % 15 == 0) {
			uint64_t at = place(GiB);

			assert_int_equal(mtrr_type(hpa(at), GiB), oracle_range(at, GiB));
		}
	}
}

/* With gaps in the masks a large piece may be refused, but what is answered is right. */
static void masks_with_gaps_are_never_answered_wrongly(void **state)
{
	unsigned answered = 0;

	for (int round = 0; round < 100; round++) {
		random_regs(true);
		mtrr_read(fake_rdmsr, WIDTH);
		for (int i = 0; i < 100; i++) {
			uint64_t at = place(4096);

			assert_int_equal(mtrr_type(hpa(at), 4096), oracle(at));
		}
		for (int i = 0; i < 20; i++) {
			uint64_t at = place(2 * MiB);
			int type = mtrr_type(hpa(at), 2 * MiB);

			if (type < 0)
				continue;
			answered++;
			assert_int_equal(type, oracle_range(at, 2 * MiB));
		}
	}
	assert_true(answered > 1000);
}

static void an_empty_mask_covers_all_memory(void **state)
{
	clear_regs();
	regs.def = 1 << 11 | MT_UC;
	regs.base[0] = MT_WB;
	regs.mask[0] = 1 << 11;
	mtrr_read(fake_rdmsr, WIDTH);
	assert_int_equal(mtrr_type(hpa(0), 1ull << WIDTH), MT_WB);
}

static void full_width_and_every_range(void **state)
{
	clear_regs();
	regs.maxphyaddr = 52;
	regs.vcnt = 255; /* there are MSRs for 40 */
	regs.def = 1 << 11 | MT_UC;
	for (unsigned i = 0; i < 40; i++)
		add(i, i * 2 * GiB, GiB, i & 1 ? MT_WB : MT_WT);
	mtrr_read(fake_rdmsr, 52);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(mtrr_type(hpa(i * 2 * GiB), GiB), i & 1 ? MT_WB : MT_WT);
		assert_int_equal(mtrr_type(hpa(i * 2 * GiB + GiB), GiB), MT_UC);
		assert_int_equal(mtrr_type(hpa(i * 2 * GiB), 2 * GiB), -E_INVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disabled_is_uncacheable),
		cmocka_unit_test(the_usual_pc),
		cmocka_unit_test(one_piece_of_several_ranges),
		cmocka_unit_test(random_sets_agree_with_the_rule_for_one_address),
		cmocka_unit_test(masks_with_gaps_are_never_answered_wrongly),
		cmocka_unit_test(an_empty_mask_covers_all_memory),
		cmocka_unit_test(full_width_and_every_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
