/* SPDX-License-Identifier: MIT */
/*
 * The buses: which device answers at a port or at a guest-physical address.
 *
 * Ports: a byte for each of the 64 Ki ports names the region, so that an access costs one load however many devices
 * there are. Memory: an array sorted by address, searched by halves. Both change when a guest moves a BAR.
 */
#pragma once

#include "lib/types.h"

#define BUS_PORT_REGIONS 64
#define BUS_MMIO_REGIONS 64

/* Sizes that a device takes in one piece: a set of byte counts. Others are split into bytes (ports) or, for memory,
 * left to the device to refuse: BUS_ANY. */
#define BUS_1	1u
#define BUS_2	2u
#define BUS_4	4u
#define BUS_8	8u
#define BUS_ANY (BUS_1 | BUS_2 | BUS_4 | BUS_8)

/* off: bytes from the region's start. Called with the platform lock held. */
typedef uint64_t bus_read_fn(void *dev, uint64_t off, unsigned size);
typedef void bus_write_fn(void *dev, uint64_t off, unsigned size, uint64_t value);

struct bus_region {
	uint64_t base, size;
	unsigned sizes; /* BUS_* */
	void *dev;
	bus_read_fn *read;
	bus_write_fn *write;
};

struct bus {
	struct bus_region port[BUS_PORT_REGIONS];  /* [0] is "nothing"; size 0: free */
	uint8_t port_map[65536];		   /* index into port[] */
	struct bus_region *mmio[BUS_MMIO_REGIONS]; /* sorted by base */
	unsigned mmios;
	struct bus_region mmio_pool[BUS_MMIO_REGIONS]; /* size 0: free */
	const struct bus_region *mmio_last;	       /* found last; NULL: look */
};

/* The region is copied. 0; -E_EXIST: overlaps another; -E_RANGE: empty or wraps; -E_NOMEM: no row left.
 * On success *at (may be NULL) names it for removal. */
int bus_add_port(struct bus *b, const struct bus_region *r, const struct bus_region **at);
int bus_add_mmio(struct bus *b, const struct bus_region *r, const struct bus_region **at);
void bus_remove_port(struct bus *b, const struct bus_region *r);
void bus_remove_mmio(struct bus *b, const struct bus_region *r);

static inline const struct bus_region *bus_port(const struct bus *b, uint16_t port)
{
	return &b->port[b->port_map[port]];
}
const struct bus_region *bus_search_mmio(struct bus *b, uint64_t at);
/* NULL if no region holds the address. Accesses come in runs to one device: the region found last is tried first. */
static inline const struct bus_region *bus_mmio(struct bus *b, uint64_t at)
{
	const struct bus_region *r = b->mmio_last;

	return likely(r && at - r->base < r->size) ? r : bus_search_mmio(b, at);
}
