/* SPDX-License-Identifier: MIT */
/* Port and memory regions of the virtual platform. */
#include "guest/dev/bus.h"

#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/string.h"

int bus_add_port(struct bus *b, const struct bus_region *r, const struct bus_region **at)
{
	unsigned free = 0;

	if (!r->size || !range_within(r->base, r->size, 65536))
		return -E_RANGE;
	for (uint64_t i = 0; i < r->size; i++)
		if (b->port_map[r->base + i])
			return -E_EXIST;
	for (unsigned i = BUS_PORT_REGIONS - 1; i > 0; i--)
		if (!b->port[i].size)
			free = i;
	if (!free)
		return -E_NOMEM;
	b->port[free] = *r;
	memset(&b->port_map[r->base], (int)free, r->size);
	if (at)
		*at = &b->port[free];
	return 0;
}

void bus_remove_port(struct bus *b, const struct bus_region *r)
{
	struct bus_region *row = &b->port[r - b->port];

	ASSERT(row > b->port && row < b->port + BUS_PORT_REGIONS && row->size);
	memset(&b->port_map[row->base], 0, row->size);
	row->size = 0;
}

int bus_add_mmio(struct bus *b, const struct bus_region *r, const struct bus_region **at)
{
	struct bus_region *row = NULL;
	unsigned place = 0;

	if (!r->size || r->base + r->size < r->base)
		return -E_RANGE;
	for (unsigned i = 0; i < b->mmios; i++) {
		if (ranges_overlap(b->mmio[i]->base, b->mmio[i]->size, r->base, r->size))
			return -E_EXIST;
		if (b->mmio[i]->base < r->base)
			place = i + 1;
	}
	for (unsigned i = 0; i < BUS_MMIO_REGIONS && !row; i++)
		if (!b->mmio_pool[i].size)
			row = &b->mmio_pool[i];
	if (!row)
		return -E_NOMEM;
	*row = *r;
	for (unsigned i = b->mmios++; i > place; i--)
		b->mmio[i] = b->mmio[i - 1];
	b->mmio[place] = row;
	if (at)
		*at = row;
	return 0;
}

void bus_remove_mmio(struct bus *b, const struct bus_region *r)
{
	for (unsigned i = 0; i < b->mmios; i++) {
		if (b->mmio[i] != r)
			continue;
		b->mmio[i]->size = 0;
		b->mmio_last = NULL;
		b->mmios--;
		for (; i < b->mmios; i++)
			b->mmio[i] = b->mmio[i + 1];
		return;
	}
	ASSERT(!"a region that is not on the bus");
}

const struct bus_region *bus_search_mmio(struct bus *b, uint64_t at)
{
	unsigned lo = 0, hi = b->mmios;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct bus_region *r = b->mmio[mid];

		if (at < r->base)
			hi = mid;
		else if (at - r->base >= r->size)
			lo = mid + 1;
		else
			return b->mmio_last = r;
	}
	return NULL;
}
