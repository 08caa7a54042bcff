/* SPDX-License-Identifier: MIT */
/* The Linux loader: what a kernel finds at its entry, and that each broken image is refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "tests/support/rig/load_images.h"
#include "tests/support/rig/load_rig.h"

static struct image bz, initrd;

static int setup(void **state)
{
	(void)state;
	bz = bz_new();
	initrd = (struct image){ 0 };
	rig_open(64 * MiB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(bz.data);
	free(initrd.data);
	rig_close();
	return 0;
}

static int load(void)
{
	rig.p.kernel = (struct load_file){ "vmlinuz", bz.data, bz.size };
	rig.p.initrd = (struct load_file){ "initrd.img", initrd.data, initrd.size };
	return rig_load();
}

static void expect_loaded(void)
{
	int err = load();

	if (err)
		fail_msg("refused: %s", rig.why);
}

static void expect_refused(int err, const char *file, const char *words)
{
	assert_int_equal(load(), err);
	if (strncmp(rig.why, file, strlen(file)) != 0 || !strstr(rig.why, words))
		fail_msg("expected \"%s: ... %s\", got: %s", file, words, rig.why);
}

static void give_initrd(uint64_t size)
{
	initrd = image_new(size);
	for (uint64_t k = 0; k < size; k++)
		initrd.data[k] = (uint8_t)(k * 13 + 1);
}

static struct linux_boot_params zero_page(void)
{
	struct linux_boot_params zp;

	memcpy(&zp, rig_at(rig.start.regs.gpr[RSI], 4096), sizeof(zp));
	return zp;
}

static uint64_t initrd_at(struct linux_boot_params zp)
{
	return zp.hdr.ramdisk_image | (uint64_t)zp.ext_ramdisk_image << 32;
}

static void a_64_bit_kernel_starts_as_the_protocol_says(void **state)
{
	uint64_t gdt;

	(void)state;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x1000000 + 0x200);
	assert_memory_equal(rig_at(0x1000000, BZ_CODE), bz.data + BZ_SETUP, BZ_CODE);
	assert_true(rig.start.cr0 & CR0_PG);
	assert_true(rig.start.cr0 & CR0_PE);
	assert_true(rig.start.cr4 & CR4_PAE);
	assert_int_equal(rig.start.efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
	assert_false(rig.start.regs.rflags & RFLAGS_IF);

	/* __BOOT_CS is 64-bit code, __BOOT_DS data, in a GDT that lies in memory. */
	gdt = rig.start.gdtr.base;
	assert_int_equal(rig.start.gdtr.limit, 4 * 8 - 1);
	assert_int_equal(rig.start.seg[SEG_CS].selector, 0x10);
	assert_int_equal(rig.start.seg[SEG_SS].selector, 0x18);
	assert_int_equal(rig.start.seg[SEG_DS].selector, 0x18);
	assert_int_equal(rig_u64(gdt), 0);
	assert_int_equal(rig_u64(gdt + 0x10), 0x00af9b000000ffff);
	assert_int_equal(rig_u64(gdt + 0x18), 0x00cf93000000ffff);
}

static void all_memory_below_4_gib_is_mapped_one_to_one(void **state)
{
	static const uint64_t at[] = { 0, 0xfff, 0x1fffff, 0x200000, 0x1000200, 0x3fffffff, 0x40000000,
		0xfee00020, 0xffffffff };

	(void)state;
	expect_loaded();
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		assert_int_equal(rig_translate(rig.start.cr3, at[i]), at[i]);
	assert_int_equal(rig_translate(rig.start.cr3, 0x100000000), ~0ull);
}

