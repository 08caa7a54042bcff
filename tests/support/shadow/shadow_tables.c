/* SPDX-License-Identifier: MIT */
/* The guest's tables: what is written into them, by vCPUs and by devices. */
#include <string.h>

#include "mm/space/guest_mem.h"
#include "tests/support/shadow/shadow_sim_internal.h"

/* In an orderly guest, most tables are of one level: 5 and 4 that are roots, ..., 1. All others are of level 1. */
static const uint8_t levels[WIDE + NARROW] = { 5, 5, 4, 4, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1,
	/* narrow: */ 2, 2, 2, 1, 1, 1 };

static unsigned level_of(uint64_t gfn)
{
	for (unsigned t = 0; t < WIDE + NARROW; t++)
		if (shadow_sim.table[t] == gfn)
			return levels[t];
	return 1;
}

/* A table that an entry of the table in frame `from` leads to. */
static uint64_t table(bool wide, uint64_t from)
{
	unsigned level = shadow_sim.orderly && below(12) ? level_of(from) : 0;

	if (shadow_sim.c->mixed && !below(8))
		wide = !wide;
	for (unsigned tries = 0; level > 1 && tries < 64; tries++) {
		unsigned t = (unsigned)(wide ? below(WIDE) : WIDE + below(NARROW));

		if (levels[t] == level - 1)
			return shadow_sim.table[t];
	}
	if (below(3) || shadow_sim.ntables == WIDE + NARROW)
		return shadow_sim.table[wide ? below(WIDE) : WIDE + below(NARROW)];
	/* Those in the BAR, in ROM, and the aliases are of any kind. */
	return shadow_sim.table[WIDE + NARROW + below(shadow_sim.ntables - WIDE - NARROW)];
}

uint64_t shadow_tables_root(bool wide)
{
	if (shadow_sim.c->mixed && !below(20))
		wide = !wide;
	return shadow_sim.table[wide ? below(4) : WIDE + below(3)];
}

/* Where an entry may lead. */
static uint64_t target(bool wide, uint64_t from)
{
	switch (below(16)) {
	case 0:
		return below(RAM_PAGES - 200);
	case 1:
		return BAR + below(2) * BAR_STEP + below(BAR_PAGES);
	case 2:
		return below(2) ? HOLE + below(4) : ROM + below(ROM_PAGES);
	default:
		return table(wide, from);
	}
}

static uint64_t rights(void)
{
	uint64_t e = PTE_P | (below(8) ? PTE_W : 0) | (below(8) ? PTE_U : 0);

	return e | (below(2) ? PTE_A : 0) | (below(2) ? PTE_D : 0) | (below(8) ? 0 : PTE_G);
}

static uint64_t random_wide(uint64_t from)
{
	uint64_t e = rights() | (below(16) ? 0 : PTE_NX);

	switch (below(40)) {
	case 0:
		return 0;
	case 1:
		return (below(2) ? e & ~PTE_P : e) | target(true, from) << PAGE_SHIFT | below(8) << 9;
	case 2:
	case 3:
		return e | PTE_PS | below(RAM_PAGES / 512) << 21; /* large; a level up, 1 GiB from 0 */
	case 4:
		return e | PTE_PS | (below(2) ? BIT(13) : 0) | (below(2) ? PTE_PATLARGE : 0);
	case 5:
		return e | BIT(GUEST_WIDTH + below(52 - GUEST_WIDTH)) | target(true, from) << PAGE_SHIFT;
	default:
		return e | target(true, from) << PAGE_SHIFT;
	}
}

static uint32_t random_narrow(uint64_t from)
{
	uint32_t e = (uint32_t)rights();

	switch (below(40)) {
	case 0:
		return 0;
	case 1:
		return below(2) ? e & ~(uint32_t)PTE_P : e | 0xfffff000u;
	case 2:
	case 3:
		return e | (uint32_t)PTE_PS | (uint32_t)(below(RAM_PAGES / 1024) << 22);
	case 4: /* PSE-36, and a reserved bit */
		return e | (uint32_t)PTE_PS | (uint32_t)(below(8) << 13) | (below(2) ? 1u << 21 : 0);
	default:
		return e | (uint32_t)(target(false, from) << PAGE_SHIFT);
	}
}

