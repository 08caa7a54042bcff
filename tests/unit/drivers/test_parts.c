/* SPDX-License-Identifier: MIT */
/* The pure parts of the hardware's drivers: rates of clocks, the walk over PCI buses, what power-off writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "drivers/console/serial.h"
#include "drivers/lapic.h"
#include "drivers/pci.h"
#include "drivers/power.h"
#include "drivers/time.h"

static void a_deadline_timer_needs_its_microcode(void **s)
{
	static const struct {
		uint32_t signature, least;
	} cpus[] = {
		{ 0x306c3, 0x22 },
		{ 0x306f2, 0x3a },
		{ 0x306f3, 0 },
		{ 0x306f4, 0x0f },
		{ 0x40651, 0x20 },
		{ 0x40661, 0x17 },
		{ 0x306d4, 0x25 },
		{ 0x40671, 0x17 },
		{ 0x406f1, 0x0b000020 },
		{ 0x50661, 0 },
		{ 0x50662, 0x11 },
		{ 0x50663, 0x0700000e },
		{ 0x50664, 0x0f00000c },
		{ 0x50665, 0x0e000003 },
		{ 0x50653, 0x01000136 },
		{ 0x50654, 0x02000014 },
		{ 0x50657, 0 } /* Cascade Lake */,
		{ 0x406e3, 0xb2 },
		{ 0x506e3, 0xb2 },
		{ 0x806e9, 0x52 },
		{ 0x906e9, 0x52 },
		{ 0x706e5, 0 } /* Ice Lake */,
		{ 0x306a9, 0 } /* Ivy Bridge */,
		{ 0x506c9, 0 } /* Goldmont */,
		{ 0xf43, 0 },
		{ 0x1306c3, 0 },
	};

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
		uint32_t sig = cpus[i].signature, least = cpus[i].least;

		assert_int_equal(lapic_deadline_microcode(sig), least);
		assert_int_equal(lapic_deadline_wrong(sig, 1), least > 1);
		assert_int_equal(lapic_deadline_wrong(sig, least ? least - 1 : UINT32_MAX), least != 0);
		assert_false(lapic_deadline_wrong(sig, least));
		assert_false(lapic_deadline_wrong(sig, 0));
	}
}

static void rate_from_a_run(void **s)
{
	(void)s;
	/* 5 ms of a 3.579545 MHz timer, in which a 2.4 GHz TSC counted. */
	assert_int_equal(tsc_hz_from_run(12000000, 17897, 3579545) / 1000000, 2400);
	assert_int_equal(tsc_hz_from_run(12000000, 0, 3579545), 0);
	/* Two looks of 1000 ticks in a run of 10^7. */
	assert_int_equal(tsc_uncertain(2000000000, 1000, 10000000), 200000);
	assert_int_equal(tsc_uncertain(2000000000, 1000, 0), UINT64_MAX);
}

static void median_ignores_outliers(void **s)
{
	uint64_t v[] = { 5, 900, 4, 6, 1 }, one[] = { 7 };

	(void)s;
	assert_int_equal(median_u64(v, 5), 5);
	assert_int_equal(median_u64(one, 1), 7);
	assert_int_equal(median_u64(one, 0), 0);
}

static void products_of_128_bits(void **s)
{
	(void)s;
	assert_int_equal(mul_div_u64(UINT64_MAX, 10, 10), UINT64_MAX);
	assert_int_equal(mul_div_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_int_equal(mul_div_u64(1ull << 63, 6, 4), 0xc000000000000000);
	assert_int_equal(mul_div_u64(UINT64_MAX, 2, 1), UINT64_MAX); /* too large: the largest */
	assert_int_equal(mul_div_u64(1, 1, 0), UINT64_MAX);
}

static void s5_keeps_the_other_bits(void **s)
{
	(void)s;
	assert_int_equal(power_pm1(0x0001, 5, false), 0x1401);
	assert_int_equal(power_pm1(0x3c01, 5, true), 0x3401);
	assert_int_equal(power_pm1(0xc3ff, 7, false), 0xdfff);
}

/* ---- a machine of PCI functions ---- */

static struct {
	uint8_t bus, dev, fn, header, secondary;
	uint16_t vendor;
	uint32_t class;
} machine[] = {
	{ 0, 0, 0, 0, 0, 0x8086, 0x06000002 },
	{ 0, 1, 0, 0x81, 1, 0x8086, 0x06040000 }, /* bridge, multi-function */
	{ 0, 1, 3, 0x01, 2, 0x8086, 0x06040000 },
	{ 0, 2, 0, 0x00, 0, 0x10de, 0x03000001 },
	{ 0, 2, 1, 0x00, 0, 0x10de,
		0x04030001 }, /* never seen: function 0 does not say that there are more */
	{ 0, 5, 2, 0x00, 0, 0x10de, 0x04030001 }, /* nor this: no function 0 */
	{ 1, 0, 0, 0x00, 0, 0x1af4, 0x02000000 },
	{ 2, 4, 0, 0x01, 0, 0x1b36, 0x06040000 }, /* leads back to bus 0 */
	{ 2, 31, 0, 0x80, 0, 0x144d, 0x01080200 },
	{ 2, 31, 7, 0x00, 0, 0x144d, 0x01080200 },
};

static uint32_t read_machine(struct pci_addr at, unsigned offset, unsigned bytes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(machine); i++) {
		if (at.bus != machine[i].bus || at.dev != machine[i].dev || at.fn != machine[i].fn ||
			at.segment != 3)
			continue;
		switch (offset) {
		case 0:
			return machine[i].vendor | i << 16;
		case 8:
			return machine[i].class;
		case 0x0e:
			return machine[i].header;
		case 0x19:
			return machine[i].secondary;
		}
		fail_msg("offset %x", offset);
	}
	return 0xffffffff >> (32 - 8 * bytes);
}

