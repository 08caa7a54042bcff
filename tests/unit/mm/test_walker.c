/* SPDX-License-Identifier: MIT */
/*
 * The guest page-table walker against a model: SDM Vol. 3A chapter 4 written down a second time, one rule after the
 * other, with no eye to speed, over its own view of memory. Random tables, all rights, all modes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/x86.h"
#include "mm/mmu/mmu.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"
#include "mm/space/walker.h"
#include "tests/support/rig/arena.h"
#include "tests/support/rig/xorshift.h"

#define RAM_PAGES 64ull
#define ROM_PAGE  128ull	      /* a read-only slot of 4 pages */
#define HIGH_PAGE (1ull << (39 - 12)) /* a slot above 4 GiB, for PSE-36 and wide entries */
#define WIDTH	  40

static struct arena arena;
static struct mmu *mmu;
static struct backing *ram, *rom, *high;
static slot_id ram_slot;

static void kick(struct mmu_vcpu *v)
{
}
static void invept(uint64_t eptp)
{
}
static void invvpid(uint16_t vpid)
{
}
static const struct mmu_cpu_ops ops = {
	.kick = kick,
	.invept_single = invept,
	.invvpid_single = invvpid,
};

static slot_id add_slot(uint64_t base, uint64_t pages, unsigned flags, struct backing **b)
{
	slot_id id;

	assert_int_equal(backing_alloc(pages, OWNER_VM0, b), 0);
	assert_int_equal(slot_add(mmu,
				 &(struct slot_desc){
					 .base = gfn(base), .pages = pages, .flags = flags, .backing = *b },
				 &id),
		0);
	return id;
}

static void open_guest(unsigned width, bool no_1g)
{
	struct mmu_params p = {
		.backend = &mmu_backend_ept,
		.ops = &ops,
		.caps = { .ept = true,
			.ept_2m = true,
			.ept_wb = true,
			.maxphyaddr = 46,
			.guest_no_1g = no_1g },
		.owner = OWNER_VM0 + 1,
		.guest_maxphyaddr = width,
		.vcpus = 1,
	};

	arena_open(&arena, hpa(4 * GiB), 64 * MiB);
	arena_start(&arena);
	assert_int_equal(mmu_create(&p, &mmu), 0);
	ram_slot = add_slot(0, RAM_PAGES, 0, &ram);
	add_slot(ROM_PAGE, 4, SLOT_READONLY, &rom);
	if (width > 39)
		add_slot(HIGH_PAGE, 4, 0, &high);
}

static void close_guest(void)
{
	mmu_destroy(mmu);
	backing_free(ram);
	backing_free(rom);
	if (high)
		backing_free(high);
	high = NULL;
	arena_close(&arena);
}

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint64_t rnd(uint64_t below)
{
	return xorshift(&seed) % below;
}

/* ---- the model ---- */

struct model {
	int err;
	uint64_t out;
	uint32_t error;
	unsigned n; /* entries to be marked, and with what */
	struct {
		uint64_t at, old, new;
		unsigned size;
	} mark[5];
};

static uint64_t model_read(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	if (guest_read(mmu, gpa(at), &v, size))
		v = size == 8 ? ~0ull : 0xffffffff;
	return v;
}

static bool bit(uint64_t v, unsigned n)
{
	return v >> n & 1;
}

static bool any_bits(uint64_t v, int high_bit, int low_bit)
{
	for (int i = low_bit; i <= high_bit; i++)
		if (bit(v, (unsigned)i))
			return true;
	return false;
}

static struct model model_fault(struct model m, uint32_t error)
{
	m.err = -E_FAULT;
	m.error = error;
	m.n = 0;
	return m;
}