/* One of the bits that matter, or the frame, is another. */
static uint64_t change(uint64_t e, bool wide, uint64_t from)
{
	static const uint64_t bits[] = { PTE_P, PTE_W, PTE_W, PTE_U, PTE_A, PTE_A, PTE_D, PTE_D, PTE_D,
		PTE_PS, PTE_G, PTE_PCD };

	switch (below(8)) {
	case 0:
		return (e & ~(uint64_t)(wide ? PTE_ADDR : BITS(31, 12))) | target(wide, from) << PAGE_SHIFT;
	case 1:
		return wide ? e ^ PTE_NX : e ^ PTE_W;
	case 2: /* it comes back */
		return e | PTE_P | PTE_W | PTE_U;
	default:
		return e ^ bits[below(ARRAY_SIZE(bits))];
	}
}

/* What is in the eight bytes at a gpa. */
static uint64_t what_is_at(uint64_t at)
{
	uint64_t frame = shadow_model_frame(at >> PAGE_SHIFT);

	return frame ? atomic_load(
			       (uint64_t *)hpa_to_virt(hpa(frame << PAGE_SHIFT | (at & PAGE_MASK & ~7ull))))
		     : 0;
}

/* Eight bytes for a table: one entry or two, mostly of the kind that the table is for. was: what is there. */
static uint64_t random_entry(uint64_t gfn, uint64_t was)
{
	bool wide = below(8) != 0, same = was && below(3);
	uint64_t hot = was && !below(4) ? shadow_vcpu_hot_entry() : 0;

	/* A table that is in use is linked once more. */
	if (hot)
		return what_is_at(hot);

	for (unsigned t = WIDE; t < WIDE + NARROW; t++)
		if (shadow_sim.table[t] == gfn)
			wide = false;
	if (shadow_sim.c->mixed && !below(8))
		wide = !wide;
	if (wide)
		return same ? change(was, true, gfn) : random_wide(gfn);
	if (!same)
		return random_narrow(gfn) | (uint64_t)random_narrow(gfn) << 32;
	return below(2) ? (was & ~(uint64_t)UINT32_MAX) | (uint32_t)change((uint32_t)was, false, gfn)
			: (was & UINT32_MAX) | change(was >> 32, false, gfn) << 32;
}

void shadow_tables_init(void)
{
	unsigned n = 0;

	/* The first two are neighbours: a store may cross from one to the other. */
	for (; n < WIDE + NARROW; n++)
		shadow_sim.table[n] = n < 2 ? 5 + n : n < 6 ? 10 + n * 7 : 5 + n * 60;
	for (unsigned i = 0; i < 4; i++) {
		shadow_sim.table[n++] = BAR + i;
		shadow_sim.table[n++] = BAR + BAR_STEP + i;
	}
	for (unsigned i = 0; i < 2; i++)
		shadow_sim.table[n++] = ROM + i;
	for (unsigned i = 0; i < 6 && shadow_sim.c->alias; i++)
		shadow_sim.table[n++] = ALIAS + shadow_sim.table[i];
	shadow_sim.ntables = n;
	for (unsigned t = 0; t < n; t++)
		shadow_model_table(shadow_sim.table[t]);
	/* To begin with, each links a few others. */
	for (unsigned t = 0; t < n; t++) {
		uint64_t gfn = shadow_sim.table[t];
		unsigned op = shadow_model_begin(gfn, 1);

		for (unsigned c = 0; c < MODEL_CELLS; c++) {
			uint64_t e = random_entry(gfn, 0);

			guest_write_rom(
				shadow_sim.mmu, gpa(gfn << PAGE_SHIFT | shadow_model_index[c] * 8u), &e, 8);
		}
		shadow_model_end(op);
	}
}

