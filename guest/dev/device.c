/* SPDX-License-Identifier: MIT */
/* The devices' life, and the handles that they take from their board. */
#include "guest/dev/devices.h"

#include "lib/assert.h"
#include "lib/bits.h"

#define DEVICE_ENTRY(name) [DEVICE_##name] = &name##_kind,
static const struct device_kind *const device_kinds[DEVICES] = { DEVICE_KINDS(DEVICE_ENTRY) };
#undef DEVICE_ENTRY

static size_t device_bytes(const struct device_kind *k)
{
	return align_up(k->size, 64);
}

size_t devices_size(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < DEVICES; i++)
		n += device_bytes(device_kinds[i]);
	return n;
}

static struct spinlock *device_lock_of(struct device *d)
{
	switch (d->kind->lock) {
	case LOCK_INTERRUPTS:
		return &d->board->irqs->lock;
	case LOCK_CONSOLE:
		return &d->board->console->lock;
	case LOCK_PCI:
		return d->board->pci_lock;
	default:
		return &d->own;
	}
}

static int device_init(struct device *d, const struct device_kind *k, const struct board *board)
{
	d->kind = k;
	d->board = board;
	d->lock = device_lock_of(d);
	return k->init ? k->init(d) : 0;
}

int devices_init(struct devices *set, const struct board *board, void *memory)
{
	char *at = memory;

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device_kind *k = device_kinds[i];
		int err;

		if (k->wanted && !k->wanted(board->settings))
			continue;
		err = device_init((struct device *)at, k, board);
		if (err) {
			devices_free_some(set, UINT32_MAX);
			return err;
		}
		set->of[i] = (struct device *)at;
		at += device_bytes(k);
	}
	return 0;
}

static void devices_detach_first(struct devices *set, unsigned n)
{
	while (n--)
		if (set->of[n] && set->of[n]->kind->detach)
			set->of[n]->kind->detach(set->of[n]);
}

int devices_attach(struct devices *set)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		int err = set->of[i] ? set->of[i]->kind->attach(set->of[i]) : 0;

		if (err) {
			devices_detach_first(set, i);
			return err;
		}
	}
	return 0;
}

void devices_detach(struct devices *set)
{
	devices_detach_first(set, DEVICES);
}

void devices_reset(struct devices *set)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *d = set->of[i];

		if (!d || !d->kind->reset)
			continue;
		spin_lock(d->lock);
		d->kind->reset(d);
		spin_unlock(d->lock);
	}
}

bool devices_free_some(struct devices *set, unsigned most)
{
	for (unsigned i = DEVICES; i--;) {
		struct device *d = set->of[i];

		if (d && d->kind->destroy && !d->kind->destroy(d, most))
			return false;
		set->of[i] = NULL;
	}
	return true;
}

void device_ports(struct device *d, struct bus_range *r, uint16_t base, unsigned n, unsigned sizes,
	bus_read_fn *read, bus_write_fn *write)
{
	int err;

	*r = (struct bus_range){ .base = BUS_OFF,
		.size = n,
		.sizes = sizes,
		.lock = d->lock,
		.dev = d,
		.read = read,
		.write = write };
	err = bus_add_port(d->board->bus, r, base);
	ASSERT(!err);
}

void device_mmio(
	struct device *d, struct bus_range *r, gpa_t base, uint64_t n, bus_read_fn *read, bus_write_fn *write)
{
	int err;

	*r = (struct bus_range){ .base = BUS_OFF,
		.size = n,
		.sizes = BUS_ANY,
		.lock = d->lock,
		.dev = d,
		.read = read,
		.write = write };
	err = bus_add_mmio(d->board->bus, r, base.v);
	ASSERT(!err);
}

void device_timer(struct device *d, struct vtimer *t, void (*fire)(struct vtimer *, uint64_t))
{
	timer_add(d->board->timers, t, d->lock, fire);
}