static struct model model_walk(
	const struct paging_regs *r, uint64_t la, unsigned access, unsigned width, bool no_1g)
{
	struct model m = { 0 };
	bool write = access & MMU_WRITE, fetch = access & MMU_EXEC, implicit = access & WALK_IMPLICIT;
	bool user_mode = r->cpl == 3 && !implicit;
	bool pg = bit(r->cr0, 31), wp = bit(r->cr0, 16), pse = bit(r->cr4, 4), pae = bit(r->cr4, 5);
	bool smep = bit(r->cr4, 20), smap = bit(r->cr4, 21), la57 = bit(r->cr4, 12);
	bool lma = bit(r->efer, 10), nxe = bit(r->efer, 11), ac = bit(r->rflags, 18);
	bool page_user = true, page_write = true, page_nx = false;
	unsigned levels, entry_size = 8, page_bits = 0;
	uint32_t base = 0;
	uint64_t table, e = 0;

	if (!pg) {
		m.out = la & 0xffffffff;
		return m;
	}
	if (write)
		base |= 2;
	if (user_mode)
		base |= 4;
	if (fetch && (smep || (pae && nxe)))
		base |= 16;
	if (!pae) {
		la &= 0xffffffff;
		levels = 2;
		entry_size = 4;
		table = r->cr3 & 0xfffff000;
	} else if (!lma) {
		la &= 0xffffffff;
		e = r->pdpte[la >> 30];
		if (!bit(e, 0))
			return model_fault(m, base);
		levels = 2;
		table = e & 0xffffffffff000;
	} else {
		unsigned top = la57 ? 56 : 47;

		for (unsigned i = top; i < 64; i++)
			if (bit(la, i) != bit(la, top)) {
				m.err = -E_RANGE;
				return m;
			}
		levels = la57 ? 5 : 4;
		table = r->cr3 & 0xffffffffff000;
	}
	for (unsigned l = levels; l >= 1; l--) {
		unsigned shift = entry_size == 8 ? 12 + 9 * (l - 1) : 12 + 10 * (l - 1);
		uint64_t at = table + (la >> shift) % (entry_size == 8 ? 512 : 1024) * entry_size;
		bool leaf = l == 1;

		e = model_read(at, entry_size);
		if (!bit(e, 0))
			return model_fault(m, base);
		if (entry_size == 8) {
			int top = pae && !lma ? 62 : 51;
			bool large = bit(e, 7) && l > 1;

			if (any_bits(e, top, (int)width) || (bit(e, 63) && !nxe))
				return model_fault(m, base | 9);
			if (large && (l > 3 || (l == 3 && no_1g)))
				return model_fault(m, base | 9);
			if (large && any_bits(e, (int)shift - 1, 13))
				return model_fault(m, base | 9);
			leaf |= large;
		} else if (l == 2 && bit(e, 7) && pse) {
			int mwidth = width > 40 ? 40 : (int)width;

			if (any_bits(e, 21, mwidth - 19))
				return model_fault(m, base | 9);
			leaf = true;
		}
		page_user &= bit(e, 2);
		page_write &= bit(e, 1);
		page_nx |= entry_size == 8 && bit(e, 63) && nxe;
		m.mark[m.n].at = at;
		m.mark[m.n].old = e;
		m.mark[m.n].new = e | 0x20 | (leaf && write ? 0x40 : 0);
		m.mark[m.n++].size = entry_size;
		if (leaf) {
			page_bits = shift;
			break;
		}
		table = entry_size == 8 ? e & 0xffffffffff000 : e & 0xfffff000;
	}
	/* 4.6.1: one rule after the other. */
	if (user_mode) {
		if (!page_user || (write && !page_write) || (fetch && page_nx))
			return model_fault(m, base | 1);
	} else if (!page_user) { /* a supervisor-mode address */
		if ((write && wp && !page_write) || (fetch && page_nx))
			return model_fault(m, base | 1);
	} else if (fetch) {
		if (smep || page_nx)
			return model_fault(m, base | 1);
	} else {
		if (smap && (implicit || !ac))
			return model_fault(m, base | 1);
		if (write && wp && !page_write)
			return model_fault(m, base | 1);
	}
	if (entry_size == 8)
		m.out = (e & 0xffffffffff000) >> page_bits << page_bits;
	else if (page_bits == 22)
		m.out = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
	else
		m.out = e & 0xfffff000;
	m.out |= la & ((1ull << page_bits) - 1);
	return m;
}

/* ---- one comparison ---- */

static uint8_t image[RAM_PAGES * PAGE_SIZE]; /* what RAM held before a walk */

