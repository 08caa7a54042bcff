/* SPDX-License-Identifier: MIT */
/*
 * Ends of things: of a run of frames, of a slot, of a bitmap, of a table, of what an entry remembers. Each test fails if the
 * comparison that keeps to its end is off by one, or left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/guest_entry.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

static int start(bool pml, enum mmu_removal removal)
{
	struct mmu_params p = { .vcpus = 3, .caps = rig_caps(), .removal = removal };

	p.caps.pml = pml;
	rig_start_with(&p, 256 * MiB, true);
	return 0;
}

static int setup(void **state)
{
	return start(false, MMU_REMOVAL_BULK);
}

static int setup_targeted(void **state)
{
	return start(false, MMU_REMOVAL_TARGETED);
}

static int setup_pml(void **state)
{
	return start(true, MMU_REMOVAL_BULK);
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	rig_stop();
	return 0;
}

static slot_id add_slot(uint64_t base, uint64_t pages, struct backing *b, uint64_t backing_page)
{
	struct slot_desc d = {
		.base = gfn(base), .pages = pages, .backing = b, .backing_page = backing_page
	};
	slot_id id;

	assert_int_equal(slot_add(rig.mmu, &d, &id), 0);
	return id;
}

/* 2 MiB of memory that repeats: a GiB of the slot begins at a GiB of host memory, but only 2 MiB of that are the slot's. */
static void a_large_leaf_ends_with_the_run_of_frames(void **state)
{
	struct backing *of, *b;
	uint64_t f;

	assert_int_equal(backing_over(rig.arena.base, 512, &of), 0);
	assert_int_equal(backing_pfn(of, 0).v % BIT(18), 0);
	assert_int_equal(backing_repeat(of, BIT(18), &b), 0);
	rig_own(of);
	rig_own(b);
	add_slot(BIT(18), BIT(18), b, 0);
	assert_int_equal(rig_enter(0), 0);
	for (uint64_t p = 5; p < BIT(18); p += 500) {
		assert_int_equal(rig_access(0, BIT(18) + p, MMU_WRITE, &f), MMU_RESUME);
		assert_int_equal(f, backing_pfn(of, p % 512).v);
	}
}

/* The run of frames goes on behind the slot: its memory is not the slot's. */
static void host_access_ends_with_the_slot(void **state)
{
	struct guest_window w;
	struct backing *b;
	uint64_t word = 0x1122334455667788, got;

	assert_int_equal(backing_alloc(8, RIG_RAM, &b), 0);
	assert_int_equal(backing_find(b, 0)->pages, 8);
	rig_own(b);
	add_slot(100, 4, b, 2);
	assert_int_equal(guest_write(rig.mmu, gpa(104 * PAGE_SIZE - 8), &word, 8), 0);
	assert_int_equal(guest_read(rig.mmu, gpa(104 * PAGE_SIZE - 4), &got, 8), -E_FAULT);
	assert_int_equal(guest_write(rig.mmu, gpa(104 * PAGE_SIZE - 4), &word, 8), -E_FAULT);
	assert_int_equal(guest_write_rom(rig.mmu, gpa(104 * PAGE_SIZE - 4), &word, 8), -E_FAULT);
	assert_int_equal(guest_zero(rig.mmu, gpa(103 * PAGE_SIZE), 2 * PAGE_SIZE), -E_FAULT);
	assert_int_equal(*(uint64_t *)((char *)pfn_to_virt(backing_pfn(b, 6)) - 8), word);
	assert_int_equal(*(uint64_t *)pfn_to_virt(backing_pfn(b, 6)), 0);
	/* A neighbour in guest memory need not be one in the host's. */
	rig_slot(104, 2, 0);
	assert_int_equal(guest_write(rig.mmu, gpa(104 * PAGE_SIZE - 4), &word, 8), 0);
	assert_int_equal(*(uint32_t *)pfn_to_virt(backing_pfn(b, 6)), 0);
	assert_int_equal(guest_read(rig.mmu, gpa(104 * PAGE_SIZE), &got, 4), 0);
	assert_int_equal((uint32_t)got, word >> 32);
	/* The stretch that entries of page tables are read from is the slot's, too. */
	assert_true(guest_window_find(rig.mmu, gpa(101 * PAGE_SIZE), &w));
	assert_int_equal(w.base, 100 * PAGE_SIZE);
	assert_int_equal(w.bytes, 4 * PAGE_SIZE);
}

