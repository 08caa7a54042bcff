/* SPDX-License-Identifier: MIT */
/* The hypervisor's own address space, what grows in it: the MMIO window and the stacks. And what it is asked. */
#include "mm/host/hostmap.h"

#include "lib/assert.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "mm/host/hostmap_internal.h"

struct stack {
	uint64_t base;
	uint32_t pages;
	uint32_t cpu;
	const char *what;
};

static uint64_t mmio_next, stacks_next; /* by hostmap_lock, as all here */
static struct stack stacks[HOSTMAP_STACKS_MAX];
static unsigned nstacks;

void hostmap_windows_reset(void)
{
	mmio_next = MMIO_BASE;
	stacks_next = STACKS_BASE;
	nstacks = 0;
}

/* Whether all or any of [at, at + bytes) is in the direct map. */
static void is_ram(uint64_t at, uint64_t bytes, bool *all, bool *any)
{
	uint64_t end = at + bytes;
	struct host_leaf leaf;

	*all = true;
	*any = false;
	while (at < end) {
		bool found =
			at < DIRECT_MAP_BYTES && host_tables_find(&hostmap_main, DIRECT_MAP_BASE + at, &leaf);

		*all &= found;
		*any |= found;
		at = found ? align_down(at, leaf.bytes) + leaf.bytes : at + PAGE_SIZE;
		if (*any && !*all)
			return;
	}
}

void *hostmap_mmio(hpa_t at, uint64_t bytes, enum memtype mt)
{
	uint64_t first = align_down(at.v, PAGE_SIZE), size, va, bits, unit = PAGE_SIZE;
	bool all, any;
	int err = -E_NOMEM;

	ASSERT(mt == MT_UC || mt == MT_WC || mt == MT_WB);
	if (!bytes || !range_within(at.v, bytes, BIT(52)) || bytes > WINDOW_BYTES)
		return NULL;
	size = align_up(at.v + bytes, PAGE_SIZE) - first;
	is_ram(first, size, &all, &any);
	if (all && mt == MT_WB)
		return (void *)(DIRECT_MAP_BASE + at.v);
	if (any && mt != MT_WB) {
		log_error("device memory at %#lx is said to be RAM by the firmware's map: not mapped", at.v);
		return NULL;
	}
	bits = mt == MT_WB ? MAP_R : MAP_RW | (mt == MT_WC ? MAP_WC : MAP_UC);
	if (size >= 2 * MiB) /* as far past 2 MiB as the memory is, so that large pages fit */
		unit = 2 * MiB;

	spin_lock(&hostmap_lock);
	va = align_up(mmio_next, unit) + first % unit;
	if (range_within(va - MMIO_BASE, size, WINDOW_BYTES))
		err = host_tables_map(&hostmap_main, va, hpa(first), size, bits);
	if (!err)
		mmio_next = va + size;
	spin_unlock(&hostmap_lock);
	return err ? NULL : (void *)(va + at.v % PAGE_SIZE);
}

/* Maps `pages` of new frames at va; on failure none. */
static int map_stack(uint64_t va, unsigned pages)
{
	unsigned i;
	pfn_t f;

	for (i = 0; i < pages; i++) {
		if (frame_alloc(FRAME_4K, OWNER_LETHE, &f))
			break;
		if (host_tables_map(&hostmap_main, va + i * PAGE_SIZE, pfn_to_hpa(f), PAGE_SIZE, MAP_RW)) {
			frame_free(FRAME_4K, OWNER_LETHE, f);
			break;
		}
	}
	if (i == pages)
		return 0;
	while (i--) {
		struct host_leaf leaf;

		ASSERT(host_tables_find(&hostmap_main, va + i * PAGE_SIZE, &leaf));
		host_tables_unmap(&hostmap_main, va + i * PAGE_SIZE, PAGE_SIZE);
		hostmap_flush(va + i * PAGE_SIZE);
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(leaf.at));
	}
	return -E_NOMEM;
}

void *hostmap_stack(unsigned pages, const char *what, unsigned cpu)
{
	uint64_t bytes = pages * PAGE_SIZE;
	struct stack *s = NULL;

	ASSERT(pages);
	spin_lock(&hostmap_lock);
	/* | guard | pages | guard of this one, and below the next | */
	if (nstacks < HOSTMAP_STACKS_MAX &&
		range_within(stacks_next - STACKS_BASE, bytes + 2 * PAGE_SIZE, WINDOW_BYTES) &&
		!map_stack(stacks_next + PAGE_SIZE, pages)) {
		s = &stacks[nstacks++];
		*s = (struct stack){
			.base = stacks_next + PAGE_SIZE, .pages = pages, .cpu = cpu, .what = what
		};
		stacks_next = s->base + bytes;
	}
	spin_unlock(&hostmap_lock);
	return s ? (void *)(s->base + bytes) : NULL;
}

bool hostmap_readable(const void *at, size_t n)
{
	uint64_t va = (uint64_t)at, left = n;
	struct host_leaf leaf;

	if (!hostmap_main.levels || va + n < va)
		return false;
	while (left) {
		uint64_t here;

		if (!host_tables_find(&hostmap_main, va, &leaf))
			return false;
		here = min(left, leaf.bytes - va % leaf.bytes);
		va += here;
		left -= here;
	}
	return true;
}

const char *hostmap_guard_name(uint64_t at)
{
	static char text[96];

	if (at < PAGE_SIZE)
		return "the null page";
	for (unsigned i = 0; i < nstacks; i++) {
		const struct stack *s = &stacks[i];
		bool below = at >= s->base - PAGE_SIZE && at < s->base;
		uint64_t top = s->base + s->pages * PAGE_SIZE;

		if (!below && !(i + 1 == nstacks && at >= top && at < top + PAGE_SIZE))
			continue;
		fmt_snprintf(text, sizeof(text), "guard page %s the %s of CPU %u%s",
			below ? "below" : "above", s->what, s->cpu, below ? ": it overflowed" : "");
		return text;
	}
	return NULL;
}