/* Walks for real and by the model; both must agree on the outcome and on every byte of memory afterwards. */
static int compare(const struct paging_regs *r, uint64_t la, unsigned access, unsigned width, bool no_1g)
{
	struct model m = model_walk(r, la, access, width, no_1g);
	static uint8_t after[sizeof(image)];
	uint32_t error = 0xdead;
	gpa_t out = gpa(0xdead);
	int err = guest_walk(mmu, r, gva(la), access, &out, &error);

	if (err != m.err || (!err && out.v != m.out) || (err == -E_FAULT && error != m.error))
		fail_msg(
			"la %#lx access %#x cr0 %#lx cr4 %#lx efer %#lx cpl %u: %d %#lx %#x, not %d %#lx %#x",
			la, access, r->cr0, r->cr4, r->efer, r->cpl, err, out.v, error, m.err, m.out,
			m.error);
	if (!(access & WALK_PEEK))
		for (unsigned i = 0; i < m.n; i++)
			if (m.mark[i].at < sizeof(image)) { /* an entry may occur twice: flags add up */
				uint64_t v = 0;

				memcpy(&v, image + m.mark[i].at, m.mark[i].size);
				v |= m.mark[i].new & 0x60;
				memcpy(image + m.mark[i].at, &v, m.mark[i].size);
			}
	assert_int_equal(guest_read(mmu, gpa(0), after, sizeof(after)), 0);
	if (memcmp(after, image, sizeof(after)) != 0)
		fail_msg("la %#lx access %#x: flags in memory are not as they should be", la, access);
	return err;
}

static void load_image(void)
{
	assert_int_equal(guest_write(mmu, gpa(0), image, sizeof(image)), 0);
}

static struct paging_regs regs_of(int mode)
{
	struct paging_regs r = { .cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000 };

	if (mode == 0)
		r.cr0 = CR0_PE;
	if (mode >= 2)
		r.cr4 |= CR4_PAE;
	if (mode >= 3)
		r.efer |= EFER_LMA | EFER_LME;
	if (mode == 4)
		r.cr4 |= CR4_LA57;
	for (unsigned i = 0; i < 4; i++)
		r.pdpte[i] = 0x1001 + i * 0x1000;
	return r;
}

static void random_rights(struct paging_regs *r)
{
	r->cr0 |= rnd(2) ? CR0_WP : 0;
	r->cr4 |= (rnd(2) ? CR4_SMEP : 0) | (rnd(2) ? CR4_SMAP : 0) | (rnd(2) ? CR4_PSE : 0);
	r->efer |= rnd(2) ? EFER_NXE : 0;
	r->rflags |= rnd(2) ? RFLAGS_AC : 0;
	r->cpl = (unsigned)rnd(2) * 3;
}

/* An address for an entry: mostly a page of the guest's RAM, so that tables refer to tables, in circles too. */
static uint64_t random_target(unsigned width)
{
	switch (rnd(20)) {
	case 0:
		return ROM_PAGE + rnd(4);
	case 1:
		return HIGH_PAGE + rnd(4);
	case 2:
		return RAM_PAGES + rnd(8); /* nothing there */
	case 3:
		return rnd(1ull << (width - 12));
	default:
		return rnd(RAM_PAGES);
	}
}

static uint64_t random_entry(bool wide, unsigned width)
{
	uint64_t e = random_target(width) << 12;

	e |= rnd(24) ? 1 : 0;
	e |= rnd(5) ? 2 : 0;
	e |= rnd(5) ? 4 : 0;
	e |= rnd(2) ? 0x20 : 0;
	e |= rnd(2) ? 0x40 : 0;
	e |= rnd(8) ? 0 : rnd(2) << 3 | rnd(2) << 4 | rnd(2) << 8 | rnd(8) << 9;
	if (!rnd(5)) { /* large, as a rule with a clean address */
		e |= 0x80;
		if (rnd(4))
			e &= wide ? (rnd(2) ? ~0x1fe000ull : ~0x3fffe000ull) : ~0x3fe000ull;
	}
	if (!wide)
		return e & 0xffffffff;
	e |= rnd(12) ? 0 : 1ull << 63;
	e |= rnd(30) ? 0 : 1ull << (width + rnd(63 - width));
	return e;
}

