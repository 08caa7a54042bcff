/* SPDX-License-Identifier: MIT */
/* Values that WRMSR of a guest refuses or keeps, what firmware leaves in MTRRs, and which MSRs reach the CPU itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/dev/layout.h"
#include "guest/dev/platform.h"
#include "hv/vm/guest_msr_pure.h"
#include "lib/x86.h"
#include "mm/host/mtrr.h"

#define MAXPHYADDR 40

static void mtrr_numbers(void **state)
{
	unsigned seen = 0;

	for (uint32_t msr = 0; msr < 0x2000; msr++) {
		int i = guest_mtrr_index(msr);

		assert_true(i < GUEST_MTRRS);
		if (i >= 0)
			assert_int_equal(i, seen++); /* in the order of the numbers, each once */
	}
	assert_int_equal(seen, GUEST_MTRRS);
	assert_int_equal(guest_mtrr_index(MSR_PAT), -1);
	assert_int_equal(guest_mtrr_index(0x251), -1);
	assert_int_equal(guest_mtrr_index(0x270), -1);
}

static void check_types(unsigned index, uint64_t others)
{
	for (uint64_t type = 0; type < 256; type++)
		assert_int_equal(guest_mtrr_ok(index, others | type, MAXPHYADDR),
			type == 0 || type == 1 || (type >= 4 && type <= 6));
}

static void mtrr_reserved_bits(void **state)
{
	for (unsigned n = 0; n < 16; n += 2) {
		check_types(n, 0xff000);
		for (unsigned bit = 8; bit < 64; bit++) {
			assert_int_equal(
				guest_mtrr_ok(n, BIT(bit), MAXPHYADDR), bit >= 12 && bit < MAXPHYADDR);
			assert_int_equal(
				guest_mtrr_ok(n + 1, BIT(bit), MAXPHYADDR), bit >= 11 && bit < MAXPHYADDR);
		}
		for (unsigned bit = 0; bit < 8; bit++)
			assert_false(guest_mtrr_ok(n + 1, BIT(bit), MAXPHYADDR));
	}
	assert_true(guest_mtrr_ok(0, 0xffffff000, 36));
	assert_false(guest_mtrr_ok(0, 0x1000000000, 36));
	for (unsigned n = 16; n < 27; n++)
		for (unsigned byte = 0; byte < 64; byte += 8)
			for (uint64_t type = 0; type < 256; type++)
				assert_int_equal(guest_mtrr_ok(n, type << byte, MAXPHYADDR),
					type == 0 || type == 1 || (type >= 4 && type <= 6));
	check_types(27, 0xc00);
	for (unsigned bit = 8; bit < 64; bit++)
		assert_int_equal(guest_mtrr_ok(27, BIT(bit), MAXPHYADDR), bit == 10 || bit == 11);
}

static uint64_t firmware[GUEST_MTRRS];

static uint64_t read_firmware(uint32_t msr)
{
	int i = guest_mtrr_index(msr);

	if (msr == MSR_MTRRCAP)
		return GUEST_MTRRCAP;
	assert_true(i >= 0);
	return firmware[i];
}

static void check_type(uint64_t from, uint64_t to, int type)
{
	assert_int_equal(mtrr_type(hpa(from), PAGE_SIZE), type);
	assert_int_equal(mtrr_type(hpa(to - PAGE_SIZE), PAGE_SIZE), type);
}

/* By Lethe's own reader of MTRRs: RAM is write-back, devices are not cached, and WRMSR would take each of the values. */
static void mtrrs_as_firmware_leaves_them(void **state)
{
	for (unsigned width = 36; width <= 48; width += 4) {
		guest_mtrr_firmware(firmware, width);
		for (unsigned i = 0; i < GUEST_MTRRS; i++)
			assert_true(guest_mtrr_ok(i, firmware[i], width));
		mtrr_read(read_firmware, width);
		check_type(0, LAYOUT_VGA, MT_WB);
		check_type(LAYOUT_VGA, LAYOUT_VGA_END, MT_UC);
		check_type(LAYOUT_ROMS, LAYOUT_BIOS_END, MT_WP);
		check_type(LAYOUT_BIOS_END, LAYOUT_PCI, MT_WB);
		check_type(LAYOUT_PCI, LAYOUT_HIGH, MT_UC);
		check_type(LAYOUT_HIGH, 1ull << width, MT_WB);
	}
	assert_int_equal(firmware[27], 0xc06);
}

static void misc_enable_has_its_fixed_bits_and_drops_unknown_ones(void **state)
{
	assert_int_equal(guest_misc_enable(0), 0x1800);
	assert_int_equal(guest_misc_enable(~0ull), 0x811809);
	assert_int_equal(guest_misc_enable(MISC_ENABLE_FAST_STRINGS), 0x1801);
	assert_int_equal(guest_misc_enable(guest_misc_enable(0x850089)), guest_misc_enable(0x850089));
}

static void spec_ctrl_takes_the_bits_that_cpuid_shows(void **state)
{
	assert_int_equal(guest_spec_ctrl_bits(0), 0);
	assert_int_equal(guest_spec_ctrl_bits(BIT(26)), 3);
	assert_int_equal(guest_spec_ctrl_bits(BIT(27)), 3);
	assert_int_equal(guest_spec_ctrl_bits(BIT(31)), 4);
	assert_int_equal(guest_spec_ctrl_bits(~0u), 7); /* BHI_DIS_S and the like are not shown (CPUID.7.2) */
}

