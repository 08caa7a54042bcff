/* SPDX-License-Identifier: MIT */
/* Real-mode vectors: the table, what each trap is answered with, and what is logged of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest/dev/vectors.h"
#include "lib/log.h"
#include "lib/x86.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/fakes/guest_memory.h"
#include "tests/support/rig/guest_tables.h"

static struct fake_vm *f;
static char logged[8192];
static unsigned lines;

static void keep(struct log_sink *sink, const char *text, size_t n)
{
	size_t used = strlen(logged);

	if (n < sizeof(logged) - used)
		memcpy(logged + used, text, n);
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
}

static struct log_sink sink = { .write = keep };

static int setup(void **state)
{
	guest_memory_open(64 * MiB, 1);
	guest_memory_add(0, LAYOUT_VGA);
	f = fake_vm_open(1, guest_memory.mmu);
	tables_write(f->p, guest_memory.mmu);
	memset(logged, 0, sizeof(logged));
	lines = 0;
	return 0;
}

static int teardown(void **state)
{
	guest_memory_destroy_mmu();
	fake_vm_close(f);
	guest_memory_close();
	return 0;
}

/* Where the vector table sends an interrupt: a guest-physical address in the ROM. */
static uint64_t handler(unsigned vector)
{
	uint16_t entry[2];

	assert_int_equal(guest_read(guest_memory.mmu, gpa(4 * vector), entry, 4), 0);
	return ((uint64_t)entry[1] << 4) + entry[0];
}

static void every_vector_has_a_handler_in_the_rom(void **state)
{
	for (unsigned v = 0; v < 256; v++)
		assert_in_range(handler(v), LAYOUT_VECTORS + 512, LAYOUT_VECTORS + PAGE_SIZE - 1);
	assert_int_equal(*tables_at(handler(0x1b)), 0xcf); /* IRET */
	for (unsigned v = 0x1b; v < 256; v++)
		if (v < 0x70 || v > 0x77)
			assert_int_equal(handler(v), handler(0x1b));
	for (unsigned v = 0x70; v <= 0x77; v++)
		assert_int_equal(handler(v), handler(0x70));
}

static void traps_are_vmcalls_at_their_own_addresses(void **state)
{
	unsigned traps = 0;

	for (unsigned v = 0; v < VECTORS_TRAPS; v++)
		if (v < 0x08 || v >= 0x10)
			assert_int_equal(vectors_trap(handler(v)), v);
	for (uint64_t at = LAYOUT_BIOS; at < LAYOUT_BIOS_END; at++) {
		if (vectors_trap(at) < 0)
			continue;
		traps++;
		assert_memory_equal(tables_at(at), "\x0f\x01\xc1", 3);
	}
	assert_int_equal(traps, VECTORS_TRAPS);
	assert_int_equal(vectors_trap(0), -1);
	assert_int_equal(vectors_trap(~0ull), -1);
}

static void what_is_unused_of_the_bios_area_is_int3(void **state)
{
	assert_int_equal(*tables_at(0xf9000), 0xcc);
	assert_int_equal(*tables_at(0xffff0 - 1), 0xcc);
	assert_int_equal(*tables_at(0xffff0), 0xea); /* but a jump to FFFF:0 resets */
	assert_int_equal(*tables_at(0xf0000 + get(tables_at(0xffff1), 2)), 0xb0);
	assert_int_equal(get(tables_at(0xffff3), 2), 0xf000);
}

static struct vectors_frame call(unsigned vector, uint16_t ax, enum vectors_verdict expected)
{
	struct vectors_frame frame = { .ax = ax, .flags = RFLAGS_ONE, .cs = 0x7c0, .ip = 0x10 };

	assert_int_equal(vectors_call(f->p, vector, &frame), expected);
	return frame;
}

static void services_answer_that_they_do_not_exist(void **state)
{
	for (unsigned v = 0x10; v <= 0x1a; v++) {
		struct vectors_frame r;

		if (v == 0x12 || v == 0x18 || v == 0x19)
			continue;
		r = call(v, 0x2034, VECTORS_RETURN);
		assert_int_equal(r.ax, 0x8634);
		assert_int_equal(r.flags, RFLAGS_ONE | RFLAGS_CF);
	}
}