static void random_tables_agree_with_the_model(int mode, unsigned width, bool no_1g)
{
	static const unsigned accesses[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_READ | MMU_WRITE,
		MMU_READ | WALK_IMPLICIT, MMU_WRITE | WALK_IMPLICIT, MMU_READ | WALK_PEEK,
		MMU_WRITE | WALK_PEEK };
	unsigned good = 0, bad = 0;

	open_guest(width, no_1g);
	for (int round = 0; round < 60; round++) {
		bool wide = mode != 1;

		for (uint64_t at = 0; at < sizeof(image); at += wide ? 8 : 4) {
			uint64_t e = random_entry(wide, width);

			memcpy(image + at, &e, wide ? 8 : 4);
		}
		load_image();
		for (int i = 0; i < 60; i++) {
			struct paging_regs r = regs_of(mode);
			uint64_t la = rnd(2) ? rnd(1ull << 32) : (rnd(1ull << 32) << 32 | rnd(1ull << 32));

			random_rights(&r);
			r.cr3 = (rnd(16) ? rnd(RAM_PAGES) : random_target(width)) << 12 | rnd(2) << 3;
			for (unsigned p = 0; p < 4; p++)
				r.pdpte[p] = (rnd(RAM_PAGES) << 12) | (rnd(8) ? 1 : 0);
			if (mode >= 3 && rnd(32)) { /* canonical */
				unsigned unused = mode == 4 ? 7 : 16;

				la = (uint64_t)((int64_t)(la << unused) >> unused);
			}
			if (compare(&r, la, accesses[rnd(ARRAY_SIZE(accesses))], width, no_1g))
				bad++;
			else
				good++;
		}
	}
	close_guest();
	assert_true(good > 100 && (bad > 100 || mode == 0)); /* both are tried */
}

static void paging_off(void **state)
{
	random_tables_agree_with_the_model(0, WIDTH, false);
}
static void two_levels_of_32_bits(void **state)
{
	random_tables_agree_with_the_model(1, WIDTH, false);
	random_tables_agree_with_the_model(1, 36, false);
	random_tables_agree_with_the_model(1, 46, false);
}
static void pae(void **state)
{
	random_tables_agree_with_the_model(2, WIDTH, false);
	random_tables_agree_with_the_model(2, 36, true);
}
static void four_levels(void **state)
{
	random_tables_agree_with_the_model(3, WIDTH, false);
	random_tables_agree_with_the_model(3, 46, false);
	random_tables_agree_with_the_model(3, 36, true);
}
static void five_levels(void **state)
{
	random_tables_agree_with_the_model(4, WIDTH, false);
	random_tables_agree_with_the_model(4, 45, true);
}

/* One chain of tables in pages 1 to 5; la 0 goes through entry 0 of each. Leaf at level `leaf`. */
static void chain(int mode, unsigned leaf, uint64_t upper, uint64_t last)
{
	unsigned top = mode == 1 || mode == 2 ? 2 : (unsigned)mode + 1, size = mode == 1 ? 4 : 8;

	memset(image, 0, sizeof(image));
	for (unsigned l = top, page = 1; l >= leaf; l--, page++) {
		uint64_t e = l == leaf ? last | (l > 1 ? 0x80 : 0x6000) : (page + 1) << 12 | upper;

		memcpy(image + page * PAGE_SIZE, &e, size);
	}
	load_image();
}

/* Every combination of mode, page size, rights of directory and page, CR0.WP, SMEP, SMAP, NXE, AC, CPL and access. */
static void rights_cross_product(void **state)
{
	static const unsigned accesses[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_READ | WALK_IMPLICIT,
		MMU_WRITE | WALK_IMPLICIT };
	unsigned long outcomes[2] = { 0 };

	open_guest(WIDTH, false);
	for (int mode = 1; mode <= 4; mode++)
		for (unsigned leaf = 1; leaf <= (mode >= 3 ? 3u : 2u); leaf++)
			for (unsigned rights = 0; rights < (mode == 1 ? 16 : 64); rights++) {
				uint64_t upper = 1 | (rights & 3) << 1 | (uint64_t)(rights >> 4 & 1) << 63;
				uint64_t last =
					1 | (rights >> 2 & 3) << 1 | (uint64_t)(rights >> 5 & 1) << 63;

				chain(mode, leaf, upper, last);
				for (unsigned c = 0; c < 64; c++) {
					struct paging_regs r = regs_of(mode);

					r.cr0 |= c & 1 ? CR0_WP : 0;
					r.cr4 |= CR4_PSE | (c & 2 ? CR4_SMEP : 0) | (c & 4 ? CR4_SMAP : 0);
					r.efer |= c & 8 ? EFER_NXE : 0;
					r.rflags = c & 16 ? RFLAGS_AC : 0;
					r.cpl = c & 32 ? 3 : 0;
					for (unsigned a = 0; a < ARRAY_SIZE(accesses); a++)
						outcomes[compare(&r, 0x123,
								 accesses[a] | (c & 1 ? 0 : WALK_PEEK), WIDTH,
								 false) != 0]++;
				}
			}
	close_guest();
	assert_true(outcomes[0] > 10000 && outcomes[1] > 10000);
}

