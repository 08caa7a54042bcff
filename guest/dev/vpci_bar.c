/* SPDX-License-Identifier: MIT */
/*
 * Base address registers (PCI 3.0, 6.2.5): sizing, first placement as firmware does it, and the move when the guest
 * writes one or switches decoding on and off.
 *
 *	write of BAR or command -> what should decode where now? -> off the bus what moved or stopped -> on what is new
 */
#include "guest/dev/vpci.h"

#include "lib/log.h"
#include "lib/string.h"

#define MEM_64	     BIT(2)
#define MEM_PREFETCH BIT(3)
#define IO_SPACE     BIT(0)
#define ROM_ENABLE   BIT(0)
#define FIRST_PORT   0xc000
#define HIGH_LIMIT   BIT(46)

static unsigned bar_offset(unsigned n)
{
	return n == VPCI_ROM ? PCI_ROM_BAR : PCI_BAR0 + 4 * n;
}

static uint64_t bar_field(const struct vpci_dev *d, unsigned n, bool wide)
{
	uint64_t value = 0;

	memcpy(&value, &d->config[bar_offset(n)], wide ? 8 : 4);
	return value;
}

static void bar_set_field(uint8_t *bytes, unsigned n, uint64_t value, bool wide)
{
	memcpy(&bytes[bar_offset(n)], &value, wide ? 8 : 4);
}

static bool bar_valid(const struct vpci_dev *d, unsigned n)
{
	const struct vpci_bar *b = &d->bar[n];

	switch (b->kind) {
	case VPCI_BAR_IO:
		return n != VPCI_ROM && is_pow2(b->size) && b->size >= 4 && b->size <= 256 && b->read &&
		       b->write;
	case VPCI_BAR_MEM64:
		if (n == VPCI_ROM || n == 5 || d->bar[n + 1].kind != VPCI_BAR_NONE)
			return false;
		break;
	case VPCI_BAR_MEM32:
		if (b->size > 2 * GiB)
			return false;
		break;
	default:
		return false;
	}
	return is_pow2(b->size) && b->size >= PAGE_SIZE && b->size <= 1024 * GiB &&
	       (b->place || (b->read && b->write));
}

int vpci_check_bars(struct vpci_dev *d)
{
	for (unsigned n = 0; n < VPCI_BARS; n++) {
		struct vpci_bar *b = &d->bar[n];
		bool wide = b->kind == VPCI_BAR_MEM64;
		uint64_t type = 0;

		if (b->kind == VPCI_BAR_NONE)
			continue;
		if (!bar_valid(d, n))
			return -E_INVAL;
		if (b->kind == VPCI_BAR_IO)
			type = IO_SPACE;
		else if (n != VPCI_ROM)
			type = (wide ? MEM_64 : 0) | (b->prefetchable ? MEM_PREFETCH : 0);
		bar_set_field(d->initial, n, type, wide);
		bar_set_field(d->writable, n, ~(b->size - 1) | (n == VPCI_ROM ? ROM_ENABLE : 0), wide);
		b->mapped = false;
		b->range = (struct bus_range){ .base = BUS_OFF,
			.size = b->size,
			.sizes = BUS_ANY,
			.lock = d->bus->dev.lock,
			.dev = d,
			.read = b->read,
			.write = b->write };
	}
	return 0;
}

void vpci_assign_begin(struct vpci *v)
{
	v->next_memory = LAYOUT_PCI;
	v->next_port = FIRST_PORT;
}

void vpci_assign(struct vpci *v, struct vpci_dev *d)
{
	uint16_t command = 0;

	for (unsigned n = 0; n < VPCI_BARS; n++) {
		const struct vpci_bar *b = &d->bar[n];
		bool io = b->kind == VPCI_BAR_IO;
		uint64_t *next = io ? &v->next_port : &v->next_memory, end = io ? 65536 : LAYOUT_PCI_END, at;

		if (b->kind == VPCI_BAR_NONE)
			continue;
		at = align_up(*next, b->size);
		if (!range_within(at, b->size, end)) {
			log_info(
				"vm %s: BAR %u of %s, %lu MiB, fits nowhere below 4 GiB: left for the guest to place",
				d->bus->dev.board->vm, n, d->name, b->size / MiB);
			continue;
		}
		*next = at + b->size;
		bar_set_field(d->config, n, at | bar_field(d, n, false), b->kind == VPCI_BAR_MEM64);
		command |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	d->config[PCI_COMMAND] |= (uint8_t)command;
}

/* True if the BAR decodes; *at: where. Memory only within the PCI window, or above RAM: never over RAM or the APICs. */
static bool bar_decodes(const struct vpci_dev *d, unsigned n, uint64_t *at)
{
	const struct vpci_bar *b = &d->bar[n];
	bool io = b->kind == VPCI_BAR_IO, wide = b->kind == VPCI_BAR_MEM64;
	uint64_t raw = bar_field(d, n, wide);

	if (!(d->config[PCI_COMMAND] & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	if (n == VPCI_ROM && !(raw & ROM_ENABLE))
		return false;
	*at = raw & ~(b->size - 1);
	if (io)
		return *at && range_within(*at, b->size, 65536);
	if (*at >= LAYOUT_PCI && range_within(*at, b->size, LAYOUT_PCI_END))
		return true;
	return wide && *at >= d->bus->dev.board->settings->layout.high_end &&
	       range_within(*at, b->size, HIGH_LIMIT);
}

static void bar_unmap(struct vpci_dev *d, unsigned n)
{
	struct vpci_bar *b = &d->bar[n];

	b->mapped = false;
	if (b->place)
		b->place(d, n, false, b->at);
	else if (b->kind == VPCI_BAR_IO)
		bus_remove_port(d->bus->dev.board->bus, &b->range);
	else
		bus_remove_mmio(d->bus->dev.board->bus, &b->range);
}

static void bar_map(struct vpci_dev *d, unsigned n, uint64_t at)
{
	struct vpci_bar *b = &d->bar[n];
	int err;

	if (b->place)
		err = b->place(d, n, true, at);
	else if (b->kind == VPCI_BAR_IO)
		err = bus_add_port(d->bus->dev.board->bus, &b->range, at);
	else
		err = bus_add_mmio(d->bus->dev.board->bus, &b->range, at);
	/* The guest has placed it over another device, which keeps the addresses. Tried again at the next change. */
	b->mapped = !err;
	b->at = at;
}

/* A BAR on the bus that should not be there (any more) leaves it, or goes where it should be. */
static void bar_follow(struct vpci_dev *d, unsigned n)
{
	struct vpci_bar *b = &d->bar[n];
	uint64_t at = 0;
	bool on = bar_decodes(d, n, &at);

	if (on && at == b->at)
		return;
	if (on && b->move && !b->move(d, n, at))
		b->at = at;
	else
		bar_unmap(d, n);
}

void vpci_remap(struct vpci *v)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		for (unsigned n = 0; v->slot[i] && n < VPCI_BARS; n++)
			if (v->slot[i]->bar[n].mapped)
				bar_follow(v->slot[i], n);
	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		for (unsigned n = 0; v->slot[i] && n < VPCI_BARS; n++)
			if (v->slot[i]->bar[n].kind != VPCI_BAR_NONE && !v->slot[i]->bar[n].mapped &&
				bar_decodes(v->slot[i], n, &at))
				bar_map(v->slot[i], n, at);
}
