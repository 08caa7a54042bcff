/* SPDX-License-Identifier: MIT */
/* Flat images, and what the loader says of files that it cannot place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/load_images.h"
#include "tests/support/rig/load_rig.h"

static uint8_t image[512];

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i + 1);
	rig_open(16 * MiB);
	rig.conf.format = FORMAT_FLAT;
	rig.p.kernel = (struct load_file){ "boot.bin", image, sizeof(image) };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

static void expect_loaded(void)
{
	if (rig_load())
		fail_msg("refused: %s", rig.why);
}

static void expect_refused(int err, const char *file, const char *words)
{
	assert_int_equal(rig_load(), err);
	if (strncmp(rig.why, file, strlen(file)) != 0 || !strstr(rig.why, words))
		fail_msg("expected \"%s: ... %s\", got: %s", file, words, rig.why);
}

static void a_boot_sector_starts_at_0_7c00(void **state)
{
	(void)state;
	rig.conf.entry_mode = 16;
	rig.conf.load_address = 0x7c00;
	expect_loaded();
	assert_true(guest_image_may_want_bios(&rig.p, &rig.start));
	assert_memory_equal(rig_at(0x7c00, 512), image, 512);
	assert_int_equal(rig.start.cr0 & (CR0_PE | CR0_PG | CR0_CD | CR0_NW), 0);
	assert_int_equal(rig.start.seg[SEG_CS].selector, 0);
	assert_int_equal(rig.start.seg[SEG_CS].base, 0);
	assert_int_equal(rig.start.regs.rip, 0x7c00);
	assert_int_equal(rig.start.seg[SEG_SS].base + rig.start.regs.gpr[RSP], 0x7c00);
}

static void real_mode_above_64_kib_starts_by_its_segment(void **state)
{
	(void)state;
	rig.conf.entry_mode = 16;
	rig.conf.load_address = 0x12345;
	expect_loaded();
	assert_int_equal(rig.start.seg[SEG_CS].selector, 0x1234);
	assert_int_equal(rig.start.seg[SEG_CS].base, 0x12340);
	assert_int_equal(rig.start.regs.rip, 5);
	rig.conf.load_address = 0x100000;
	expect_refused(-E_RANGE, "boot.bin", "set load-address below 1 MiB");
}

static void a_32_bit_image_has_flat_segments_and_a_gdt(void **state)
{
	(void)state;
	expect_loaded();
	assert_false(guest_image_may_want_bios(&rig.p, &rig.start));
	assert_int_equal(rig.start.regs.rip, 0x100000);
	assert_int_equal(rig.start.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	assert_int_equal(rig_u64(rig.start.gdtr.base + 0x10), 0x00cf9b000000ffff);
	assert_int_equal(rig_u64(rig.start.gdtr.base + 0x18), 0x00cf93000000ffff);
}

static void a_64_bit_image_is_mapped_where_it_lies(void **state)
{
	(void)state;
	rig_open(4 * GiB);
	rig.conf.format = FORMAT_FLAT;
	rig.conf.entry_mode = 64;
	rig.conf.load_address = 0x100200000;
	rig.p.kernel = (struct load_file){ "boot.bin", image, sizeof(image) };
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x100200000);
	assert_int_equal(rig_translate(rig.start.cr3, 0x100200000), 0x100200000);
	assert_int_equal(rig_translate(rig.start.cr3, 0xb8000), 0xb8000);
	rig.conf.entry_mode = 32;
	expect_refused(-E_RANGE, "boot.bin", "set load-address below 4 GiB");
}

static void tables_keep_out_of_the_image(void **state)
{
	static const uint64_t at[] = { 0x1000, 0x6000, 0xf000 }; /* room above, on both sides, below */
	static uint8_t big[0x90000];

	(void)state;
	rig.conf.entry_mode = 64;
	rig.p.kernel = (struct load_file){ "boot.bin", big, sizeof(big) };
	memset(big, 0xaa, sizeof(big));
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		rig.conf.load_address = at[i];
		expect_loaded();
		assert_memory_equal(rig_at(at[i], sizeof(big)), big, sizeof(big));
		assert_int_equal(rig_translate(rig.start.cr3, at[i]), at[i]);
	}
}

static void no_room_for_tables_is_refused(void **state)
{
	static uint8_t big[0x9b000];

	(void)state;
	rig.conf.entry_mode = 64;
	rig.conf.load_address = 0x4000;
	rig.p.kernel = (struct load_file){ "boot.bin", big, sizeof(big) };
	expect_refused(-E_NOMEM, "boot.bin", "below 1 MiB for start-up tables");
}

