/* SPDX-License-Identifier: MIT */
/*
 * The buses: which device answers at a port or at a guest-physical address.
 *
 * Ports: a byte for each of the 64 Ki ports names the range, so that an access costs two loads however many devices
 * there are. Memory: an array sorted by address, searched by halves. Both change when a guest moves a BAR.
 *
 * A look-up takes no lock, while another vCPU may be moving a BAR. It is sound because a range is one object for good, which
 * belongs to its device and lives as long as the VM: what changes is where it lies (`base`), in one store.
 *
 *	found	  The access takes the range's lock and checks that the range holds the address. If so, the range is the
 *		  right one at that moment, whatever state the tables were in. If not, there was a moment during the
 *		  access when nothing lay at the address: a range leaves its place before another one can take it.
 *	not found	Ports: one load of the byte decides. Memory: ranges may be moving in the array. `version` is odd
 *		  while they move and has a new even value afterwards; the search is repeated until it reads the same
 *		  even version before and after.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/spinlock.h"
#include "lib/types.h"

#define BUS_PORT_RANGES 256
#define BUS_MMIO_RANGES 64

/* Sizes that a device takes in one piece: a set of byte counts. Others are split into bytes (ports) or, for memory,
 * left to the device to refuse: BUS_ANY. */
#define BUS_1	1u
#define BUS_2	2u
#define BUS_4	4u
#define BUS_8	8u
#define BUS_ANY (BUS_1 | BUS_2 | BUS_4 | BUS_8)

/* The base of a range that is not on the bus: no address lies in such a range. */
#define BUS_OFF (1ull << 63)

/* off: bytes from the range's start. Called with the range's lock held. */
typedef uint64_t bus_read_fn(void *dev, uint64_t off, unsigned size);
typedef void bus_write_fn(void *dev, uint64_t off, unsigned size, uint64_t value);

/* Belongs to its device. All but base and row are set before it is added for the first time, and never change. */
struct bus_range {
	uint64_t base; /* atomic; changes under bus.lock */
	uint64_t size;
	unsigned sizes; /* BUS_* */
	unsigned row;	/* of bus.port[]; 0: it has none yet */
	struct spinlock *lock;
	void *dev;
	bus_read_fn *read;
	bus_write_fn *write;
};

struct bus {
	struct spinlock lock;	 /* of changes */
	uint32_t version;	 /* odd while mmio[] changes; atomic */
	uint8_t port_map[65536]; /* index into port[]; atomic */
	/* [0] is `nothing`. A row is a range's for good, and filled in before the map names it. */
	struct bus_range *port[BUS_PORT_RANGES];
	unsigned ports;				 /* rows taken */
	struct bus_range *mmio[BUS_MMIO_RANGES]; /* sorted by base; atomic */
	unsigned mmios;				 /* atomic */
	struct bus_range nothing;		 /* takes no size of access */
};

void bus_init(struct bus *b);

/* Puts a range that is not on the bus at `base`. 0; -E_EXIST: overlaps another; -E_RANGE: empty or wraps; -E_NOMEM: no row
 * left. Take bus.lock. */
int bus_add_port(struct bus *b, struct bus_range *r, uint64_t base);
int bus_add_mmio(struct bus *b, struct bus_range *r, uint64_t base);
/* Takes a range off the bus; an access that has found it may still be in its device until the range's lock has been taken. */
void bus_remove_port(struct bus *b, struct bus_range *r);
void bus_remove_mmio(struct bus *b, struct bus_range *r);

/* The range that the map names; `nothing` if there is none. The caller checks where it lies. */
static inline const struct bus_range *bus_port(const struct bus *b, uint16_t port)
{
	return b->port[atomic_load(&b->port_map[port])];
}
/* Offset of an address in the range; r->size or more if it is outside. */
static inline uint64_t bus_offset(const struct bus_range *r, uint64_t at)
{
	return at - atomic_load_relaxed(&r->base);
}
const struct bus_range *bus_search_mmio(struct bus *b, uint64_t at);
/* NULL if no range holds the address. Accesses come in runs to one device: the range that this vCPU found last is tried first. */
static inline const struct bus_range *bus_mmio(struct bus *b, uint64_t at, const struct bus_range **last)
{
	const struct bus_range *r = *last;

	if (unlikely(!r || bus_offset(r, at) >= r->size))
		*last = r = bus_search_mmio(b, at);
	return r;
}
