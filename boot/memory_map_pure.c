/* SPDX-License-Identifier: MIT */
/*
 * Building the memory map. A range r is added by walking over what is there, from left to right:
 *
 *	there       [  usable  ]        [ reserved ]
 *	r       [          boot              ]
 *	after   [  ][  boot    ][ boot ][ reserved ]
 *	        gap  r stricter   gap     r weaker
 */
#include "boot/memory_map.h"

#include "lib/bits.h"
#include "lib/string.h"

/* EFI_MEMORY_TYPE (UEFI 7.2, table "Memory Type Usage after ExitBootServices()"). */
static enum mem_type type_of(uint32_t uefi)
{
	switch (uefi) {
	case 1: /* EfiLoaderCode */
	case 2: /* EfiLoaderData */
		return MEM_BOOT;
	case 3: /* EfiBootServicesCode */
	case 4: /* EfiBootServicesData */
		return MEM_BOOT_SERVICES;
	case 5:
		return MEM_RUNTIME_CODE;
	case 6:
		return MEM_RUNTIME_DATA;
	case 7: /* EfiConventionalMemory */
		return MEM_USABLE;
	case 9:
		return MEM_ACPI_RECLAIM;
	case 10:
		return MEM_ACPI_NVS;
	case 11: /* EfiMemoryMappedIO */
	case 12: /* EfiMemoryMappedIOPortSpace */
		return MEM_MMIO;
	default: /* reserved, unusable, persistent, unaccepted, and what later versions add */
		return MEM_RESERVED;
	}
}

#define ATTRIBUTE_WB BIT(3)  /* can be cached */
#define ATTRIBUTE_SP BIT(18) /* specific purpose: not for general use */

static bool is_ram_for_us(enum mem_type t)
{
	return t == MEM_USABLE || t == MEM_BOOT || t == MEM_BOOT_SERVICES;
}

/* How little Lethe may do with it. */
static int strictness(enum mem_type t)
{
	static const uint8_t rank[] = {
		[MEM_USABLE] = 0,
		[MEM_BOOT_SERVICES] = 1,
		[MEM_BOOT] = 2,
		[MEM_ACPI_RECLAIM] = 3,
		[MEM_ACPI_NVS] = 4,
		[MEM_RUNTIME_DATA] = 5,
		[MEM_RUNTIME_CODE] = 6,
		[MEM_MMIO] = 7,
		[MEM_RESERVED] = 8,
	};

	return rank[t];
}

static uint64_t start_of(const struct mem_range *r)
{
	return r->base.v;
}

static uint64_t end_of(const struct mem_range *r)
{
	return r->base.v + r->pages * PAGE_SIZE;
}

static bool insert(
	struct memory_map *m, unsigned at, const struct mem_range *like, uint64_t start, uint64_t end)
{
	if (m->n == m->max)
		return false;
	memmove(&m->range[at + 1], &m->range[at], (m->n - at) * sizeof(m->range[0]));
	m->range[at] = *like;
	m->range[at].base = hpa(start);
	m->range[at].pages = (end - start) / PAGE_SIZE;
	m->n++;
	return true;
}

/* Cuts range i in two at an address within it. */
static bool split(struct memory_map *m, unsigned i, uint64_t at)
{
	uint64_t end = end_of(&m->range[i]);

	if (!insert(m, i + 1, &m->range[i], at, end))
		return false;
	m->range[i].pages = (at - start_of(&m->range[i])) / PAGE_SIZE;
	return true;
}

static void retype(struct mem_range *to, const struct mem_range *r)
{
	to->type = r->type;
	to->uefi_type = r->uefi_type;
	to->attributes = r->attributes;
}

/* Range i is there and weaker, and r reaches into it from start on. Returns where r goes on. */
static uint64_t overrule(
	struct memory_map *m, unsigned i, const struct mem_range *r, uint64_t start, uint64_t end)
{
	uint64_t old_end = end_of(&m->range[i]);
	bool fits = true;

	if (start_of(&m->range[i]) < start) {
		fits = split(m, i, start);
		i += fits;
	}
	if (fits && old_end > end)
		fits = split(m, i, end);
	if (!fits)
		m->lost++; /* no room to cut: all of it gets the stricter type */
	retype(&m->range[i], r);
	return min(old_end, end);
}

