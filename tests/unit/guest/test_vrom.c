/* SPDX-License-Identifier: MIT */
/* The test device: its ROM image, and its BARs as memory slots of a real MMU that come, go and move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mm/mmu/internal.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/rig/rig.h"

static struct arena arena;
static struct fake_vm *f;
static struct vrom *d;
static uint64_t owned_before;

static int setup_with(uint64_t rom, uint64_t bar)
{
	arena_open(&arena, hpa(4 * GiB), 64 * MiB);
	arena_start(&arena);
	owned_before = frames_owned(OWNER_LETHE);
	rig_use_arena(&arena);
	rig_start(2);
	f = fake_vm_open_rom(2, rig.mmu, rom, bar);
	d = DEV(f, vrom);
	return 0;
}
static int setup(void **state)
{
	return setup_with(64 * KiB, 2 * MiB);
}
static int setup_wide(void **state)
{
	return setup_with(4 * KiB, 32 * GiB);
}
static int teardown(void **state)
{
	rig_stop();
	fake_vm_close(f); /* the memory of slots goes after the MMU */
	assert_int_equal(frames_owned(OWNER_LETHE), owned_before);
	arena_close(&arena);
	return 0;
}
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define W(name) cmocka_unit_test_setup_teardown(name, setup_wide, teardown)

static void cfg_select(unsigned reg)
{
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80000000u | VROM_SLOT << 11 | reg);
}
static uint32_t cfg_rd(unsigned reg)
{
	cfg_select(reg);
	return platform_pio_read(f->p, 0, 0xcfc, 4);
}
static void cfg_wr(unsigned reg, uint32_t v)
{
	cfg_select(reg);
	platform_pio_write(f->p, 0, 0xcfc, 4, v);
}
static uint32_t reg_rd(unsigned off)
{
	return (uint32_t)platform_mmio_read(f->p, 0, gpa((cfg_rd(PCI_BAR0) & ~15u) + off), 4);
}
static void reg_wr(unsigned off, uint32_t v)
{
	platform_mmio_write(f->p, 0, gpa((cfg_rd(PCI_BAR0) & ~15u) + off), 4, v);
}

#define RAM_BAR (PCI_BAR0 + 4 * VROM_BAR_RAM)
#define RAM_LOW 0xd0000000u
#define ROM_AT	0xe0000000u
#define MEM_OFF 0u
#define MEM_ON	PCI_COMMAND_MEMORY

static uint64_t ram_at(void)
{
	return (cfg_rd(RAM_BAR) & ~15u) | (uint64_t)cfg_rd(RAM_BAR + 4) << 32;
}
static void rom_on(void)
{
	cfg_wr(PCI_ROM_BAR, ROM_AT | 1);
}
static void rom_off(void)
{
	cfg_wr(PCI_ROM_BAR, ROM_AT);
}

static bool mapped(uint64_t at)
{
	uint8_t byte;

	return !guest_read(rig.mmu, gpa(at), &byte, 1);
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, at, bytes);
	return v;
}

static void ids_and_bar_sizes_are_found_by_probing(void **state)
{
	assert_int_equal(cfg_rd(0), VROM_VENDOR | VROM_DEVICE << 16);
	assert_int_equal(cfg_rd(8) >> 8, 0xff0000);
	assert_int_equal(reg_rd(VROM_ID), VROM_ID_VALUE);
	cfg_wr(PCI_ROM_BAR, 0xfffffffe);
	assert_int_equal(cfg_rd(PCI_ROM_BAR), 0xffff0000);
	cfg_wr(RAM_BAR, 0xffffffff);
	cfg_wr(RAM_BAR + 4, 0xffffffff);
	assert_int_equal(cfg_rd(RAM_BAR), 0xffe0000c);
	assert_int_equal(cfg_rd(RAM_BAR + 4), 0xffffffff);
}

