/* SPDX-License-Identifier: MIT */
/* The platform on real guest memory: its slots, the ACPI tables, the text screen, what ends a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/fakes/guest_memory.h"
#include "tests/support/rig/guest_tables.h"

static struct mmu *mmu;
static struct fake_vm *f;
static uint64_t owned_before;

static int setup(void **state)
{
	guest_memory_open(64 * MiB, 3);
	guest_memory_add(0, LAYOUT_VGA);
	mmu = guest_memory.mmu;
	owned_before = frames_owned(OWNER_LETHE);
	f = fake_vm_open(3, mmu);
	return 0;
}

static int teardown(void **state)
{
	guest_memory_destroy_mmu();
	fake_vm_close(f);
	assert_int_equal(frames_owned(OWNER_LETHE), owned_before); /* nothing leaks */
	guest_memory_close();
	return 0;
}

/* ---- tables ---- */

static const uint8_t *write_tables(void)
{
	return tables_write(f->p, mmu);
}

static void acpi_tables_refer_to_one_another(void **state)
{
	const uint8_t *rsdp = write_tables();
	const uint8_t *rsdt = table(get(rsdp + 16, 4), "RSDT"), *xsdt = table(get(rsdp + 24, 8), "XSDT"),
		      *fadt, *dsdt;

	assert_int_equal(get(rsdt + 4, 4), 36 + 2 * 4);
	assert_int_equal(get(xsdt + 4, 4), 36 + 2 * 8);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(get(rsdt + 36 + 4 * i, 4), get(xsdt + 36 + 8 * i, 8));
	fadt = table(get(xsdt + 36, 8), "FACP");
	assert_int_equal(get(fadt + 4, 4), 276);
	dsdt = table(get(fadt + 40, 4), "DSDT");
	assert_ptr_equal(dsdt, table(get(fadt + 140, 8), "DSDT"));
	assert_int_equal(get(fadt + 46, 2), VACPI_SCI);
	assert_int_equal(get(fadt + 76, 4), VACPI_PM_TIMER);
	assert_int_equal(get(fadt + 116 + 4, 8), VACPI_RESET_PORT);
	assert_int_equal(fadt[128], VACPI_RESET_VALUE);
}

static void facs_lies_in_ram_and_the_rsdp_has_a_copy(void **state)
{
	const uint8_t *rsdp = write_tables(),
		      *fadt = table(get(table(get(rsdp + 24, 8), "XSDT") + 36, 8), "FACP");
	uint64_t facs = get(fadt + 36, 4);
	uint8_t ram[64];

	assert_int_equal(get(fadt + 132, 8), facs); /* X_FIRMWARE_CTRL */
	assert_int_equal(facs & 63, 0);
	assert_int_equal(guest_read(mmu, gpa(facs), ram, 64), 0);
	assert_memory_equal(ram, "FACS", 4);
	assert_int_equal(
		guest_write(mmu, gpa(facs + 16), "\1", 1), 0); /* the global lock is the OS's to write */
	assert_int_equal(guest_read(mmu, gpa(LAYOUT_EBDA + 16), ram, 36), 0);
	assert_memory_equal(ram, rsdp, 36);
}

static void madt_names_every_vcpu_and_the_overrides(void **state)
{
	const uint8_t *madt = tables_madt(write_tables());
	unsigned cpus = 0, ioapics = 0, overrides = 0;

	assert_int_equal(get(madt + 36, 4), LAYOUT_LAPIC);
	for (const uint8_t *e = madt + 44; e < madt + get(madt + 4, 4); e += e[1]) {
		assert_in_range(e[1], 6, 12);
		if (e[0] == 0) {
			assert_int_equal(e[3], cpus);
			assert_int_equal(get(e + 4, 4), 1);
			cpus++;
		} else if (e[0] == 1) {
			assert_int_equal(get(e + 4, 4), LAYOUT_IOAPIC);
			ioapics++;
		} else if (e[0] == 2) {
			assert_true(
				(e[3] == 0 && e[4] == 2) || (e[3] == 9 && e[4] == 9 && get(e + 8, 2) == 0xd));
			overrides++;
		}
	}
	assert_int_equal(cpus, 3);
	assert_int_equal(ioapics, 1);
	assert_int_equal(overrides, 2);
}