static void the_zero_page_says_what_the_guest_has(void **state)
{
	struct linux_boot_params zp;
	uint64_t at;

	(void)state;
	strcpy(rig.conf.cmdline, "console=ttyS0 quiet");
	memset(rig.ram + 0x1000, 0xcc, LAYOUT_EBDA - 0x1000);
	expect_loaded();
	zp = zero_page();
	at = rig.start.regs.gpr[RSI];

	assert_int_equal(zp.e820_entries, rig.nrows);
	for (unsigned i = 0; i < rig.nrows; i++) {
		struct linux_e820 row;

		memcpy(&row, rig_at(at + LINUX_E820_AT + 20 * i, 20), 20);
		assert_int_equal(row.base, rig.row[i].base);
		assert_int_equal(row.size, rig.row[i].size);
		assert_int_equal(row.type, rig.row[i].type);
	}
	assert_int_equal(zp.acpi_rsdp_addr, 0xe0000);
	assert_int_equal(zp.hdr.kernel_version, 0x1234);
	assert_int_equal(zp.hdr.type_of_loader, 0xff);
	assert_int_equal(*rig_at(at + 0x1ef, 1), 0); /* sentinel */
	assert_int_equal(*rig_at(at + 4095, 1), 0);  /* cleared to its end */
	assert_int_equal(zp.screen_info.orig_video_cols, 80);
	assert_int_equal(zp.screen_info.orig_video_lines, 25);
	assert_string_equal((char *)rig_at(zp.hdr.cmd_line_ptr, 20), "console=ttyS0 quiet");
	assert_int_equal(zp.ext_cmd_line_ptr, 0);
	assert_int_equal(zp.hdr.ramdisk_image, 0);
	assert_int_equal(zp.hdr.ramdisk_size, 0);
}

static void the_initrd_lies_at_the_end_of_ram(void **state)
{
	struct linux_boot_params zp;

	(void)state;
	give_initrd(5000);
	expect_loaded();
	zp = zero_page();
	assert_int_equal(initrd_at(zp), 64 * MiB - 8192);
	assert_int_equal(zp.hdr.ramdisk_size, 5000);
	assert_memory_equal(rig_at(initrd_at(zp), 5000), initrd.data, 5000);
}

static void the_initrd_stays_below_initrd_addr_max(void **state)
{
	(void)state;
	give_initrd(5000);
	bz_header(bz)->initrd_addr_max = 0x2ffffff;
	expect_loaded();
	assert_int_equal(initrd_at(zero_page()), 0x3000000 - 8192);
}

static void the_initrd_goes_above_4_gib_if_it_must_and_may(void **state)
{
	struct linux_boot_params zp;
	uint64_t at;

	(void)state;
	rig_open(5 * GiB);
	give_initrd(3 * MiB);
	bz_header(bz)->initrd_addr_max = 0x2fffff; /* 2 MiB there */
	expect_loaded();
	zp = zero_page();
	at = initrd_at(zp);
	assert_true(at >= LAYOUT_HIGH);
	assert_int_equal(at + 3 * MiB, rig.layout.high_end);
	assert_memory_equal(rig_at(at, initrd.size), initrd.data, initrd.size);
	assert_int_equal(rig_translate(rig.start.cr3, at), at);
	assert_int_equal(rig_translate(rig.start.cr3, at + initrd.size - 1), at + initrd.size - 1);

	bz_header(bz)->xloadflags = LINUX_XLF_KERNEL_64;
	expect_refused(-E_NOMEM, "initrd.img", "does not fit");
}

static void the_initrd_keeps_out_of_the_room_the_kernel_unpacks_into(void **state)
{
	(void)state;
	bz_header(bz)->init_size = 47 * MiB; /* of the 48 behind 16 MiB */
	give_initrd(1 * MiB + 1);
	/* It fits below the kernel, between 1 and 16 MiB. */
	expect_loaded();
	assert_int_equal(initrd_at(zero_page()), 16 * MiB - (1 * MiB + 4096));

	bz_header(bz)->initrd_addr_max = 1 * MiB + 4095;
	expect_refused(-E_NOMEM, "initrd.img", "does not fit");
}

static void an_initrd_larger_than_memory_is_refused(void **state)
{
	(void)state;
	initrd = image_new(65 * MiB);
	expect_refused(-E_NOMEM, "initrd.img", "does not fit into the guest's RAM (64 MiB)");
}