/* As Linux's pci_get_rom_size and a firmware's search go about it. */
static void the_rom_is_an_option_rom(void **state)
{
	uint8_t image[64 * KiB], sum = 0;
	const uint8_t *data;

	assert_false(mapped(ROM_AT));
	rom_on();
	assert_int_equal(guest_read(rig.mmu, gpa(ROM_AT), image, sizeof(image)), 0);
	assert_int_equal(get(image, 2), 0xaa55);
	assert_int_equal(image[2], 1);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + image[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(image[3], 0xcb);
	assert_int_equal(get(image + 0x18, 2) % 4, 0);
	data = image + get(image + 0x18, 2);
	assert_memory_equal(data, "PCIR", 4);
	assert_int_equal(get(data + 4, 4), cfg_rd(0));
	assert_int_equal(get(data + 0xd, 3), 0xff0000);
	assert_int_equal(get(data + 0x10, 2) * 512, sizeof(image));
	assert_int_equal(data[0x14], 0);
	assert_int_equal(data[0x15] & 0x80, 0x80);
	for (unsigned at = VROM_HEADER; at < sizeof(image); at += 4)
		assert_int_equal(get(image + at, 4), at / 4 * VROM_PATTERN);
}

static void the_rom_cannot_be_written(void **state)
{
	uint64_t frame;

	rom_on();
	assert_int_equal(guest_write(rig.mmu, gpa(ROM_AT), "x", 1), -E_FAULT);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, ROM_AT >> PAGE_SHIFT, MMU_WRITE, &frame), MMU_ROM);
	platform_mmio_write(f->p, 0, gpa(ROM_AT), 4, 0); /* where the exit then goes: no device is there */
}

static void on_and_off_are_one_slot_added_and_deleted(void **state)
{
	uint32_t adds = reg_rd(VROM_ADDS), deletes = reg_rd(VROM_DELETES);
	uint64_t bumps = rig_stats().bumps + rig_stats().targeted;

	assert_int_equal(reg_rd(VROM_STATUS), VROM_STATUS_RAM | VROM_STATUS_ROM_FREE);
	rom_on();
	assert_true(mapped(ROM_AT) && mapped(ROM_AT + 64 * KiB - 1) && !mapped(ROM_AT + 64 * KiB));
	assert_int_equal(reg_rd(VROM_STATUS), VROM_STATUS_RAM | VROM_STATUS_ROM);
	assert_int_equal(rig_stats().bumps + rig_stats().targeted, bumps); /* adding forgets nothing */
	rom_on();							   /* the same again is nothing */
	rom_off();
	assert_false(mapped(ROM_AT));
	rom_off();
	assert_int_equal(reg_rd(VROM_ADDS), adds + 1);
	assert_int_equal(reg_rd(VROM_DELETES), deletes + 1);
	assert_int_equal(rig_stats().bumps + rig_stats().targeted, bumps + 1);
}

static void memory_decoding_takes_everything_along(void **state)
{
	uint64_t ram = ram_at();

	rom_on();
	cfg_wr(PCI_COMMAND, MEM_OFF);
	assert_false(mapped(ROM_AT) || mapped(ram));
	assert_true(platform_mmio_read(f->p, 0, gpa(cfg_rd(PCI_BAR0) & ~15u), 4) == 0xffffffff);
	cfg_wr(PCI_COMMAND, MEM_ON);
	assert_true(mapped(ROM_AT) && mapped(ram));
	assert_int_equal(reg_rd(VROM_ID), VROM_ID_VALUE);
}

static void what_is_in_the_ram_moves_with_it(void **state)
{
	uint64_t was = ram_at();
	char text[6];

	assert_int_equal(guest_write(rig.mmu, gpa(was + 5), "Lethe", 6), 0);
	cfg_wr(RAM_BAR, RAM_LOW);
	assert_int_equal(reg_rd(VROM_MOVES), 1);
	assert_int_equal(reg_rd(VROM_DELETES), 0);
	assert_false(mapped(was));
	assert_int_equal(guest_read(rig.mmu, gpa(RAM_LOW + 5), text, 6), 0);
	assert_string_equal(text, "Lethe");
	cfg_wr(RAM_BAR + 4, 1); /* above 4 GiB */
	assert_true(mapped(0x100000000 + RAM_LOW) && !mapped(RAM_LOW));
	assert_int_equal(reg_rd(VROM_MOVES), 2);
}

/* The guest puts one over the other: the first stays, the second waits for room. */
static void ram_and_rom_never_overlap(void **state)
{
	cfg_wr(RAM_BAR, RAM_LOW);
	cfg_wr(PCI_ROM_BAR, (RAM_LOW + 64 * KiB) | 1);
	assert_int_equal(reg_rd(VROM_STATUS) & 3, VROM_STATUS_RAM);
	cfg_wr(RAM_BAR, RAM_LOW + 2 * MiB);
	assert_int_equal(reg_rd(VROM_STATUS) & 3, VROM_STATUS_RAM | VROM_STATUS_ROM);
	assert_true(mapped(RAM_LOW + 64 * KiB) && !mapped(RAM_LOW));
	cfg_wr(RAM_BAR, RAM_LOW); /* over the ROM: it cannot go there, and leaves where it was */
	assert_int_equal(reg_rd(VROM_STATUS) & 3, VROM_STATUS_ROM);
	assert_false(mapped(RAM_LOW + 2 * MiB));
}

