/* SPDX-License-Identifier: MIT */
/* Loaders on the real guest memory: slots with RAM behind them, as hv/ lays them out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guest/dev/layout.h"
#include "guest/load/loader.h"
#include "lib/cpu_id.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/guest_memory.h"
#include "tests/support/rig/load_images.h"

static struct mmu *mmu;
static struct guest_layout layout;
static struct conf_vm conf;
static struct image image;
static struct vcpu_state start;
static char why[256];

static int setup(void **state)
{
	(void)state;
	guest_memory_open(128 * MiB, 1);
	mmu = guest_memory.mmu;
	assert_int_equal(layout_init(&layout, 33 * MiB + 4096), 0);
	guest_memory_add(0, LAYOUT_VGA);
	guest_memory_add(LAYOUT_BIOS_END, layout.low_end);
	memset(&conf, 0, sizeof(conf));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image.data);
	guest_memory_close();
	return 0;
}

static int load(const char *name)
{
	const struct load_params p = { .conf = &conf,
		.mmu = mmu,
		.layout = &layout,
		.rsdp = 0xe0000,
		.kernel = { name, image.data, image.size } };

	return guest_load(&p, &start, why, sizeof(why));
}

static void a_linux_kernel_reaches_guest_memory(void **state)
{
	static uint8_t code[BZ_CODE];
	struct linux_boot_params zp;

	(void)state;
	image = bz_new();
	strcpy(conf.cmdline, "quiet");
	if (load("vmlinuz"))
		fail_msg("%s", why);
	assert_int_equal(guest_read(mmu, gpa(start.regs.rip - 0x200), code, sizeof(code)), 0);
	assert_memory_equal(code, image.data + BZ_SETUP, sizeof(code));
	assert_int_equal(guest_read(mmu, gpa(start.regs.gpr[RSI]), &zp, sizeof(zp)), 0);
	assert_int_equal(zp.hdr.header, LINUX_MAGIC);
	assert_int_equal(guest_read(mmu, gpa(zp.hdr.cmd_line_ptr), code, 6), 0);
	assert_string_equal((char *)code, "quiet");
}

static void a_multiboot_kernel_reaches_the_last_page_of_memory(void **state)
{
	uint8_t byte;

	(void)state;
	image = elf32_new(0);
	elf32_segment(image, 1)->paddr = layout.low_end - 0x1000;
	if (load("kernel.elf"))
		fail_msg("%s", why);
	assert_int_equal(guest_read(mmu, gpa(layout.low_end - 0x1000), &byte, 1), 0);
	assert_int_equal(byte, 0x22);
}

static void memory_that_is_not_backed_is_said_to_be_our_fault(void **state)
{
	(void)state;
	image = elf32_new(0);
	layout.low_end += 0x1000;
	elf32_segment(image, 1)->paddr = layout.low_end - 0x1000;
	assert_int_equal(load("kernel.elf"), -E_FAULT);
	assert_non_null(strstr(why, "a bug of Lethe"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_linux_kernel_reaches_guest_memory),
		TEST(a_multiboot_kernel_reaches_the_last_page_of_memory),
		TEST(memory_that_is_not_backed_is_said_to_be_our_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