static void add(struct memory_map *m, const struct mem_range *r)
{
	uint64_t start = start_of(r), end = end_of(r);
	unsigned i = 0;

	while (start < end) {
		uint64_t gap_end;

		while (i < m->n && end_of(&m->range[i]) <= start)
			i++;
		gap_end = i < m->n ? min(start_of(&m->range[i]), end) : end;
		if (start < gap_end) {
			if (!insert(m, i, r, start, gap_end))
				m->lost++;
			start = gap_end;
		} else if (strictness(m->range[i].type) >= strictness(r->type)) {
			start = end_of(&m->range[i]);
		} else {
			start = overrule(m, i, r, start, end);
		}
	}
}

static void add_descriptor(struct memory_map *m, const struct memory_descriptor *d)
{
	struct mem_range r = { .type = type_of(d->type), .uefi_type = d->type, .attributes = d->attributes };
	uint64_t top = BIT(52), start = d->base, end;

	if (start >= top || !d->pages)
		return;
	end = start + min(d->pages, (top - start) / PAGE_SIZE) * PAGE_SIZE;
	if (is_ram_for_us(r.type) && (!(d->attributes & ATTRIBUTE_WB) || d->attributes & ATTRIBUTE_SP))
		r.type = MEM_RESERVED;
	/* The specification requires whole pages. Of any other range only its whole pages are used. */
	start = r.type == MEM_USABLE ? align_up(start, PAGE_SIZE) : align_down(start, PAGE_SIZE);
	end = r.type == MEM_USABLE ? align_down(end, PAGE_SIZE) : align_up(end, PAGE_SIZE);
	if (start >= end)
		return;
	r.base = hpa(start);
	r.pages = (end - start) / PAGE_SIZE;
	add(m, &r);
}

void memory_map_merge(struct memory_map *m)
{
	unsigned kept = 0;

	for (unsigned i = 1; i < m->n; i++) {
		struct mem_range *a = &m->range[kept], *b = &m->range[i];

		if (end_of(a) == start_of(b) && a->type == b->type && a->attributes == b->attributes &&
			(is_ram_for_us(a->type) || a->uefi_type == b->uefi_type))
			a->pages += b->pages;
		else
			m->range[++kept] = *b;
	}
	if (m->n)
		m->n = kept + 1;
}

void memory_map_add(struct memory_map *m, const void *descriptors, size_t bytes, size_t stride)
{
	struct memory_descriptor d;

	if (stride < sizeof(d))
		return;
	for (size_t at = 0; range_within(at, sizeof(d), bytes); at += stride) {
		memcpy(&d, (const char *)descriptors + at, sizeof(d));
		add_descriptor(m, &d);
	}
	memory_map_merge(m);
}

void memory_map_mark(struct memory_map *m, uint64_t base, uint64_t bytes, enum mem_type type)
{
	struct mem_range r = { .type = type, .attributes = ATTRIBUTE_WB };
	uint64_t start = align_down(base, PAGE_SIZE), end = align_up(base + bytes, PAGE_SIZE);

	r.base = hpa(start);
	r.pages = (end - start) / PAGE_SIZE;
	add(m, &r);
}

#define TRAMPOLINE_PAGES 2u
#define EBDA_LOWEST	 0x80000ul

uint64_t memory_map_find_trampoline(const struct memory_map *m)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < m->n; i++) {
		uint64_t from = max(start_of(&m->range[i]), PAGE_SIZE),
			 to = min(end_of(&m->range[i]), EBDA_LOWEST);

		if (m->range[i].type != MEM_BOOT_SERVICES && m->range[i].type != MEM_USABLE)
			continue;
		if (to > from && to - from >= TRAMPOLINE_PAGES * PAGE_SIZE)
			best = max(best, to - TRAMPOLINE_PAGES * PAGE_SIZE);
	}
	return best;
}

uint64_t memory_map_total(const struct memory_map *m, enum mem_type type)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (m->range[i].type == type)
			pages += m->range[i].pages;
	return pages * PAGE_SIZE;
}