/* Each bit of the version that an MMIO entry carries is compared: an entry is old by any power of two of changes. */
static void an_mmio_entry_is_stale_by_each_bit_of_its_version(void **state)
{
	for (unsigned bit = 0; bit < EPT_MMIO_GEN_BITS; bit++) {
		uint64_t at = 0x700 + 0x10 * bit, seq;
		struct slot_table *from;

		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, at, MMU_READ, NULL), MMU_MMIO);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, at, MMU_READ, NULL), MMU_MMIO); /* by a misconfiguration */
		/* As if by that many changes but one; an odd number needs the table in the other buffer. */
		seq = rig.mmu->slots.seq + BIT(bit) - 1;
		from = rig.mmu->slots.buf[rig.mmu->slots.seq & 1];
		memmove(rig.mmu->slots.buf[seq & 1], from, sizeof(*from));
		rig.mmu->slots.seq = seq;
		rig_slot(at, 1, 0);
		assert_int_equal(rig_enter(0), 0);
		assert_int_equal(rig_access(0, at, MMU_WRITE, NULL), MMU_RESUME);
		rig_exit(0);
	}
}

/* Bit n of a word of the log is page n from the slot's base, which need not be a multiple of 64: one word may name pages of
 * two tables. */
static void a_log_word_over_two_tables_is_read_whole(void **state)
{
	uint64_t bitmap[2] = { 0 }, base = 1024 - 32;
	slot_id id = rig_slot(base, 128, SLOT_DIRTY_LOG);
	struct mmu_ticket t;

	assert_int_equal(rig_enter(0), 0);
	for (unsigned round = 0; round < 3; round++) {
		static const unsigned pages[] = { 10, 31, 32, 40, 63, 64 };

		for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
			assert_int_equal(rig_access(0, base + pages[i], MMU_WRITE, NULL), MMU_RESUME);
		assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, 128, bitmap, &t), 0);
		assert_int_equal(bitmap[0], BIT(10) | BIT(31) | BIT(32) | BIT(40) | BIT(63));
		assert_int_equal(bitmap[1], 1);
		/* Writes count again when this vCPU has left. */
		rig_exit(0);
		assert_int_equal(rig_enter(0), 0);
	}
}

/* A slot that moves is dirty as a whole, to its last page and not beyond; each part once. */
static void a_moved_log_is_dirty_to_its_last_page_once(void **state)
{
	enum { PAGES = 2 * DIRTY_CHUNK + 100 };
	static uint64_t bitmap[PAGES / 64 + 1];
	slot_id id = rig_slot(0x4000, PAGES, SLOT_DIRTY_LOG);
	struct mmu_ticket t;
	uint64_t n = 0;

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(slot_move(rig.mmu, id, gfn(0x8000 + 0x4000 * round), &t), 0);
		/* In pieces that do not begin where the log's own parts do. */
		for (uint64_t first = 0; first < PAGES; first += n) {
			n = min((uint64_t)(first ? DIRTY_CHUNK : 64), PAGES - first);
			assert_int_equal(
				dirty_log_read_clear(rig.mmu, id, first, n, bitmap + first / 64, &t), 0);
		}
		for (uint64_t w = 0; w < PAGES / 64; w++)
			assert_int_equal(bitmap[w], ~0ull);
		assert_int_equal(bitmap[PAGES / 64], BIT(PAGES % 64) - 1);
		assert_int_equal(dirty_log_read_clear(rig.mmu, id, 0, PAGES, bitmap, &t), 0);
		for (uint64_t w = 0; w <= PAGES / 64; w++)
			assert_int_equal(bitmap[w], 0);
	}
}