static void a_kernel_too_large_for_memory_is_refused(void **state)
{
	(void)state;
	bz_header(bz)->init_size = 48 * MiB;
	expect_loaded();
	bz_header(bz)->init_size = 48 * MiB + 1;
	expect_refused(-E_NOMEM, "vmlinuz", "needs 49 MiB of RAM from 0x1000000 on");
	rig_open(16 * MiB);
	bz_header(bz)->init_size = 1;
	expect_refused(-E_NOMEM, "vmlinuz", "this guest has 0 MiB there: raise memory =");
}

static void a_relocatable_kernel_is_aligned_and_never_below_1_mib(void **state)
{
	(void)state;
	bz_header(bz)->pref_address = 0x9000;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x200000 + 0x200);
	bz_header(bz)->pref_address = 0x1000001;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x1200000 + 0x200);
}

static void a_fixed_kernel_lies_where_it_says_or_is_refused(void **state)
{
	(void)state;
	bz_header(bz)->relocatable_kernel = 0;
	bz_header(bz)->pref_address = 0x400000;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x400000 + 0x200);
	bz_header(bz)->pref_address = 0xe0000; /* the BIOS */
	expect_refused(-E_RANGE, "vmlinuz", "not all RAM");
	bz_header(bz)->pref_address = 0x100000000;
	expect_refused(-E_RANGE, "vmlinuz", "beyond the RAM below 4 GiB");
	bz_header(bz)->pref_address = UINT64_MAX - 5;
	expect_refused(-E_RANGE, "vmlinuz", "beyond the RAM below 4 GiB");
	bz_header(bz)->pref_address = 0x90000; /* would cover the tables' place and more */
	bz_header(bz)->init_size = 0;
	bz_header(bz)->syssize = 0;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x90200);
}

static void without_a_64_bit_entry_the_32_bit_one_is_taken(void **state)
{
	(void)state;
	bz_header(bz)->xloadflags = 0;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x1000000);
	assert_false(rig.start.cr0 & CR0_PG);
	assert_true(rig.start.cr0 & CR0_PE);
	assert_int_equal(rig.start.regs.gpr[RBP], 0);
	assert_int_equal(rig.start.regs.gpr[RBX], 0);
	assert_int_equal(rig.start.regs.gpr[RDI], 0);
	assert_int_equal(rig_u64(rig.start.gdtr.base + 0x10), 0x00cf9b000000ffff);
	assert_int_equal(zero_page().hdr.code32_start, 0x1000000);
}

static bool linux64(enum conf_format format, uint64_t size)
{
	const struct conf_vm conf = { .format = format };
	const struct load_file kernel = { "vmlinuz", size ? bz.data : NULL, size };

	return guest_image_linux64(&conf, &kernel);
}

static void a_64_bit_kernel_is_told_before_it_is_loaded(void **state)
{
	assert_true(linux64(FORMAT_AUTO, bz.size));
	assert_true(linux64(FORMAT_LINUX, bz.size));
	assert_false(linux64(FORMAT_FLAT, bz.size));
	assert_false(linux64(FORMAT_LINUX, 0));
	for (uint64_t size = 1; size < 0x26c; size++) /* truncated in its header */
		assert_false(linux64(FORMAT_LINUX, size));
	bz_header(bz)->xloadflags = LINUX_XLF_CAN_BE_LOADED_ABOVE_4G;
	assert_false(linux64(FORMAT_AUTO, bz.size));
	bz_header(bz)->xloadflags = LINUX_XLF_KERNEL_64;
	assert_true(linux64(FORMAT_AUTO, bz.size));
	bz_header(bz)->version = LINUX_PROTOCOL(2, 11);
	assert_false(linux64(FORMAT_AUTO, bz.size));
	memset(bz.data, 0, bz.size);
	assert_false(linux64(FORMAT_AUTO, bz.size));
	assert_false(linux64(FORMAT_LINUX, bz.size));
}

static void only_a_kernel_without_64_bit_entry_may_want_a_bios(void **state)
{
	(void)state;
	expect_loaded();
	assert_false(guest_image_may_want_bios(&rig.p, &rig.start));
	bz_header(bz)->xloadflags = 0;
	expect_loaded();
	assert_true(guest_image_may_want_bios(&rig.p, &rig.start));
}