static uint64_t gfn_of_frame(uint64_t frame)
{
	for (unsigned t = 0; t < shadow_sim.ntables; t++)
		if (shadow_model_frame(shadow_sim.table[t]) == frame)
			return shadow_sim.table[t];
	return 0;
}

static bool is_cell(uint64_t address)
{
	for (unsigned c = 0; c < MODEL_CELLS; c++)
		if ((address & PAGE_MASK) / 8 == shadow_model_index[c])
			return true;
	return false;
}

void shadow_tables_store(uint64_t address)
{
	uint64_t frame = address >> PAGE_SHIFT, gfn = gfn_of_frame(frame), e;
	unsigned op;

	if (!gfn || !is_cell(address))
		return;
	op = shadow_model_begin_frame(frame);
	e = random_entry(gfn, what_is_at(gfn << PAGE_SHIFT | (address & PAGE_MASK)));
	if ((address & 7) || below(2))
		atomic_store(
			(uint32_t *)hpa_to_virt(hpa(address & ~3ull)), (uint32_t)(address & 4 ? e >> 32 : e));
	else
		atomic_store((uint64_t *)hpa_to_virt(hpa(address)), e);
	shadow_model_end(op);
	shadow_seen.stores++;
}

static bool cmpxchg(uint64_t at, uint64_t e, size_t n)
{
	uint64_t old = 0;

	return !guest_read(shadow_sim.mmu, gpa(at), &old, n) &&
	       !guest_cmpxchg(shadow_sim.mmu, gpa(at), &old, n == 4 ? (uint32_t)e : e, n);
}

/* A store by the host, of 4 or 8 bytes: aligned or not, locked or not. */
static void host_store(uint64_t at)
{
	uint64_t e = random_entry(at >> PAGE_SHIFT, what_is_at(at));
	unsigned op = shadow_model_begin(at >> PAGE_SHIFT, 2);
	size_t n = (at & 7) || !below(3) ? 4 : 8;
	uint64_t changes = shadow_slots_changes();
	bool done;

	/* Between cells that are neighbours, it may be misaligned. */
	if ((at & PAGE_MASK) < 4 * 8 && !below(4))
		done = !guest_write(shadow_sim.mmu, gpa(at + 1 + below(7)), &e, n);
	else if (!below(3))
		done = cmpxchg(at, e, n);
	else
		done = !guest_write(shadow_sim.mmu, gpa(at), &e, n);
	shadow_model_end(op);
	if (done && changes == shadow_slots_changes())
		shadow_slots_written(shadow_model_frame(at >> PAGE_SHIFT));
}

bool shadow_tables_emulate(struct shadow_vcpu *v)
{
	uint64_t at = v->v.fault_at.v & ~3ull;

	shadow_seen.tables++;
	if (!below(6)) {
		shadow_unprotect(&v->v, gpa(at));
		shadow_seen.unprotected++;
		return false;
	}
	if (gfn_of_frame(shadow_model_frame(at >> PAGE_SHIFT)) && is_cell(at))
		host_store(at);
	shadow_seen.emulated++;
	return true;
}

void shadow_tables_device(void)
{
	uint64_t gfn = shadow_sim.table[below(shadow_sim.ntables)];
	uint64_t at = gfn << PAGE_SHIFT | shadow_model_index[below(MODEL_CELLS)] * 8u;

	shadow_seen.device_stores++;
	if (gfn == shadow_sim.table[0] && !below(4)) {
		/* Over the boundary to the next. */
		uint64_t e = random_entry(gfn, 0);
		unsigned op = shadow_model_begin(gfn, 2);

		guest_write(shadow_sim.mmu, gpa((gfn << PAGE_SHIFT) + PAGE_SIZE - 1 - below(7)), &e, 8);
		shadow_model_end(op);
		return;
	}
	if (below(2)) {
		uint64_t hot = shadow_vcpu_hot_entry();

		if (hot && is_cell(hot) && gfn_of_frame(shadow_model_frame(hot >> PAGE_SHIFT)))
			at = hot;
	}
	host_store(at & 7 || below(4) ? at : at | 4);
}