/* ---- memory ---- */

static void the_bios_is_read_only(void **state)
{
	uint64_t v;

	assert_int_equal(guest_write(mmu, gpa(LAYOUT_BIOS), "x", 1), -E_FAULT);
	assert_int_equal(guest_write_rom(mmu, gpa(LAYOUT_BIOS_END - 1), "x", 1), 0);
	assert_int_equal(guest_write(mmu, gpa(LAYOUT_VGA_TEXT + VVGA_BYTES - 1), "x", 1), 0);
	assert_int_equal(guest_write(mmu, gpa(LAYOUT_VGA), "x", 1), -E_FAULT);
	/* No option ROM is there: memory without a VM exit, and what an empty bus would show. */
	assert_int_equal(guest_write(mmu, gpa(LAYOUT_ROMS), "x", 1), -E_FAULT);
	for (uint64_t at = LAYOUT_ROMS; at < LAYOUT_BIOS; at += sizeof(v)) {
		assert_int_equal(guest_read(mmu, gpa(at), &v, sizeof(v)), 0);
		assert_true(v == ~0ull);
	}
}

static void a_failed_creation_leaves_nothing_behind(void **state)
{
	struct platform_params params = { .ops = f->p->ops,
		.vm = f,
		.mmu = mmu,
		.vcpus = 1,
		.tsc_hz = FAKE_TSC_HZ,
		.maxphyaddr = FAKE_MAXPHYADDR,
		.apic_page = { f->apic_page[0] } };
	uint64_t owned = frames_owned(OWNER_LETHE);
	struct platform *other;

	assert_int_equal(platform_create(&params, &other), -E_EXIST); /* the slots are there already */
	assert_int_equal(frames_owned(OWNER_LETHE), owned);
	params.tsc_hz = 1000;
	assert_int_equal(platform_create(&params, &other), -E_INVAL);
	params.tsc_hz = FAKE_TSC_HZ;
	params.vcpus = 0;
	assert_int_equal(platform_create(&params, &other), -E_INVAL);
	params.vcpus = 1;
	params.maxphyaddr = 53;
	assert_int_equal(platform_create(&params, &other), -E_INVAL);
	assert_int_equal(frames_owned(OWNER_LETHE), owned);
}

/* ---- the screen ---- */

static void print_at(unsigned cell, const char *text)
{
	for (; *text; text++, cell++) {
		const uint8_t pair[2] = { (uint8_t)*text, 0x07 };

		assert_int_equal(guest_write(mmu, gpa(LAYOUT_VGA_TEXT + cell * 2 % VVGA_BYTES), pair, 2), 0);
	}
}

static void crtc(uint8_t reg, uint8_t value)
{
	platform_pio_write(f->p, 0, 0x3d4, 2, (uint32_t)(value << 8 | reg));
}

static void the_screen_is_shown_once_something_is_on_it(void **state)
{
	fake_vm_advance(f, 5 * SEC);
	assert_int_equal(f->out_n, 0);
	print_at(0, "     ");
	fake_vm_advance(f, 1 * SEC);
	assert_int_equal(f->out_n, 0);
	print_at(85, "booting the kernel");
	fake_vm_advance(f, 1 * SEC);
	assert_non_null(strstr(f->out, "\033[2;6H"));
	assert_non_null(strstr(f->out, "booting the kernel"));
}

static void the_rate_is_bounded(void **state)
{
	char line[81] = { 0 };

	print_at(0, "x");
	fake_vm_advance(f, 1 * SEC);
	f->out_n = f->writes = 0;
	for (unsigned i = 0; i < 1000; i++) {
		memset(line, 'a' + (int)i % 26, 80);
		for (unsigned row = 0; row < 25; row++)
			print_at(80 * row, line);
		fake_vm_advance(f, 1 * MSEC);
	}
	/* Pieces of a change that is too large for one; the end of the ring may tear one in two. */
	assert_in_range(f->writes, 15, 2 * 241);
	assert_in_range(f->out_n, 1000, 115200 / 10);
}