/* Rule 4: a vCPU in the guest may still reach what was taken away; the memory is free when it has left. */
static void memory_is_free_when_the_last_vcpu_has_let_go(void **state)
{
	uint64_t frame, ram = ram_at();

	mmu_cpu_quiescent(2); /* another CPU is in the middle of something, with a pointer perhaps */
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_access(1, ram >> PAGE_SHIFT, MMU_WRITE, &frame), MMU_RESUME);
	cfg_wr(PCI_COMMAND, MEM_OFF);
	assert_true(rig.kicked[1]);
	cfg_wr(RAM_BAR, 0); /* nowhere: the RAM stays off when the registers come back */
	cfg_wr(PCI_COMMAND, MEM_ON);
	assert_int_equal(reg_rd(VROM_STATUS), VROM_STATUS_ROM_FREE);
	f->now += 1000;
	rig_exit(1);
	assert_int_equal(reg_rd(VROM_STATUS), VROM_STATUS_ROM_FREE); /* ... and still is */
	rig_quiesce();
	assert_int_equal(reg_rd(VROM_STATUS), VROM_STATUS_ROM_FREE | VROM_STATUS_RAM_FREE);
	assert_int_equal(reg_rd(VROM_GRACE_TICKS), 1000);
}

static void erasing_waits_for_vcpus_that_could_still_write(void **state)
{
	uint64_t frame, ram = ram_at();
	unsigned looks = 0;
	char text[6];

	assert_int_equal(guest_write(rig.mmu, gpa(ram + 5), "Lethe", 6), 0);
	reg_wr(VROM_CONTROL, VROM_CONTROL_ERASE); /* it is on the map: ignored */
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_ERASING, 0);
	assert_int_equal(rig_enter(1), 0);
	assert_int_equal(rig_access(1, ram >> PAGE_SHIFT, MMU_WRITE, &frame), MMU_RESUME);
	cfg_wr(RAM_BAR, 0); /* not in the window: off */
	reg_wr(VROM_CONTROL, VROM_CONTROL_ERASE);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_ERASING, VROM_STATUS_ERASING);
	assert_int_equal(d->erased, 0);
	rig_exit(1);
	rig_quiesce();
	cfg_wr(RAM_BAR, RAM_LOW); /* back on the map: when it is clean */
	assert_false(mapped(RAM_LOW));
	for (; reg_rd(VROM_STATUS) & VROM_STATUS_ERASING; looks++)
		assert_false(mapped(RAM_LOW));
	assert_in_range(looks, VROM_RAM_BYTES / PAGE_SIZE / VROM_ERASE_PAGES - 1,
		VROM_RAM_BYTES / PAGE_SIZE / VROM_ERASE_PAGES);
	assert_int_equal(guest_read(rig.mmu, gpa(RAM_LOW + 5), text, 6), 0);
	assert_memory_equal(text, "\0\0\0\0\0", 6);
}

static void a_wide_bar_repeats_its_ram(void **state)
{
	const uint64_t base = 64 * GiB;
	uint64_t frame, other;

	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_RAM, 0); /* no room for it below 4 GiB */
	cfg_wr(RAM_BAR + 4, base >> 32);
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_RAM, VROM_STATUS_RAM);
	assert_int_equal(guest_write(rig.mmu, gpa(base), "Lethe", 6), 0);
	assert_int_equal(rig_enter(0), 0);
	assert_int_equal(rig_access(0, base >> PAGE_SHIFT, MMU_READ, &frame), MMU_RESUME);
	for (uint64_t at = 0; at < 32 * GiB; at += GiB + 2 * MiB) {
		char text[6];

		assert_int_equal(guest_read(rig.mmu, gpa(base + at), text, 6), 0);
		assert_string_equal(text, "Lethe");
		assert_int_equal(rig_access(0, (base + at) >> PAGE_SHIFT, MMU_READ, &other), MMU_RESUME);
		assert_int_equal(other, frame);
	}
}

/* Reads the log from where the last reading has stopped to its end; returns how many pages were written. */
static unsigned read_log(void)
{
	unsigned written = 0;
	uint32_t piece;

	do {
		piece = reg_rd(VROM_LOG);
		assert_in_range(piece & ~VROM_LOG_MORE, 0, VROM_LOG_PIECE);
		written += piece & ~VROM_LOG_MORE;
	} while (piece & VROM_LOG_MORE);
	return written;
}