/* Each bit of each entry, alone, in each mode: reserved, ignored or meant. */
static void every_bit_of_every_entry(void **state)
{
	static const unsigned widths[] = { 36, 40, 46 };

	for (unsigned w = 0; w < ARRAY_SIZE(widths); w++) {
		open_guest(widths[w], w == 2);
		for (int mode = 1; mode <= 4; mode++)
			for (unsigned leaf = 1; leaf <= (mode >= 3 ? 3u : 2u); leaf++) {
				unsigned top = mode <= 2 ? 2 : (unsigned)mode + 1;

				for (unsigned l = leaf; l <= top; l++)
					for (unsigned b = 0; b < (mode == 1 ? 32 : 64); b++)
						for (int nxe = 0; nxe < 2; nxe++) {
							struct paging_regs r = regs_of(mode);
							unsigned page = 1 + top - l;

							r.efer |= nxe ? EFER_NXE : 0;
							r.cr4 |= CR4_PSE;
							chain(mode, leaf, 7, 7);
							image[page * PAGE_SIZE + b / 8] ^=
								(uint8_t)(1 << b % 8);
							load_image();
							compare(&r, 0x456, MMU_READ, widths[w], w == 2);
							compare(&r, 0x456, MMU_EXEC, widths[w], w == 2);
						}
			}
		close_guest();
	}
}

static void record_tells_every_level(void **state)
{
	struct guest_walk w;
	struct paging_regs r = regs_of(3);

	open_guest(WIDTH, false);
	chain(3, 1, 7, 3);
	assert_int_equal(guest_walk_record(mmu, &r, gva(0x10), MMU_WRITE, &w), 0);
	assert_int_equal(w.top, 4);
	assert_int_equal(w.leaf, 1);
	assert_int_equal(w.shift, 12);
	assert_int_equal(w.out.v, 0x6010);
	for (unsigned l = 4; l >= 1; l--) {
		uint64_t now;

		assert_int_equal(w.step[l - 1].at.v, (5 - l) * PAGE_SIZE);
		assert_int_equal(guest_read(mmu, w.step[l - 1].at, &now, 8), 0);
		assert_int_equal(w.step[l - 1].entry, now); /* with the flags that were set */
		assert_int_equal(now & 0x60, l == 1 ? 0x60 : 0x20);
	}
	assert_int_equal(w.all & (PTE_U | PTE_W), PTE_W);
	/* A fault says how far it came. */
	chain(3, 2, 0, 1);
	image[PAGE_SIZE] |= 1;
	load_image();
	assert_int_equal(guest_walk_record(mmu, &r, gva(0x10), MMU_READ, &w), -E_FAULT);
	assert_int_equal(w.leaf, 3);
	assert_int_equal(w.error_code, 0);
	r = regs_of(2);
	r.pdpte[3] = 0;
	assert_int_equal(guest_walk_record(mmu, &r, gva(0xc0000000), MMU_READ, &w), -E_FAULT);
	assert_int_equal(w.leaf, 3);
	assert_int_equal(w.step[2].at.v, WALK_LATCHED);
	r = regs_of(0);
	assert_int_equal(guest_walk_record(mmu, &r, gva(0x123456789), MMU_EXEC, &w), 0);
	assert_int_equal(w.top, 0);
	assert_int_equal(w.out.v, 0x23456789);
	close_guest();
}

static void tables_in_rom_keep_their_flags(void **state)
{
	uint64_t entries[512] = { 0 }, now;
	struct paging_regs r = regs_of(3);
	gpa_t out;
	uint32_t error;

	open_guest(WIDTH, false);
	r.cr3 = ROM_PAGE << 12;
	for (unsigned p = 0; p < 4; p++) {
		entries[0] = (p == 3 ? 5 : ROM_PAGE + p + 1) << 12 | 7;
		assert_int_equal(
			guest_write_rom(mmu, gpa((ROM_PAGE + p) << 12), entries, sizeof(entries)), 0);
	}
	assert_int_equal(guest_walk(mmu, &r, gva(0x18), MMU_WRITE, &out, &error), 0);
	assert_int_equal(out.v, 0x5018);
	assert_int_equal(guest_read(mmu, gpa(ROM_PAGE << 12), &now, 8), 0);
	assert_int_equal(now & 0x60, 0);
	close_guest();
}