static void old_protocols_have_their_defaults(void **state)
{
	struct linux_setup_header *h = bz_header(bz);

	(void)state;
	h->version = LINUX_PROTOCOL(2, 2);
	h->jump = 0xeb | (0x22c - 0x202)
				 << 8; /* ends behind cmd_line_ptr; what follows must not be believed */
	give_initrd(4096);
	rig_open(2 * GiB);
	memset(rig.conf.cmdline, 'x', 255);
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x100000);
	assert_int_equal(initrd_at(zero_page()), 0x38000000 - 4096);
	assert_int_equal(zero_page().hdr.pref_address, 0);
	memset(rig.conf.cmdline, 'x', 256);
	expect_refused(-E_RANGE, "vmlinuz", "takes a command line of 255 characters and cmdline = has 256");
}

static void a_command_line_too_long_is_refused(void **state)
{
	(void)state;
	bz_header(bz)->cmdline_size = 10;
	strcpy(rig.conf.cmdline, "0123456789");
	expect_loaded();
	assert_string_equal((char *)rig_at(zero_page().hdr.cmd_line_ptr, 11), "0123456789");
	strcpy(rig.conf.cmdline, "0123456789a");
	expect_refused(-E_RANGE, "vmlinuz", "shorten it");
}

static void truncated_files_are_refused(void **state)
{
	(void)state;
	for (uint64_t size = bz.size - 16; size > 0; size = size * 3 / 4) {
		image_cut(&bz, size);
		rig.conf.format = FORMAT_LINUX;
		assert_int_equal(load(), -E_INVAL);
		assert_non_null(strstr(rig.why, "vmlinuz: "));
	}
	image_cut(&bz, 0);
	expect_refused(-E_INVAL, "vmlinuz", "is empty");
}

static void a_short_last_paragraph_is_no_truncation(void **state)
{
	(void)state;
	for (uint64_t size = BZ_SETUP + BZ_CODE - 1; size > BZ_SETUP + BZ_CODE - 16; size--) {
		image_cut(&bz, size);
		expect_loaded();
		assert_memory_equal(rig_at(0x1000000, size - BZ_SETUP), bz.data + BZ_SETUP, size - BZ_SETUP);
	}
	image_cut(&bz, BZ_SETUP + BZ_CODE - 16); /* nothing of the last paragraph */
	expect_refused(-E_INVAL, "vmlinuz", "is truncated");
}

static void setup_sects_0_means_4(void **state)
{
	(void)state;
	bz_header(bz)->setup_sects = 0;
	bz_header(bz)->syssize = (BZ_CODE - 512) / 16;
	expect_loaded();
	assert_memory_equal(rig_at(0x1000000, BZ_CODE - 512), bz.data + BZ_SETUP + 512, BZ_CODE - 512);
	image_cut(&bz, BZ_SETUP + BZ_CODE - 15);
	expect_loaded();
	image_cut(&bz, BZ_SETUP + BZ_CODE - 16);
	expect_refused(-E_INVAL, "vmlinuz", "is truncated");
}

static void syssize_says_nothing_before_2_04(void **state)
{
	(void)state;
	bz_header(bz)->version = LINUX_PROTOCOL(2, 3);
	bz_header(bz)->syssize = 0x12340000 | 0xffff; /* the upper half was the swap device's number */
	expect_loaded();
	bz_header(bz)->version = LINUX_PROTOCOL(2, 4);
	expect_refused(-E_INVAL, "vmlinuz", "is truncated");
}