static void nothing_but_ram_is_loaded_into(void **state)
{
	static const uint64_t bad[] = { 0x9fc00 - 511, 0xa0000, 0xfff00, 16 * MiB - 511, 16 * MiB, 0xfee00000,
		0x100000000, UINT64_MAX - 511, 1ull << 63 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		rig.conf.load_address = bad[i];
		expect_refused(-E_RANGE, "boot.bin", "not all RAM");
	}
	rig.conf.load_address = UINT64_MAX - 510;
	expect_refused(-E_RANGE, "boot.bin", "runs past the end of the address space");
	rig.conf.load_address = 16 * MiB - 512;
	expect_loaded();
}

static void what_does_not_go_with_flat_is_refused(void **state)
{
	(void)state;
	strcpy(rig.conf.cmdline, "x");
	expect_refused(-E_INVAL, "boot.bin", "take cmdline = out");
	rig.conf.cmdline[0] = '\0';
	rig.conf.entry_mode = 17;
	expect_refused(-E_INVAL, "boot.bin", "expected 16, 32 or 64");
	rig.conf.entry_mode = 32;
	rig.p.initrd = (struct load_file){ "initrd.img", "x", 1 };
	expect_refused(-E_INVAL, "initrd.img", "take the line out");
	rig.p.initrd = (struct load_file){ 0 };
	rig.p.module[0] = (struct load_file){ "a.mod", "x", 1 };
	expect_refused(-E_INVAL, "a.mod", "take the line out");
}

static void the_bios_data_area_is_there_unless_loaded_over(void **state)
{
	uint16_t v;

	(void)state;
	expect_loaded();
	memcpy(&v, rig_at(0x40e, 2), 2);
	assert_int_equal(v << 4, LAYOUT_EBDA);
	memcpy(&v, rig_at(0x413, 2), 2);
	assert_int_equal(v, 639);
	rig.conf.load_address = 0x300;
	expect_loaded();
	assert_memory_equal(rig_at(0x300, 512), image, 512);
}

static void a_file_without_a_header_is_not_taken_for_flat(void **state)
{
	(void)state;
	rig.conf.format = FORMAT_AUTO;
	expect_refused(-E_INVAL, "boot.bin", "say format = flat");
}

static void the_loader_says_what_a_wrong_file_is(void **state)
{
	static const struct {
		const char *magic;
		unsigned n;
		const char *words;
	} file[] = {
		{ "\x1f\x8b\x08", 3, "unpack it first" },
		{ "\xfd"
		  "7zXZ",
			5, "unpack it first" },
		{ "\x28\xb5\x2f\xfd", 4, "unpack it first" },
		{ "\x7f"
		  "ELF",
			4, "ELF file without a multiboot header" },
		{ "\xd6\x50\x52\xe8", 4, "multiboot 2" },
	};

	(void)state;
	rig.conf.format = FORMAT_AUTO;
	for (unsigned i = 0; i < ARRAY_SIZE(file); i++) {
		memset(image, 0, sizeof(image));
		memcpy(image, file[i].magic, file[i].n);
		assert_true(rig_load() < 0);
		if (!strstr(rig.why, file[i].words))
			fail_msg("expected %s, got: %s", file[i].words, rig.why);
	}
}

static void a_sentence_never_overruns_its_buffer(void **state)
{
	char why[8];

	(void)state;
	memset(why, 'x', sizeof(why));
	rig.conf.load_address = 0xa0000;
	assert_int_equal(guest_load(&rig.p, &rig.start, why, 5), -E_RANGE);
	assert_memory_equal(why, "boot\0xxx", 8);
	assert_int_equal(guest_load(&rig.p, &rig.start, NULL, 0), -E_RANGE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_boot_sector_starts_at_0_7c00),
		TEST(real_mode_above_64_kib_starts_by_its_segment),
		TEST(a_32_bit_image_has_flat_segments_and_a_gdt),
		TEST(a_64_bit_image_is_mapped_where_it_lies),
		TEST(tables_keep_out_of_the_image),
		TEST(no_room_for_tables_is_refused),
		TEST(nothing_but_ram_is_loaded_into),
		TEST(what_does_not_go_with_flat_is_refused),
		TEST(the_bios_data_area_is_there_unless_loaded_over),
		TEST(a_file_without_a_header_is_not_taken_for_flat),
		TEST(the_loader_says_what_a_wrong_file_is),
		TEST(a_sentence_never_overruns_its_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
