/* SPDX-License-Identifier: MIT */
/* The wakeup mailbox: which stores start a vCPU, what the guest's tables and its memory map say of it, and the page tables in
 * which a vCPU starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/x86.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/fakes/guest_memory.h"
#include "tests/support/rig/guest_tables.h"
#include "tests/support/rig/xorshift.h"

#define VCPUS  5
#define VECTOR 0x9a000ul

static struct fake_vm *f;

static int setup(void **state)
{
	f = fake_vm_open_mailbox(VCPUS, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_vm_close(f);
	return 0;
}

static void store(uint64_t off, unsigned size, uint64_t value)
{
	platform_mmio_write(f->p, 0, gpa(LAYOUT_MAILBOX + off), size, value);
}

static uint64_t fetch(uint64_t off, unsigned size)
{
	return platform_mmio_read(f->p, 0, gpa(LAYOUT_MAILBOX + off), size);
}

static void command(uint32_t apic_id, uint64_t vector, uint16_t value)
{
	store(VMAILBOX_APIC_ID, 4, apic_id);
	store(VMAILBOX_VECTOR, 8, vector);
	store(VMAILBOX_COMMAND, 2, value);
}

static unsigned started(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VCPUS; i++)
		n += f->starts[i];
	return n;
}

/* ---- the device ---- */

static void each_vcpu_starts_once(void **state)
{
	assert_int_equal(fetch(VMAILBOX_COMMAND, 2), 0);
	for (unsigned i = 1; i < VCPUS; i++) {
		command(i, VECTOR + i, VMAILBOX_WAKEUP);
		assert_int_equal(fetch(VMAILBOX_COMMAND, 2), 0); /* acknowledged */
		assert_int_equal(fetch(VMAILBOX_VECTOR, 8), VECTOR + i);
		assert_int_equal(f->starts[i], 1);
		assert_true(f->start_vector[i] == VECTOR + i);
		assert_int_equal(started(), i);
	}
	for (unsigned i = 1; i < VCPUS; i++) {
		command(i, VECTOR, VMAILBOX_WAKEUP);
		assert_int_equal(fetch(VMAILBOX_COMMAND, 2), VMAILBOX_WAKEUP);
	}
	assert_int_equal(started(), VCPUS - 1);
	assert_false(fake_vm_locked(f));
}

static void commands_to_no_waiting_vcpu_stay(void **state)
{
	const uint32_t ids[] = { 0, VCPUS, 63, 64, 255, 256, 0x10001, 0x80000001, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		command(ids[i], VECTOR, VMAILBOX_WAKEUP);
		assert_int_equal(fetch(VMAILBOX_COMMAND, 2), VMAILBOX_WAKEUP);
		assert_int_equal(fetch(VMAILBOX_APIC_ID, 4), ids[i]);
		store(VMAILBOX_COMMAND, 2, 0);
	}
	assert_int_equal(started(), 0);
}

static void commands_without_a_meaning_stay(void **state)
{
	for (uint32_t value = 0; value <= UINT16_MAX; value++) {
		if (value == VMAILBOX_WAKEUP)
			continue;
		command(1, VECTOR, (uint16_t)value);
		assert_int_equal(fetch(VMAILBOX_COMMAND, 2), value);
	}
	assert_int_equal(started(), 0);
}

/* A CPU that reads the mailbox over and over would see the command whichever store completes it. */
static void whichever_store_completes_a_command_starts_the_vcpu(void **state)
{
	store(VMAILBOX_VECTOR, 8, VECTOR);
	store(VMAILBOX_COMMAND, 8, 1ull << 32 | VMAILBOX_WAKEUP);
	assert_int_equal(f->starts[1], 1);
	assert_int_equal(fetch(VMAILBOX_COMMAND, 2), 0);
	store(VMAILBOX_COMMAND, 1, VMAILBOX_WAKEUP); /* CPU 1 has started */
	assert_int_equal(started(), 1);
	store(VMAILBOX_APIC_ID, 1, 2);
	assert_int_equal(f->starts[2], 1);
	assert_int_equal(fetch(VMAILBOX_COMMAND, 2), 0);
	assert_true(f->start_vector[2] == VECTOR);
}

static void any_vector_is_handed_on_as_it_is(void **state)
{
	command(1, ~0ull, VMAILBOX_WAKEUP);
	command(2, 1ull << 63, VMAILBOX_WAKEUP);
	command(3, 0, VMAILBOX_WAKEUP);
	assert_true(f->start_vector[1] == ~0ull && f->start_vector[2] == 1ull << 63);
	assert_true(f->starts[3] == 1 && f->start_vector[3] == 0);
}

static void the_firmwares_half_is_not_the_guests(void **state)
{
	for (unsigned off = 16; off < PAGE_SIZE; off += 8)
		store(off, 8, ~0ull);
	for (unsigned off = 16; off < PAGE_SIZE; off += 8)
		assert_true(fetch(off, 8) == (off < VMAILBOX_FIRMWARE ? ~0ull : 0));
	/* Across the border. */
	store(VMAILBOX_FIRMWARE - 3, 8, 0x1122334455667788);
	assert_true(fetch(VMAILBOX_FIRMWARE - 3, 8) == 0x667788);
	assert_true(fetch(VMAILBOX_FIRMWARE, 8) == 0);
	assert_int_equal(started(), 0);
}