static unsigned seen[16], nseen, stop_after;

static bool see(void *ctx, const struct pci_function *f)
{
	(void)ctx;
	assert_int_equal(f->at.segment, 3);
	assert_int_equal(f->vendor, machine[f->device].vendor);
	assert_int_equal(f->class, machine[f->device].class >> 24);
	assert_int_equal(f->subclass, machine[f->device].class >> 16 & 0xff);
	seen[nseen++] = f->device;
	return nseen != stop_after;
}

static void pci_walk_finds_each_function_once(void **s)
{
	static const unsigned want[] = { 0, 1, 2, 3, 6, 7, 8, 9 };

	(void)s;
	nseen = 0;
	stop_after = 0;
	assert_int_equal(pci_walk_segment(read_machine, 3, (uint8_t[]){ 0 }, 1, see, NULL), ARRAY_SIZE(want));
	assert_memory_equal(seen, want, sizeof(want));
	nseen = 0;
	stop_after = 5;
	assert_int_equal(pci_walk_segment(read_machine, 3, (uint8_t[]){ 0 }, 1, see, NULL), 5);
}

/* A second socket's buses are behind no bridge of the first; firmware's DMAR table names where they begin. */
static void roots_of_a_second_socket_are_walked(void **s)
{
	static struct acpi a = { .ndrhd = 3,
		.drhd = { { .nscopes = 2, .segment = 3, .scope = { { .bus = 2 }, { .bus = 0 } } },
			{ .nscopes = 1, .segment = 3, .scope = { { .bus = 1 } } },
			{ .nscopes = 1, .segment = 4, .scope = { { .bus = 9 } } } } };
	uint8_t roots[PCI_ROOTS_MAX];

	(void)s;
	assert_int_equal(pci_roots(&a, 3, 0, 255, roots), 3);
	assert_true(roots[0] == 0 && roots[1] == 2 && roots[2] == 1);
	nseen = 0;
	stop_after = 0;
	machine[1].header = 0; /* no bridge to buses 1 and 2 any more */
	assert_int_equal(pci_walk_segment(read_machine, 3, roots, 3, see, NULL), 7);
	machine[1].header = 0x81;
	assert_int_equal(pci_roots(&a, 3, 0, 1, roots), 2);
	assert_int_equal(pci_roots(&a, 0, 0, 255, roots), 1);
	a.ndrhd = ACPI_DRHD_MAX;
	for (unsigned i = 0; i < ACPI_DRHD_MAX; i++) {
		a.drhd[i] = (struct acpi_drhd){ .nscopes = ACPI_SCOPE_MAX };
		for (unsigned j = 0; j < ACPI_SCOPE_MAX; j++)
			a.drhd[i].scope[j].bus = (uint8_t)(1 + i);
	}
	assert_int_equal(pci_roots(&a, 0, 0, 255, roots), PCI_ROOTS_MAX);
}

/* Every function of every device is a bridge to some bus: each bus is walked once, and it ends. */
static uint32_t read_maze(struct pci_addr at, unsigned offset, unsigned bytes)
{
	(void)bytes;
	return offset == 0x0e	? 0x81
	       : offset == 0x19 ? (uint8_t)(at.bus * 37 + at.dev * 8 + at.fn)
				: 0x12345678;
}

