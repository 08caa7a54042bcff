/* SPDX-License-Identifier: MIT */
/* Ranges of ports and memory on the bus, ports without a device, and how much of them is logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/rig/device_rig.h"

static void debug_exit(void **state)
{
	platform_pio_write(f->p, 0, 0xf4, 4, 0x21);
	assert_int_equal(f->end, VM_END_DEBUG_EXIT);
	assert_int_equal(f->code, 0x43);
}

static void holes_read_all_ones_and_are_counted(void **state)
{
	struct platform_stats s;

	assert_int_equal(inb(f, 0x2f8), 0xff);
	assert_int_equal(platform_pio_read(f->p, 0, 0x2f8, 2), 0xffff);
	assert_int_equal(
		platform_pio_read(f->p, 0, 0xffff, 4), 0xff); /* wraps around to the DMA controller */
	outb(f, 0x1f7, 0x20);
	assert_true(platform_mmio_read(f->p, 0, gpa(0xc8000), 8) == ~0ull);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(~0ull), 1), 0xff);
	platform_mmio_write(f->p, 0, gpa(0xfed00000), 4, 0);
	platform_stats(f->p, &s);
	assert_int_equal(s.pio_holes, 4);
	assert_int_equal(s.mmio_holes, 3);
}

static void legacy_ports_are_no_holes(void **state)
{
	static const uint16_t ports[] = { 0x80, 0x81, 0x8f, 0xed, 0xf0, 0x00, 0x0d, 0xc0, 0xd4, 0xe9, 0x92,
		0x61 };
	struct platform_stats s;

	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		if (ports[i] != 0x92)
			outb(f, ports[i], 0);
		inb(f, ports[i]);
	}
	outb(f, 0x81, 0x42);
	assert_int_equal(inb(f, 0x81), 0x42);
	assert_int_equal(inb(f, 0xe9), 0xe9);
	platform_stats(f->p, &s);
	assert_int_equal(s.pio_holes, 0);
}

static unsigned logged;
static char last_line[200];

static void count_line(struct log_sink *sink, const char *text, size_t n)
{
	assert_true(n < sizeof(last_line));
	memcpy(last_line, text, n);
	last_line[n] = 0;
	logged++;
}

/* Counts from 0. A sink is there for good. */
static void count_lines(void)
{
	static struct log_sink sink = { .write = count_line };
	static bool added;

	if (!added)
		log_add_sink(&sink);
	added = true;
	logged = 0;
}

static void debug_lines(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (const char *c = "\033a\r\n"; *c; c++)
			outb(f, 0xe9, (uint8_t)*c);
}

static void debug_port_floods_the_log(void **state)
{
	count_lines();
	debug_lines(32);
	assert_int_equal(logged, 32);
	assert_non_null(strstr(last_line, ": a\n"));
	debug_lines(1000);
	assert_int_equal(logged, 33);
	assert_non_null(strstr(last_line, "more than 32 lines to port 0xe9 in a second"));
	fake_vm_advance(f, SEC - 1);
	debug_lines(1000);
	assert_int_equal(logged, 33);
	fake_vm_advance(f, 1);
	debug_lines(1);
	assert_int_equal(logged, 34);
	assert_non_null(strstr(last_line, ": a\n"));
}

/* Whatever else the platform refuses with a line is refused in silence from the second time on. */
static void refusals_flood_the_log(void **state)
{
	count_lines();
	for (unsigned round = 0; round < 100; round++)
		for (unsigned type = 0; type < 8; type++) {
			if (type != VACPI_S5)
				platform_pio_write(
					f->p, 0, VACPI_PM1_CONTROL, 2, type << 10 | (unsigned)BIT(13));
			irq_msi(&f->p->interrupts, 0xfee00000, 0x700); /* ExtINT */
		}
	assert_int_equal(f->ended, 0);
	assert_int_equal(logged, 7 + 1);
}