static void what_is_no_bzimage_is_refused(void **state)
{
	struct linux_setup_header *h = bz_header(bz);

	(void)state;
	h->header++;
	expect_refused(-E_INVAL, "vmlinuz", "neither a Linux bzImage nor a multiboot kernel");
	rig.conf.format = FORMAT_LINUX;
	expect_refused(-E_INVAL, "vmlinuz", "no \"HdrS\"");
	rig.conf.format = FORMAT_AUTO;
	h->header--;
	h->boot_flag = 0;
	expect_refused(-E_INVAL, "vmlinuz", "damaged");
	h->boot_flag = LINUX_BOOT_FLAG;
	h->version = LINUX_PROTOCOL(2, 1);
	expect_refused(-E_NOSUP, "vmlinuz", "speaks boot protocol 2.01");
	h->version = LINUX_PROTOCOL(2, 15);
	h->loadflags = 0;
	expect_refused(-E_NOSUP, "vmlinuz", "zImage");
	h->loadflags = LINUX_LOADED_HIGH;
	h->jump = 0xeb; /* a header that ends before it begins */
	expect_refused(-E_INVAL, "vmlinuz", "setup header is truncated");
	h->jump = 0xeb | 0x6a << 8;
	h->kernel_alignment = 0;
	expect_refused(-E_INVAL, "vmlinuz", "no power of two");
	h->kernel_alignment = 3;
	expect_refused(-E_INVAL, "vmlinuz", "no power of two");
	h->kernel_alignment = 0x80000000;
	expect_refused(-E_NOMEM, "vmlinuz", "raise memory =");
	h->kernel_alignment = 0x1000;
	h->syssize = UINT32_MAX;
	expect_refused(-E_INVAL, "vmlinuz", "is truncated: its header speaks of at least 68719478753 bytes");
}

static void a_module_is_not_for_linux(void **state)
{
	(void)state;
	rig.p.module[0] = (struct load_file){ "a.mod", "x", 1 };
	expect_refused(-E_INVAL, "a.mod", "say initrd = instead");
}

static void a_missing_kernel_is_named(void **state)
{
	(void)state;
	assert_int_equal(rig_load(), -E_NOENT);
	assert_string_equal(rig.why, "VM vm has no kernel: add kernel = FILE to its section");
}

static void debians_kernel_is_taken(void **state)
{
	FILE *f = fopen("build/setup/demo/vmlinuz", "rb");
	struct linux_setup_header *h;
	struct linux_boot_params zp;
	uint64_t setup;
	long size;

	(void)state;
	if (!f)
		skip();
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	free(bz.data);
	bz = image_new(size);
	assert_int_equal(fread(bz.data, 1, size, f), size);
	fclose(f);
	rig_open(512 * MiB);
	give_initrd(2 * MiB);
	expect_loaded();

	h = bz_header(bz);
	setup = (h->setup_sects + 1) * 512;
	assert_int_equal(rig.start.regs.rip, h->pref_address + 0x200);
	assert_memory_equal(rig_at(h->pref_address, bz.size - setup), bz.data + setup, bz.size - setup);
	zp = zero_page();
	assert_memory_equal(&zp.hdr.payload_offset, &h->payload_offset, 8);
	assert_int_equal(initrd_at(zp), 510 * MiB);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_64_bit_kernel_starts_as_the_protocol_says),
		TEST(all_memory_below_4_gib_is_mapped_one_to_one),
		TEST(the_zero_page_says_what_the_guest_has),
		TEST(the_initrd_lies_at_the_end_of_ram),
		TEST(the_initrd_stays_below_initrd_addr_max),
		TEST(the_initrd_goes_above_4_gib_if_it_must_and_may),
		TEST(the_initrd_keeps_out_of_the_room_the_kernel_unpacks_into),
		TEST(an_initrd_larger_than_memory_is_refused),
		TEST(a_kernel_too_large_for_memory_is_refused),
		TEST(a_relocatable_kernel_is_aligned_and_never_below_1_mib),
		TEST(a_fixed_kernel_lies_where_it_says_or_is_refused),
		TEST(without_a_64_bit_entry_the_32_bit_one_is_taken),
		TEST(a_64_bit_kernel_is_told_before_it_is_loaded),
		TEST(only_a_kernel_without_64_bit_entry_may_want_a_bios),
		TEST(old_protocols_have_their_defaults),
		TEST(a_command_line_too_long_is_refused),
		TEST(truncated_files_are_refused),
		TEST(a_short_last_paragraph_is_no_truncation),
		TEST(setup_sects_0_means_4),
		TEST(syssize_says_nothing_before_2_04),
		TEST(what_is_no_bzimage_is_refused),
		TEST(a_module_is_not_for_linux),
		TEST(a_missing_kernel_is_named),
		TEST(debians_kernel_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