static bool count(void *ctx, const struct pci_function *f)
{
	(void)f;
	++*(unsigned *)ctx;
	return true;
}

static void a_walk_of_circular_bridges_ends(void **s)
{
	unsigned n = 0;

	(void)s;
	assert_int_equal(pci_walk_segment(read_maze, 0, (uint8_t[]){ 0 }, 1, count, &n), 256 * 32 * 8);
	assert_int_equal(n, 256 * 32 * 8);
}

static void classes_have_names(void **s)
{
	(void)s;
	assert_string_equal(pci_class_name(1, 8), "storage: NVMe");
	assert_string_equal(pci_class_name(1, 0x42), "storage");
	assert_string_equal(pci_class_name(0xee, 0), "unknown");
}

/* What firmware needs for its system-management mode is not taken from it. */
static void entries_that_raise_smis_are_kept(void **s)
{
	(void)s;
	assert_true(lapic_entry_is_smi(0x200));	   /* the thermal sensor's, on laptops */
	assert_true(lapic_entry_is_smi(0xa2ff));   /* level, active low, a vector that does not matter */
	assert_false(lapic_entry_is_smi(0x10200)); /* masked */
	assert_false(lapic_entry_is_smi(0x10000)); /* as after a reset */
	assert_false(lapic_entry_is_smi(0xfa));	   /* fixed, the firmware's own handler */
	assert_false(lapic_entry_is_smi(0x400));   /* NMI */
	assert_false(lapic_entry_is_smi(0x500));
	assert_false(lapic_entry_is_smi(0x700)); /* the 8259s */
}

static uint32_t config[64];

static uint32_t read_config(struct pci_addr at, unsigned offset, unsigned bytes)
{
	assert_true(bytes == 4 && offset < 256);
	return config[offset / 4];
}

static void bars_of_a_pci_uart(void **s)
{
	struct pci_addr at = { 0 };
	struct pci_bar b;

	(void)s;
	memset(config, 0, sizeof(config));
	assert_int_equal(pci_bar(read_config, at, 0).base, 0);
	config[4] = 0xffffffff; /* nothing answers */
	assert_int_equal(pci_bar(read_config, at, 0).base, 0);
	config[4] = 0xf0e1; /* serial-over-LAN: ports */
	b = pci_bar(read_config, at, 0);
	assert_true(b.io && b.base == 0xf0e0);
	config[4] = 0xfe030000;
	b = pci_bar(read_config, at, 0);
	assert_true(!b.io && b.base == 0xfe030000);
	config[4] = 0x17004004; /* 64 bits wide, prefetchable or not */
	config[5] = 0x60;
	b = pci_bar(read_config, at, 0);
	assert_true(!b.io && b.base == 0x6017004000);
	config[9] = 0x4; /* the last one cannot be the first half of two */
	assert_int_equal(pci_bar(read_config, at, 5).base, 0);
	assert_int_equal(pci_bar(read_config, at, 6).base, 0);
}

static void uarts_are_known_by_their_class(void **s)
{
	(void)s;
	assert_true(serial_is_pci_uart(&(struct pci_function){ .class = 7, .prog_if = 2 }));
	assert_true(serial_is_pci_uart(&(struct pci_function){ .class = 7 }));
	assert_false(serial_is_pci_uart(&(struct pci_function){ .class = 7, .prog_if = 7 }));
	assert_false(serial_is_pci_uart(&(struct pci_function){ .class = 7, .subclass = 0x80 }));
	assert_false(serial_is_pci_uart(
		&(struct pci_function){ .class = 7, .subclass = 1 })); /* a parallel port */
	assert_false(serial_is_pci_uart(&(struct pci_function){ .class = 2 }));
	assert_false(serial_is_pci_uart(&(struct pci_function){ .class = 7, .header = 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deadline_timer_needs_its_microcode),
		cmocka_unit_test(rate_from_a_run),
		cmocka_unit_test(median_ignores_outliers),
		cmocka_unit_test(products_of_128_bits),
		cmocka_unit_test(s5_keeps_the_other_bits),
		cmocka_unit_test(pci_walk_finds_each_function_once),
		cmocka_unit_test(roots_of_a_second_socket_are_walked),
		cmocka_unit_test(a_walk_of_circular_bridges_ends),
		cmocka_unit_test(classes_have_names),
		cmocka_unit_test(bars_of_a_pci_uart),
		cmocka_unit_test(uarts_are_known_by_their_class),
		cmocka_unit_test(entries_that_raise_smis_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
