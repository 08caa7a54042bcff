/* SPDX-License-Identifier: MIT */
/* Port and memory ranges of the virtual platform. */
#include "guest/dev/bus.h"

#include "lib/assert.h"
#include "lib/bits.h"

void bus_init(struct bus *b)
{
	b->nothing.base = BUS_OFF;
	b->port[0] = &b->nothing;
	b->ports = 1;
}

static void bus_map_ports(struct bus *b, uint64_t base, uint64_t n, unsigned row)
{
	for (uint64_t i = 0; i < n; i++)
		atomic_store(&b->port_map[base + i], (uint8_t)row);
}

static int bus_place_port(struct bus *b, struct bus_range *r, uint64_t base)
{
	if (!r->size || !range_within(base, r->size, 65536))
		return -E_RANGE;
	for (uint64_t i = 0; i < r->size; i++)
		if (b->port_map[base + i])
			return -E_EXIST;
	if (!r->row) {
		if (b->ports == BUS_PORT_RANGES)
			return -E_NOMEM;
		r->row = b->ports++;
		b->port[r->row] = r;
	}
	/* 1. publish the base 2. publish the row in the map. */
	atomic_store(&r->base, base);
	bus_map_ports(b, base, r->size, r->row);
	return 0;
}

int bus_add_port(struct bus *b, struct bus_range *r, uint64_t base)
{
	int err;

	spin_lock(&b->lock);
	err = bus_place_port(b, r, base);
	spin_unlock(&b->lock);
	return err;
}

void bus_remove_port(struct bus *b, struct bus_range *r)
{
	spin_lock(&b->lock);
	ASSERT(r->row && r->base != BUS_OFF);
	bus_map_ports(b, r->base, r->size, 0);
	atomic_store(&r->base, BUS_OFF);
	spin_unlock(&b->lock);
}

/* The place in mmio[] where a range at `base` belongs; -E_EXIST: it would overlap another; -E_NOMEM. */
static int bus_place_mmio(const struct bus *b, uint64_t base, uint64_t size)
{
	int place = 0;

	for (unsigned i = 0; i < b->mmios; i++) {
		if (ranges_overlap(b->mmio[i]->base, b->mmio[i]->size, base, size))
			return -E_EXIST;
		if (b->mmio[i]->base < base)
			place = (int)i + 1;
	}
	return b->mmios == BUS_MMIO_RANGES ? -E_NOMEM : place;
}

static void bus_change_begin(struct bus *b)
{
	atomic_store(&b->version, b->version + 1);
}
static void bus_change_end(struct bus *b)
{
	atomic_store(&b->version, b->version + 1);
}

static void bus_insert_mmio(struct bus *b, struct bus_range *r, uint64_t base, unsigned place)
{
	bus_change_begin(b);
	atomic_store(&r->base, base);
	for (unsigned i = b->mmios; i > place; i--)
		atomic_store(&b->mmio[i], b->mmio[i - 1]);
	atomic_store(&b->mmio[place], r);
	atomic_store(&b->mmios, b->mmios + 1);
	bus_change_end(b);
}

int bus_add_mmio(struct bus *b, struct bus_range *r, uint64_t base)
{
	int place;

	if (!r->size || base + r->size < base || base + r->size > BUS_OFF)
		return -E_RANGE;
	spin_lock(&b->lock);
	place = bus_place_mmio(b, base, r->size);
	if (place >= 0)
		bus_insert_mmio(b, r, base, (unsigned)place);
	spin_unlock(&b->lock);
	return min(place, 0);
}

void bus_remove_mmio(struct bus *b, struct bus_range *r)
{
	unsigned i = 0;

	spin_lock(&b->lock);
	while (i < b->mmios && b->mmio[i] != r)
		i++;
	ASSERT(i < b->mmios);
	bus_change_begin(b);
	atomic_store(&r->base, BUS_OFF);
	for (; i + 1 < b->mmios; i++)
		atomic_store(&b->mmio[i], b->mmio[i + 1]);
	atomic_store(&b->mmios, b->mmios - 1);
	bus_change_end(b);
	spin_unlock(&b->lock);
}

static const struct bus_range *bus_search_once(struct bus *b, uint64_t at)
{
	unsigned lo = 0, hi = atomic_load(&b->mmios);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct bus_range *r = atomic_load(&b->mmio[mid]);
		uint64_t base = atomic_load(&r->base);

		if (at < base)
			hi = mid;
		else if (at - base >= r->size)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

const struct bus_range *bus_search_mmio(struct bus *b, uint64_t at)
{
	for (;;) {
		uint32_t version = atomic_load(&b->version);
		const struct bus_range *r = bus_search_once(b, at);

		if (r || (!(version & 1) && atomic_load(&b->version) == version))
			return r;
		cpu_relax(); /* the CPU that changes the table does nothing else meanwhile */
	}
}