/* Bits that promise MSRs are hidden: TSX_CTRL (7), MISC_PACKAGE_CTLS (10), FB_CLEAR_CTRL (18), GDS_CTRL (25). */
static void arch_capabilities_promise_no_msr(void **state)
{
	struct mitigations m = { 0 };

	assert_int_equal(guest_arch_capabilities(0, &m), 0);
	assert_int_equal(guest_arch_capabilities(~0ull, &m), 0x400000001d1ae17f);
	m.measures.spec_ctrl = SPEC_CTRL_IBRS;
	assert_int_equal(guest_arch_capabilities(CAP_IBRS_ALL, &m), CAP_IBRS_ALL);
	m.measures.spec_ctrl = SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S;
	assert_int_equal(guest_arch_capabilities(CAP_IBRS_ALL, &m), CAP_IBRS_ALL | CAP_BHI_NO);
	m = (struct mitigations){ .measures.gds_lock = true, .its_no = true };
	assert_int_equal(guest_arch_capabilities(CAP_GDS_CTRL, &m), CAP_GDS_NO | CAP_ITS_NO);
}

static bool passes(const uint8_t *bitmap, uint32_t msr, bool write)
{
	unsigned bit = (msr & 0x1fff) + (msr >= 0xc0000000 ? 8192 : 0) + (write ? 16384 : 0);

	return !(bitmap[bit / 8] >> (bit & 7) & 1);
}

/* SDM Vol. 3A table 11-10: 2 and 3 are reserved, 7 is UC-. */
static void pat_takes_only_memory_types(void **state)
{
	assert_true(guest_pat_ok(GUEST_PAT_POWER_UP));
	for (unsigned place = 0; place < 64; place += 8)
		for (uint64_t type = 0; type < 256; type++)
			assert_int_equal(
				guest_pat_ok((GUEST_PAT_POWER_UP & ~(0xffull << place)) | type << place),
				type < 8 && type != 2 && type != 3);
}

/* All that a bitmap can pass is what this list says, over both of its ranges. */
static void only_these_msrs_reach_the_cpu(void **state)
{
	static const uint32_t both[] = { 0x174, 0x175, 0x176, 0x277, 0xc0000081, 0xc0000082, 0xc0000083,
		0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103 };
	struct msr_bitmap_params p = {
		.efer = true, .pat = true, .tsc_aux = true, .x2apic_register = platform_x2apic_register
	};
	uint8_t bitmap[PAGE_SIZE];

	guest_msr_bitmap(bitmap, &p);
	for (unsigned n = 0; n < 0x4000; n++) {
		uint32_t msr = n < 0x2000 ? n : 0xc0000000 + n - 0x2000;
		bool listed = false;

		for (unsigned i = 0; i < ARRAY_SIZE(both); i++)
			listed |= both[i] == msr;
		assert_int_equal(passes(bitmap, msr, true), listed);
		assert_int_equal(passes(bitmap, msr, false), listed || msr == MSR_TSC || msr == MSR_EFER);
	}
	p.efer = p.pat = p.tsc_aux = false;
	guest_msr_bitmap(bitmap, &p);
	assert_false(passes(bitmap, MSR_EFER, false));
	assert_false(passes(bitmap, MSR_PAT, false) || passes(bitmap, MSR_PAT, true));
	assert_false(passes(bitmap, MSR_TSC_AUX, false));
	assert_false(passes(bitmap, MSR_TSC_AUX, true));
}

/* Virtualised x2APIC accesses: a read that passes gives what lies in the page, so it must be a register's (SDM Vol. 3A
 * table 10-6: 802h, 803h, 808h, 80Ah, 80Dh, 80Fh to 828h, 830h, 832h to 838h, 83Eh). */
static void x2apic_msrs_that_reach_the_cpu(void **state)
{
	struct msr_bitmap_params p = { .x2apic = true, .x2apic_register = platform_x2apic_register };
	uint8_t bitmap[PAGE_SIZE];

	guest_msr_bitmap(bitmap, &p);
	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		bool exists = msr == 0x802 || msr == 0x803 || msr == 0x808 || msr == 0x80a || msr == 0x80d ||
			      (msr >= 0x80f && msr <= 0x828) || msr == 0x830 ||
			      (msr >= 0x832 && msr <= 0x838) || msr == 0x83e;

		assert_int_equal(passes(bitmap, msr, false), exists);
		assert_int_equal(passes(bitmap, msr, true), msr == 0x808 || msr == 0x80b || msr == 0x83f);
	}
	p.x2apic = false;
	guest_msr_bitmap(bitmap, &p);
	for (uint32_t msr = 0x800; msr < 0x900; msr++)
		assert_false(passes(bitmap, msr, false) || passes(bitmap, msr, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mtrr_numbers),
		cmocka_unit_test(mtrr_reserved_bits),
		cmocka_unit_test(mtrrs_as_firmware_leaves_them),
		cmocka_unit_test(misc_enable_has_its_fixed_bits_and_drops_unknown_ones),
		cmocka_unit_test(spec_ctrl_takes_the_bits_that_cpuid_shows),
		cmocka_unit_test(arch_capabilities_promise_no_msr),
		cmocka_unit_test(pat_takes_only_memory_types),
		cmocka_unit_test(only_these_msrs_reach_the_cpu),
		cmocka_unit_test(x2apic_msrs_that_reach_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