static void int_16h_reports_no_key(void **state)
{
	struct vectors_frame r = call(0x16, 0x0100, VECTORS_RETURN);

	assert_int_equal(r.flags, RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(r.ax, 0x0100);
	assert_int_equal(call(0x16, 0x1100, VECTORS_RETURN).flags, RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(call(0x16, 0x0000, VECTORS_RETURN).flags, RFLAGS_ONE | RFLAGS_CF);
}

static void int_12h_tells_the_memory_below_the_ebda(void **state)
{
	struct vectors_frame r = call(0x12, 0xffff, VECTORS_RETURN);

	assert_int_equal(r.ax, 639);
	assert_int_equal(r.flags, RFLAGS_ONE);
}

static void exceptions_and_boot_calls_end_the_vm(void **state)
{
	for (unsigned v = 0; v < 8; v++)
		call(v, 0, VECTORS_FAULT);
	call(0x18, 0, VECTORS_BOOT);
	call(0x19, 0, VECTORS_BOOT);
	assert_int_equal(lines, 0);
	assert_int_equal(vectors_calls(f->p), 0);
}

static void a_call_is_logged_once_with_vector_and_ax(void **state)
{
	call(0x15, 0xe801, VECTORS_RETURN);
	call(0x15, 0xe801, VECTORS_RETURN);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(logged, "int 15h AX=E801"));
	call(0x15, 0xe802, VECTORS_RETURN);
	call(0x13, 0xe801, VECTORS_RETURN);
	assert_int_equal(lines, 3);
	assert_int_equal(vectors_calls(f->p), 4);
}

static void no_guest_makes_more_than_32_lines(void **state)
{
	for (unsigned ax = 0; ax < 100; ax++)
		call(0x10, (uint16_t)ax, VECTORS_RETURN);
	assert_int_equal(lines, 32);
	assert_non_null(strstr(logged, "int 10h AX=001F"));
	assert_non_null(strstr(logged, "further calls are not logged"));
	call(0x15, 0, VECTORS_RETURN);
	assert_int_equal(lines, 32);
}

/* As a CPU would come to 0Dh: the place it returns to, what stands before that, and the exits so far. */
static enum vectors_verdict fault_at(uint16_t ip, uint16_t before, uint64_t exits)
{
	struct vectors_frame frame = { .cs = 0x7c0,
		.ip = ip,
		.sp = 0x7bfa,
		.before = { (uint8_t)before, (uint8_t)(before >> 8) },
		.exits = exits };

	return vectors_call(f->p, 0x0d, &frame);
}

static void an_exception_that_comes_again_at_once_ends_the_vm(void **state)
{
	assert_int_equal(fault_at(0x10, 0x9090, 100), VECTORS_RETURN); /* may be an IRQ's old handler */
	assert_int_equal(fault_at(0x10, 0x9090, 103), VECTORS_FAULT);
}

static void int_and_late_irq_handlers_are_no_exceptions(void **state)
{
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fault_at(0x10, 0x0dcd, 100 + 3 * i), VECTORS_RETURN); /* INT 0Dh in a loop */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(
			fault_at(0x20, 0x9090, 200 + 5 * i), VECTORS_RETURN); /* other exits between */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fault_at((uint16_t)(0x30 + i), 0x9090, 300 + 3 * i), VECTORS_RETURN);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_vector_has_a_handler_in_the_rom),
		T(traps_are_vmcalls_at_their_own_addresses),
		T(what_is_unused_of_the_bios_area_is_int3),
		T(services_answer_that_they_do_not_exist),
		T(int_16h_reports_no_key),
		T(int_12h_tells_the_memory_below_the_ebda),
		T(exceptions_and_boot_calls_end_the_vm),
		T(a_call_is_logged_once_with_vector_and_ax),
		T(no_guest_makes_more_than_32_lines),
		T(an_exception_that_comes_again_at_once_ends_the_vm),
		T(int_and_late_irq_handlers_are_no_exceptions),
	};

	log_add_sink(&sink);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