/* What was found in one version of the map must not be believed in the next. */
static void a_slot_that_goes_takes_its_tables_along(void **state)
{
	struct paging_regs r = regs_of(3);
	struct mmu_ticket t;
	uint32_t error = 0;
	uint64_t other = 0x9007;
	gpa_t out;

	open_guest(WIDTH, false);
	chain(3, 1, 7, 7);
	assert_int_equal(guest_walk(mmu, &r, gva(8), MMU_READ, &out, &error), 0);
	assert_int_equal(out.v, 0x6008);
	/* Other RAM in its place, where the last table says something else. */
	assert_int_equal(slot_delete(mmu, ram_slot, &t), 0);
	assert_int_equal(guest_walk(mmu, &r, gva(8), MMU_READ, &out, &error), -E_FAULT);
	assert_int_equal(error, PF_PRESENT | PF_RSVD); /* all ones */
	assert_int_equal(
		slot_add(mmu, &(struct slot_desc){ .base = gfn(0), .pages = RAM_PAGES / 2, .backing = ram },
			&ram_slot),
		0);
	assert_int_equal(guest_write(mmu, gpa(0x4000), &other, 8), 0);
	assert_int_equal(guest_walk(mmu, &r, gva(8), MMU_READ, &out, &error), 0);
	assert_int_equal(out.v, 0x9008);
	assert_int_equal(slot_move(mmu, ram_slot, gfn(RAM_PAGES), &t), 0);
	assert_int_equal(guest_walk(mmu, &r, gva(8), MMU_READ, &out, &error), -E_FAULT);
	r.cr3 = (RAM_PAGES + 4) << 12;
	other = 0;
	assert_int_equal(guest_write(mmu, gpa((RAM_PAGES + 4) << 12), &other, 8), 0);
	assert_int_equal(guest_walk(mmu, &r, gva(8), MMU_READ, &out, &error), -E_FAULT);
	assert_int_equal(error, 0);
	close_guest();
}

/* Another CPU rewrites the leaf all the time: each answer must be one of the two, and no write of its may be lost. */
static volatile bool stop;
static uint64_t *leaf_in_host;

static void *hammer(void *arg)
{
	unsigned long *lost = arg;

	for (uint64_t i = 0; !stop; i++) {
		uint64_t want = (i & 1 ? 0x6000 : 0x7000) | 7, seen;

		__atomic_store_n(leaf_in_host, want, __ATOMIC_SEQ_CST);
		seen = __atomic_load_n(leaf_in_host, __ATOMIC_SEQ_CST);
		if ((seen & ~0x60ull) != want)
			++*lost;
	}
	return NULL;
}

static void flags_are_set_without_losing_what_others_write(void **state)
{
	struct paging_regs r = regs_of(3);
	unsigned long lost = 0;
	pthread_t thread;

	open_guest(WIDTH, false);
	chain(3, 1, 0x27, 7);
	for (uint64_t *p = pfn_to_virt(hpa_to_pfn(arena.base)), *e = p + arena.bytes / 8; p < e; p += 512)
		if (p[0] == 0x6007 && !p[1])
			leaf_in_host = p;
	assert_non_null(leaf_in_host);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, hammer, &lost), 0);
	for (int i = 0; i < 300000; i++) {
		gpa_t out = gpa(0);
		uint32_t error;
		int err = guest_walk(mmu, &r, gva(0x8), MMU_WRITE, &out, &error);

		assert_true(err == 0 || err == -E_AGAIN);
		if (!err)
			assert_true(out.v == 0x6008 || out.v == 0x7008);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(lost, 0);
	close_guest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paging_off),
		cmocka_unit_test(two_levels_of_32_bits),
		cmocka_unit_test(pae),
		cmocka_unit_test(four_levels),
		cmocka_unit_test(five_levels),
		cmocka_unit_test(rights_cross_product),
		cmocka_unit_test(every_bit_of_every_entry),
		cmocka_unit_test(record_tells_every_level),
		cmocka_unit_test(tables_in_rom_keep_their_flags),
		cmocka_unit_test(a_slot_that_goes_takes_its_tables_along),
		cmocka_unit_test(flags_are_set_without_losing_what_others_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