/* Leaves the letters of what was written: a long change comes in pieces, between which the cursor jumps over blanks. */
static void keep_letters(void)
{
	size_t n = 0;

	for (size_t i = 0; i < f->out_n; i++)
		if (f->out[i] == '\033')
			while (i + 1 < f->out_n && (f->out[++i] == '[' || f->out[i] < '@'))
				;
		else if (f->out[i] != ' ')
			f->out[n++] = f->out[i];
	f->out[n] = 0;
	f->out_n = n;
}

static void scrolling_by_start_address_wraps(void **state)
{
	unsigned start = VVGA_BYTES / 2 - 40;

	print_at(start, "the first line ends here, and the screen goes on");
	crtc(0x0c, (uint8_t)(start >> 8));
	crtc(0x0d, (uint8_t)start);
	fake_vm_advance(f, 2 * SEC);
	keep_letters();
	assert_non_null(strstr(f->out, "thefirstlineendshere,andthescreengoeson"));
}

static void graphics_are_not_text(void **state)
{
	platform_pio_write(f->p, 0, 0x3ce, 2, 0x0506);
	print_at(0, "pixels");
	fake_vm_advance(f, 2 * SEC);
	assert_int_equal(f->out_n, 0);
}

static void what_was_printed_last_is_not_lost(void **state)
{
	char line[81] = { 0 };

	memset(line, '#', 80);
	for (unsigned row = 0; row < 24; row++)
		print_at(80 * row, line);
	print_at(24 * 80, "panic: out of tests");
	platform_pio_write(f->p, 0, 0x3f8, 1, '!');
	platform_pio_write(f->p, 0, 0xf4, 1, 0);
	assert_int_equal(f->end, VM_END_DEBUG_EXIT);
	for (unsigned pieces = 1; !platform_console_finish(f->p); pieces++)
		assert_in_range(pieces, 1, 100);
	assert_non_null(strstr(f->out, "panic: out of tests"));
	assert_non_null(strchr(f->out, '!'));
}

static void typing_is_seen_soon(void **state)
{
	print_at(0, "login:");
	fake_vm_advance(f, 20 * SEC);
	f->in = "r";
	platform_console_input(f->p);
	assert_int_equal(inb(f, 0x60), 0x13);
	print_at(7, "r"); /* the guest's echo */
	f->out_n = 0;
	fake_vm_advance(f, 60 * MSEC);
	assert_true(f->out_n > 0);
}

/* ---- layout, start states ---- */

static void layouts_hold_all_ram_and_do_not_overlap(void **state)
{
	struct e820_row rows[LAYOUT_ROWS_MAX];
	struct guest_layout l;
	const uint64_t sizes[] = { 2 * MiB, 64 * MiB, 3 * GiB, 3 * GiB + 4 * KiB, 16 * GiB };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t ram = 0, end = 0;
		unsigned n;

		assert_int_equal(layout_init(&l, sizes[i]), 0);
		assert_true(l.low_end <= LAYOUT_LOW_MAX);
		n = layout_e820(&l, rows);
		assert_in_range(n, 6, LAYOUT_ROWS_MAX);
		for (unsigned r = 0; r < n; r++) {
			assert_true(rows[r].base >= end && rows[r].size);
			end = rows[r].base + rows[r].size;
			ram += rows[r].type == E820_RAM ? rows[r].size : 0;
		}
		assert_true(ram + (LAYOUT_BIOS_END - LAYOUT_EBDA) == sizes[i]);
	}
	assert_int_equal(layout_init(&l, 1 * MiB), -E_RANGE);
	assert_int_equal(layout_init(&l, 2 * MiB + 1), -E_RANGE);
	assert_int_equal(layout_init(&l, ~0xfffull), -E_RANGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(acpi_tables_refer_to_one_another),
		T(facs_lies_in_ram_and_the_rsdp_has_a_copy),
		T(madt_names_every_vcpu_and_the_overrides),
		T(the_bios_is_read_only),
		T(a_failed_creation_leaves_nothing_behind),
		T(the_screen_is_shown_once_something_is_on_it),
		T(the_rate_is_bounded),
		T(scrolling_by_start_address_wraps),
		T(graphics_are_not_text),
		T(what_was_printed_last_is_not_lost),
		T(typing_is_seen_soon),
		cmocka_unit_test(layouts_hold_all_ram_and_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