static void random_stores_start_no_vcpu_twice(void **state)
{
	uint64_t seed = 10;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t r = xorshift(&seed), value = xorshift(&seed) & 0x0103010301030103;
		uint64_t off = i & 7 ? r >> 8 & 15 : r >> 8 & 0xff8; /* mostly where it matters */

		store(off, 1u << (r & 3), value);
		assert_false(fake_vm_locked(f));
	}
	assert_int_equal(f->starts[0], 0);
	for (unsigned i = 1; i < VCPUS; i++)
		assert_in_range(f->starts[i], 0, 1);
	assert_true(started() > 0);
	platform_reset(f->p);
	assert_int_equal(fetch(VMAILBOX_COMMAND, 8), 0);
	command(1, VECTOR, VMAILBOX_WAKEUP);
	assert_int_equal(fetch(VMAILBOX_COMMAND, 2), 0); /* all wait again */
}

static void without_a_mailbox_nothing_is_there(void **state)
{
	struct fake_vm *without = fake_vm_open(2, NULL);

	platform_mmio_write(without->p, 0, gpa(LAYOUT_MAILBOX), 8, 1ull << 32 | VMAILBOX_WAKEUP);
	assert_true(platform_mmio_read(without->p, 0, gpa(LAYOUT_MAILBOX), 8) == ~0ull);
	assert_int_equal(without->starts[1], 0);
	fake_vm_close(without);
}

/* ---- what the guest is told, and what lies in its memory ---- */

static int setup_memory(void **state)
{
	struct guest_layout l;

	assert_int_equal(layout_init(&l, 64 * MiB), 0);
	layout_add_mailbox(&l);
	guest_memory_open(64 * MiB, VCPUS);
	guest_memory_add(0, LAYOUT_VGA);
	guest_memory_add(LAYOUT_WAKEUP, LAYOUT_WAKEUP + layout_wakeup_bytes(&l));
	f = fake_vm_open_mailbox(VCPUS, guest_memory.mmu);
	return 0;
}

static int teardown_memory(void **state)
{
	guest_memory_destroy_mmu();
	fake_vm_close(f);
	guest_memory_close();
	return 0;
}

static void the_madt_has_the_mailbox_and_all_vcpus(void **state)
{
	const uint8_t *madt = tables_madt(tables_write(f->p, guest_memory.mmu));
	unsigned mailboxes = 0, cpus = 0;

	for (const uint8_t *e = madt + 44; e < madt + get(madt + 4, 4); e += e[1]) {
		cpus += e[0] == 0;
		if (e[0] != 0x10)
			continue;
		assert_int_equal(e[1], 16);
		assert_int_equal(get(e + 2, 2), 0); /* version */
		assert_int_equal(get(e + 4, 4), 0);
		assert_int_equal(get(e + 8, 8), LAYOUT_MAILBOX);
		mailboxes++;
	}
	assert_int_equal(mailboxes, 1);
	assert_int_equal(cpus, VCPUS);
}

static uint64_t entry(uint64_t table, uint64_t index)
{
	uint64_t e;

	assert_int_equal(guest_read(guest_memory.mmu, gpa(table + 8 * index), &e, sizeof(e)), 0);
	return e;
}

/* Walks them as the CPU does (SDM Vol. 3A 4.5). */
static void the_page_tables_map_each_address_to_itself(void **state)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_A, address = BITS(51, 12);

	tables_write(f->p, guest_memory.mmu);
	for (uint64_t at = 0; at < 4 * GiB; at += 2 * MiB) {
		uint64_t e = entry(LAYOUT_WAKEUP, at >> 39);

		assert_true((e & ~address) == flags);
		e = entry(e & address, at >> 30 & 511);
		assert_true((e & ~address) == flags);
		e = entry(e & address, at >> 21 & 511);
		assert_true(e == (at | flags | PTE_D | PTE_PS));
	}
	assert_true(entry(LAYOUT_WAKEUP + PAGE_SIZE, 4) == 0);
	assert_true(entry(LAYOUT_WAKEUP, 1) == 0);
}

static void the_tables_cover_all_ram_that_has_room(void **state)
{
	const struct {
		uint64_t memory;
		unsigned gib;
	} sizes[] = { { 2 * MiB, 4 }, { 3 * GiB, 4 }, { 3 * GiB + 4 * KiB, 5 }, { 16 * GiB, 17 },
		{ 1024 * GiB, 249 } };
	struct e820_row rows[LAYOUT_ROWS_MAX];
	struct guest_layout l;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned n, nvs = 0;
		uint64_t end = 0;

		assert_int_equal(layout_init(&l, sizes[i].memory), 0);
		assert_true(layout_wakeup_bytes(&l) == 0);
		layout_add_mailbox(&l);
		assert_int_equal(l.wakeup_gib, sizes[i].gib);
		n = layout_e820(&l, rows);
		assert_in_range(n, 7, LAYOUT_ROWS_MAX);
		for (unsigned r = 0; r < n; r++) {
			assert_true(rows[r].base >= end);
			end = rows[r].base + rows[r].size;
			if (rows[r].type != E820_NVS)
				continue;
			assert_true(rows[r].base == LAYOUT_MAILBOX && end <= LAYOUT_IDENTITY);
			assert_true(end == LAYOUT_WAKEUP + layout_wakeup_bytes(&l));
			nvs++;
		}
		assert_int_equal(nvs, 1);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define M(f) cmocka_unit_test_setup_teardown(f, setup_memory, teardown_memory)
	const struct CMUnitTest tests[] = {
		T(each_vcpu_starts_once),
		T(commands_to_no_waiting_vcpu_stay),
		T(commands_without_a_meaning_stay),
		T(whichever_store_completes_a_command_starts_the_vcpu),
		T(any_vector_is_handed_on_as_it_is),
		T(the_firmwares_half_is_not_the_guests),
		T(random_stores_start_no_vcpu_twice),
		cmocka_unit_test(without_a_mailbox_nothing_is_there),
		M(the_madt_has_the_mailbox_and_all_vcpus),
		M(the_page_tables_map_each_address_to_itself),
		cmocka_unit_test(the_tables_cover_all_ram_that_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