/* What a page says of itself must be what its table holds. */
static void tables_are_what_their_descriptors_say(void)
{
	list_for_each (p, &rig.mmu->pages.active, struct spage, link) {
		unsigned level = role_level(p->role), children = 0;

		for (unsigned i = 0; i < ENTRIES; i++) {
			uint64_t e = spage_table(p)[i];

			children += ept_is_table(e, level);
			assert_true(!e || (i >= p->lo && i < p->hi));
		}
		assert_int_equal(p->children, children);
	}
}

/* A page whose `children` stays too high is never evicted; one too low is, with tables below it. */
static void targeted_removal_keeps_count_of_children(void **state)
{
	static const struct {
		uint64_t base, pages;
	} slots[] = { { 512, 512 }, { 2048, 1536 }, { BIT(18) - 512, 1024 }, { BIT(18) + 5000, 100 } };
	slot_id id[ARRAY_SIZE(slots)];
	struct mmu_ticket t;

	rig.mmu->caps.ept_2m = false;
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++)
		id[i] = rig_slot(slots[i].base, slots[i].pages, 0);
	assert_int_equal(rig_enter(0), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++)
		for (uint64_t g = slots[i].base; g < slots[i].base + slots[i].pages; g += 100)
			assert_int_equal(rig_access(0, g, MMU_WRITE, NULL), MMU_RESUME);
	tables_are_what_their_descriptors_say();
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		assert_int_equal(slot_delete(rig.mmu, id[i], &t), 0);
		tables_are_what_their_descriptors_say();
	}
	assert_int_equal(rig_stats().targeted, ARRAY_SIZE(slots));
	rig_exit(0);
	assert_int_equal(rig_enter(0), 0);
}

/* ---- bits are taken from a log while another CPU sets others of the same word ---- */

enum { MARKS = 60000 };
static bool outstanding[64]; /* marked, and not seen in a reading yet */
static bool stop_marking;

static void *mark(void *log)
{
	for (unsigned i = 0, marks = 0; marks < MARKS && !atomic_load(&stop_marking); i++) {
		unsigned page = i % 64;

		if (atomic_load(&outstanding[page]))
			continue;
		dirty_mark(log, page);
		atomic_store(&outstanding[page], true);
		marks++;
	}
	atomic_store(&stop_marking, true);
	return NULL;
}

/* The pages that are known to be marked. */
static uint64_t marked(void)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < 64; i++)
		pages |= (uint64_t)atomic_load(&outstanding[i]) << i;
	return pages;
}

static void a_bit_that_is_set_while_others_are_taken_is_not_lost(void **state)
{
	slot_id id = rig_slot(0x400, 64, SLOT_DIRTY_LOG);
	struct dirty_log *log = slots_by_id(&rig.mmu->slots, id)->log;
	uint64_t lost = 0, expected, bitmap;
	struct mmu_ticket t;
	pthread_t marker;
	bool last;

	memset(outstanding, 0, sizeof(outstanding));
	stop_marking = false;
	assert_int_equal(pthread_create(&marker, NULL, mark, log), 0);
	do {
		last = atomic_load(&stop_marking);
		expected = marked();
		if (dirty_log_read_clear(rig.mmu, id, 0, 64, &bitmap, &t))
			break;
		lost = expected & ~bitmap;
		for (; bitmap; bitmap &= bitmap - 1) {
			bool *p = &outstanding[bit_lowest(bitmap)];

			/* The bit comes before the note about it. */
			while (!atomic_load(p))
				cpu_relax();
			atomic_store(p, false);
		}
	} while (!last && !lost);
	atomic_store(&stop_marking, true);
	pthread_join(marker, NULL);
	assert_int_equal(lost, 0);
	assert_true(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_large_leaf_ends_with_the_run_of_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(host_access_ends_with_the_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_mmio_entry_is_stale_by_each_bit_of_its_version, setup, teardown),
		cmocka_unit_test_setup_teardown(a_log_word_over_two_tables_is_read_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_moved_log_is_dirty_to_its_last_page_once, setup_pml, teardown),
		cmocka_unit_test_setup_teardown(
			targeted_removal_keeps_count_of_children, setup_targeted, teardown),
		cmocka_unit_test_setup_teardown(
			a_bit_that_is_set_while_others_are_taken_is_not_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
