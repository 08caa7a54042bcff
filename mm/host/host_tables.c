/* SPDX-License-Identifier: MIT */
/* The tables of the hypervisor's own page maps: walking and changing them. */
#include "mm/host/host_tables.h"

#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/x86.h"

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static uint64_t level_bytes(unsigned level)
{
	return BIT(level_shift(level));
}

static bool is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level <= 3 && (entry & PTE_PS));
}

/* Where a leaf of this level keeps its address: large ones have PAT in bit 12. */
static uint64_t leaf_address(uint64_t entry, unsigned level)
{
	return entry & PTE_ADDR & ~(level_bytes(level) - 1);
}

static uint64_t leaf_make(hpa_t at, unsigned level, uint64_t bits)
{
	uint64_t e = at.v | (bits & (PTE_W | PTE_NX | PTE_PWT | PTE_PCD)) | PTE_P;

	if (level == 1)
		return e | (bits & PTE_PAT4K);
	return e | PTE_PS | (bits & PTE_PAT4K ? PTE_PATLARGE : 0);
}

static uint64_t leaf_bits(uint64_t entry, unsigned level)
{
	uint64_t bits = entry & (PTE_W | PTE_NX | PTE_PWT | PTE_PCD);

	return bits | (entry & (level == 1 ? PTE_PAT4K : PTE_PATLARGE) ? PTE_PAT4K : 0);
}

/* A table in place of what *entry, of `level`, holds: empty, or 512 leaves that say what the large one said. */
static bool make_table(uint64_t *entry, unsigned level)
{
	uint64_t *table = frame_alloc_zeroed(OWNER_LETHE);

	if (!table)
		return false;
	if (*entry & PTE_P)
		for (unsigned i = 0; i < 512; i++)
			table[i] = leaf_make(hpa(leaf_address(*entry, level) + i * level_bytes(level - 1)),
				level - 1, leaf_bits(*entry, level));
	atomic_store(entry, virt_to_hpa(table).v | PTE_P | PTE_W);
	return true;
}

static uint64_t *entry_in(hpa_t table, uint64_t va, unsigned level)
{
	return (uint64_t *)hpa_to_virt(table) + (va >> level_shift(level)) % 512;
}

/* The entry for va at `level`, with tables made and large leaves split on the way. NULL: no memory. */
static uint64_t *entry_at(struct host_tables *t, uint64_t va, unsigned level)
{
	hpa_t table = t->root;

	for (unsigned l = t->levels; l > level; l--) {
		uint64_t *e = entry_in(table, va, l);

		if ((!(*e & PTE_P) || is_leaf(*e, l)) && !make_table(e, l))
			return NULL;
		table = hpa(*e & PTE_ADDR);
	}
	return entry_in(table, va, level);
}

int host_tables_init(struct host_tables *t, unsigned levels, bool pages_1g)
{
	void *root = frame_alloc_zeroed(OWNER_LETHE);

	ASSERT(levels == 4 || levels == 5);
	if (!root)
		return -E_NOMEM;
	*t = (struct host_tables){ .root = virt_to_hpa(root), .levels = levels, .pages_1g = pages_1g };
	return 0;
}

int host_tables_map(struct host_tables *t, uint64_t va, hpa_t at, uint64_t bytes, uint64_t bits)
{
	ASSERT(is_aligned(va | at.v | bytes, PAGE_SIZE) && !(bits & ~LEAF_BITS));
	while (bytes) {
		unsigned level = t->pages_1g ? 3 : 2;
		uint64_t *e;

		while (level > 1 &&
			(!is_aligned(va | at.v, level_bytes(level)) || bytes < level_bytes(level)))
			level--;
		e = entry_at(t, va, level);
		/* A table where a large leaf could stand is kept: its entries are changed one by one. */
		while (level > 1 && e && (*e & PTE_P) && !is_leaf(*e, level))
			e = entry_at(t, va, --level);
		if (!e)
			return -E_NOMEM;
		atomic_store(e, leaf_make(at, level, bits));
		va += level_bytes(level);
		at.v += level_bytes(level);
		bytes -= level_bytes(level);
	}
	return 0;
}

int host_tables_unmap(struct host_tables *t, uint64_t va, uint64_t bytes)
{
	ASSERT(is_aligned(va | bytes, PAGE_SIZE));
	while (bytes) {
		struct host_leaf leaf;
		uint64_t step = PAGE_SIZE, *e;

		if (host_tables_find(t, va, &leaf)) {
			if (is_aligned(va, leaf.bytes) && bytes >= leaf.bytes) {
				e = leaf.entry;
				step = leaf.bytes;
			} else {
				e = entry_at(t, va, 1);
				if (!e)
					return -E_NOMEM;
			}
			atomic_store(e, 0);
		}
		va += step;
		bytes -= step;
	}
	return 0;
}

int host_tables_reserve(struct host_tables *t, uint64_t va)
{
	return entry_at(t, va, 3) ? 0 : -E_NOMEM;
}

bool host_tables_find(const struct host_tables *t, uint64_t va, struct host_leaf *out)
{
	hpa_t table = t->root;

	if (!is_canonical(va, level_shift(t->levels + 1)))
		return false;
	for (unsigned l = t->levels; l; l--) {
		uint64_t *p = (uint64_t *)hpa_to_virt(table) + (va >> level_shift(l)) % 512,
			 e = atomic_load(p);

		if (!(e & PTE_P))
			return false;
		if (is_leaf(e, l)) {
			*out = (struct host_leaf){
				.entry = p,
				.level = l,
				.bytes = level_bytes(l),
				.at = hpa(leaf_address(e, l) + va % level_bytes(l)),
			};
			return true;
		}
		table = hpa(e & PTE_ADDR);
	}
	return false;
}