static void ranges_never_overlap(void **state)
{
	static struct bus_range r[BUS_MMIO_RANGES];
	struct bus_range two = { .base = BUS_OFF, .size = 2, .sizes = BUS_1 };
	const struct bus_range *last = NULL;
	struct bus *bus = &f->p->bus;

	assert_int_equal(bus_add_port(bus, &two, 0x3ff), -E_EXIST);
	assert_int_equal(bus_add_port(bus, &two, 0xffff), -E_RANGE);
	assert_int_equal(bus_add_mmio(bus, &two, LAYOUT_IOAPIC + 0xfff), -E_EXIST);
	assert_int_equal(bus_add_mmio(bus, &two, ~0ull), -E_RANGE);
	assert_int_equal(bus_add_mmio(bus, &two, BUS_OFF - 1), -E_RANGE);
	for (unsigned i = 0; i < BUS_MMIO_RANGES; i++)
		r[i] = (struct bus_range){ .base = BUS_OFF, .size = 0x1000, .sizes = BUS_ANY };
	for (unsigned i = 0; i < BUS_MMIO_RANGES - 1; i++) {
		uint64_t base = 0xe0000000 - i * 0x2000;

		assert_int_equal(bus_add_mmio(bus, &r[i], base), 0);
		assert_ptr_equal(bus_mmio(bus, base + 0xfff, &last), &r[i]);
		assert_null(bus_mmio(bus, base + 0x1000, &last));
	}
	assert_int_equal(bus_add_mmio(bus, &r[BUS_MMIO_RANGES - 1], 0xf0000000), -E_NOMEM);
	for (unsigned i = 0; i < BUS_MMIO_RANGES - 1; i++)
		bus_remove_mmio(bus, &r[i]);
	assert_int_equal(bus->mmios, 1);
	assert_non_null(bus_mmio(bus, LAYOUT_IOAPIC, &last));
}

/* What was found last may have left its place, and another may have come there. */
static void a_range_found_last_is_not_found_where_it_was(void **state)
{
	static struct bus_range one, other;
	const struct bus_range *last = NULL;
	struct bus *bus = &f->p->bus;

	one = other = (struct bus_range){ .base = BUS_OFF, .size = 0x1000, .sizes = BUS_ANY };
	assert_int_equal(bus_add_mmio(bus, &one, 0xe0000000), 0);
	assert_ptr_equal(bus_mmio(bus, 0xe0000010, &last), &one);
	bus_remove_mmio(bus, &one);
	assert_null(bus_mmio(bus, 0xe0000010, &last));
	assert_int_equal(bus_add_mmio(bus, &one, 0xe0000000), 0);
	assert_ptr_equal(bus_mmio(bus, 0xe0000010, &last), &one);
	bus_remove_mmio(bus, &one);
	assert_int_equal(bus_add_mmio(bus, &one, 0xe0001000), 0);
	assert_int_equal(bus_add_mmio(bus, &other, 0xe0000000), 0);
	assert_ptr_equal(bus_mmio(bus, 0xe0000010, &last), &other);
	bus_remove_mmio(bus, &one);
	bus_remove_mmio(bus, &other);
}

/* A range that comes back on the bus keeps its row: guests may do that for ever. */
static void port_rows_run_out(void **state)
{
	static struct bus_range r;
	struct bus *bus = &f->p->bus;

	r = (struct bus_range){ .base = BUS_OFF, .size = 4, .sizes = BUS_1 };
	for (unsigned i = 0; i < 2 * BUS_PORT_RANGES; i++) {
		assert_int_equal(bus_add_port(bus, &r, 0xc000 + 4 * i), 0);
		assert_ptr_equal(bus_port(bus, (uint16_t)(0xc003 + 4 * i)), &r);
		bus_remove_port(bus, &r);
		assert_ptr_equal(bus_port(bus, (uint16_t)(0xc003 + 4 * i)), &bus->nothing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(debug_exit),
		T(holes_read_all_ones_and_are_counted),
		T(legacy_ports_are_no_holes),
		T(debug_port_floods_the_log),
		T(refusals_flood_the_log),
		T(ranges_never_overlap),
		T(a_range_found_last_is_not_found_where_it_was),
		T(port_rows_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