static void what_is_written_is_logged(void **state)
{
	uint64_t frame, ram;

	assert_int_equal(reg_rd(VROM_LOG), 0);
	reg_wr(VROM_CONTROL, VROM_CONTROL_LOG);
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_LOG, VROM_STATUS_LOG);
	ram = ram_at();
	assert_int_equal(read_log(), 0);
	assert_int_equal(rig_enter(0), 0);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(rig_access(0, (ram >> PAGE_SHIFT) + i, MMU_WRITE, &frame), MMU_RESUME);
	assert_int_equal(rig_access(0, (ram >> PAGE_SHIFT) + 400, MMU_READ, &frame), MMU_RESUME);
	rig_exit(0);
	assert_int_equal(guest_write(rig.mmu, gpa(ram + 511 * PAGE_SIZE), "x", 1), 0);
	assert_int_equal(reg_rd(VROM_LOG), 64 | VROM_LOG_MORE);
	assert_int_equal(read_log(), 301 - 64);
	assert_int_equal(read_log(), 0);
	reg_wr(VROM_CONTROL, 0);
	assert_int_equal(guest_write(rig.mmu, gpa(ram), "x", 1), 0);
	assert_int_equal(reg_rd(VROM_LOG), 0);
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_LOG, 0);
}

static void a_bar_too_wide_is_not_logged(void **state)
{
	cfg_wr(RAM_BAR + 4, 16);
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_RAM, VROM_STATUS_RAM);
	reg_wr(VROM_CONTROL, VROM_CONTROL_LOG);
	assert_int_equal(reg_rd(VROM_STATUS) & VROM_STATUS_LOG, 0);
	assert_int_equal(reg_rd(VROM_LOG), 0);
}

static void odd_accesses_to_registers_do_nothing(void **state)
{
	uint64_t at = cfg_rd(PCI_BAR0) & ~15u;

	assert_true(platform_mmio_read(f->p, 0, gpa(at), 8) == ~0ull);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(at), 1), 0xff);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(at + 2), 4), 0);
	assert_int_equal(reg_rd(0xffc), 0);
	cfg_wr(RAM_BAR, 0);
	platform_mmio_write(f->p, 0, gpa(at + VROM_CONTROL), 8, 1);
	platform_mmio_write(f->p, 0, gpa(at + VROM_CONTROL), 1, 1);
	reg_wr(VROM_ADDS, 77);
	assert_false(d->erasing);
	assert_int_equal(reg_rd(VROM_ADDS), d->adds);
}

static void reset_puts_the_bars_back(void **state)
{
	uint64_t was = ram_at();

	cfg_wr(RAM_BAR, RAM_LOW);
	rom_on();
	platform_reset(f->p);
	assert_true(ram_at() == was);
	assert_true(mapped(was) && !mapped(RAM_LOW) && !mapped(ROM_AT));
}

static void sizes_that_pci_cannot_express_are_refused(void **state)
{
	static const uint64_t bad[][2] = { { 2 * KiB, 2 * MiB }, { 48 * KiB, 2 * MiB }, { 32 * MiB, 2 * MiB },
		{ 64 * KiB, MiB }, { 64 * KiB, 3 * MiB }, { 64 * KiB, 128 * GiB } };
	static struct vrom other;
	struct device_settings settings = { .owner = RIG_RAM };
	const struct board board = { .settings = &settings, .memory = rig.mmu };
	uint64_t owned = frames_owned(RIG_RAM);

	other.dev.board = &board;
	assert_false(vrom_kind.wanted(&settings));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		settings.options.rom_bytes = bad[i][0];
		settings.options.bar_bytes = bad[i][1];
		assert_true(vrom_kind.wanted(&settings));
		assert_int_equal(vrom_kind.init(&other.dev), -E_INVAL);
	}
	assert_int_equal(frames_owned(RIG_RAM), owned);
	settings.options.rom_bytes = 16 * MiB;
	settings.options.bar_bytes = 64 * GiB;
	assert_int_equal(vrom_kind.init(&other.dev), 0);
	assert_true(vrom_kind.destroy(&other.dev, UINT32_MAX));
	assert_int_equal(frames_owned(RIG_RAM), owned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ids_and_bar_sizes_are_found_by_probing),
		T(the_rom_is_an_option_rom),
		T(the_rom_cannot_be_written),
		T(on_and_off_are_one_slot_added_and_deleted),
		T(memory_decoding_takes_everything_along),
		T(what_is_in_the_ram_moves_with_it),
		T(ram_and_rom_never_overlap),
		T(memory_is_free_when_the_last_vcpu_has_let_go),
		T(erasing_waits_for_vcpus_that_could_still_write),
		W(a_wide_bar_repeats_its_ram),
		T(what_is_written_is_logged),
		W(a_bar_too_wide_is_not_logged),
		T(odd_accesses_to_registers_do_nothing),
		T(reset_puts_the_bars_back),
		T(sizes_that_pci_cannot_express_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
