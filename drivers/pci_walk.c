/* SPDX-License-Identifier: MIT */
/* What is on the PCI buses (PCI Local Bus 3.0, 6.1 and 6.2; PCI-to-PCI Bridge 1.2, 3.2). */
#include "drivers/pci.h"

#include "lib/bits.h"
#include "lib/log.h"
#include "lib/printf.h"

enum { VENDOR = 0x00, CLASS = 0x08, HEADER = 0x0e, SECONDARY_BUS = 0x19 };

#define HEADER_MULTI BIT(7)

struct walk {
	pci_reader read;
	bool (*fn)(void *ctx, const struct pci_function *f);
	void *ctx;
	uint32_t seen[256 / 32]; /* buses that are or were in the queue */
	uint8_t queue[256];	 /* each bus at most once, so that it cannot overflow */
	unsigned nqueue, calls;
};

static void enqueue(struct walk *w, uint8_t bus)
{
	if (w->seen[bus / 32] & BIT(bus % 32))
		return;
	w->seen[bus / 32] |= (uint32_t)BIT(bus % 32);
	w->queue[w->nqueue++] = bus;
}

/* False: the callback wants no more. */
static bool visit(struct walk *w, struct pci_addr at, uint32_t id, uint8_t header)
{
	uint32_t class = w->read(at, CLASS, 4);
	struct pci_function f = {
		.at = at,
		.vendor = (uint16_t)id,
		.device = (uint16_t)(id >> 16),
		.class = (uint8_t)(class >> 24),
		.subclass = (uint8_t)(class >> 16),
		.prog_if = (uint8_t)(class >> 8),
		.revision = (uint8_t) class,
		.header = (uint8_t)(header & ~HEADER_MULTI),
	};

	if (f.header == 1 || f.header == 2)
		enqueue(w, (uint8_t)w->read(at, SECONDARY_BUS, 1));
	w->calls++;
	return w->fn(w->ctx, &f);
}

static bool visit_device(struct walk *w, struct pci_addr at)
{
	for (at.fn = 0; at.fn < 8; at.fn++) {
		uint32_t id = w->read(at, VENDOR, 4);
		uint8_t header;

		if ((id & 0xffff) == 0xffff || !(id & 0xffff)) {
			if (!at.fn)
				return true; /* without function 0 there is no device */
			continue;
		}
		header = (uint8_t)w->read(at, HEADER, 1);
		if (!visit(w, at, id, header))
			return false;
		if (!at.fn && !(header & HEADER_MULTI))
			return true;
	}
	return true;
}

unsigned pci_walk_segment(pci_reader read, uint16_t segment, const uint8_t *roots, unsigned nroots,
	bool (*fn)(void *ctx, const struct pci_function *f), void *ctx)
{
	struct walk w = { .read = read, .fn = fn, .ctx = ctx };

	for (unsigned i = 0; i < nroots; i++)
		enqueue(&w, roots[i]);
	for (unsigned i = 0; i < w.nqueue; i++)
		for (uint8_t dev = 0; dev < 32; dev++)
			if (!visit_device(&w,
				    (struct pci_addr){ .segment = segment, .bus = w.queue[i], .dev = dev }))
				return w.calls;
	return w.calls;
}

unsigned pci_roots(
	const struct acpi *a, uint16_t segment, uint8_t first, uint8_t last, uint8_t roots[PCI_ROOTS_MAX])
{
	unsigned n = 0;

	roots[n++] = first;
	for (unsigned i = 0; i < a->ndrhd; i++) {
		const struct acpi_drhd *d = &a->drhd[i];

		for (unsigned j = 0; d->segment == segment && j < d->nscopes; j++)
			if (n < PCI_ROOTS_MAX && d->scope[j].bus > first && d->scope[j].bus <= last)
				roots[n++] = d->scope[j].bus;
	}
	return n;
}

unsigned pci_walk(bool (*fn)(void *ctx, const struct pci_function *f), void *ctx)
{
	static const struct acpi_mcfg by_ports = { .bus_last = 255 };
	const struct acpi *a = acpi_get();
	uint8_t roots[PCI_ROOTS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < max(a->nmcfg, 1u); i++) {
		const struct acpi_mcfg *m = a->nmcfg ? &a->mcfg[i] : &by_ports;

		n += pci_walk_segment(pci_read, m->segment, roots,
			pci_roots(a, m->segment, m->bus_first, m->bus_last, roots), fn, ctx);
	}
	return n;
}

/* PCI Code and ID Assignment 1.11; subclass 0xff: any other. Ascending. */
static const struct {
	uint8_t class, subclass;
	const char *name;
} names[] = {
	{ 0x00, 0xff, "old device" },
	{ 0x01, 0x01, "storage: IDE" },
	{ 0x01, 0x04, "storage: RAID" },
	{ 0x01, 0x06, "storage: SATA" },
	{ 0x01, 0x07, "storage: SAS" },
	{ 0x01, 0x08, "storage: NVMe" },
	{ 0x01, 0xff, "storage" },
	{ 0x02, 0x00, "network: Ethernet" },
	{ 0x02, 0xff, "network" },
	{ 0x03, 0x00, "display: VGA" },
	{ 0x03, 0xff, "display" },
	{ 0x04, 0xff, "multimedia" },
	{ 0x05, 0xff, "memory" },
	{ 0x06, 0x00, "bridge: host" },
	{ 0x06, 0x01, "bridge: ISA" },
	{ 0x06, 0x04, "bridge: PCI" },
	{ 0x06, 0xff, "bridge" },
	{ 0x07, 0x00, "serial port" },
	{ 0x07, 0xff, "communication" },
	{ 0x08, 0x00, "interrupt controller" },
	{ 0x08, 0x06, "IOMMU" },
	{ 0x08, 0xff, "system device" },
	{ 0x09, 0xff, "input device" },
	{ 0x0b, 0xff, "processor" },
	{ 0x0c, 0x03, "USB controller" },
	{ 0x0c, 0x05, "SMBus" },
	{ 0x0c, 0xff, "serial bus" },
	{ 0x0d, 0xff, "wireless" },
	{ 0x10, 0xff, "encryption" },
	{ 0x11, 0xff, "signal processing" },
	{ 0x12, 0xff, "accelerator" },
};

const char *pci_class_name(uint8_t class, uint8_t subclass)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].class == class && (names[i].subclass == subclass || names[i].subclass == 0xff))
			return names[i].name;
	return "unknown";
}

const char *pci_name(const struct pci_function *f, char to[PCI_NAME_SIZE])
{
	fmt_snprintf(to, PCI_NAME_SIZE, "%04x:%02x:%02x.%u %04x:%04x %s", f->at.segment, f->at.bus, f->at.dev,
		f->at.fn, f->vendor, f->device, pci_class_name(f->class, f->subclass));
	return to;
}

static bool log_function(void *ctx, const struct pci_function *f)
{
	char name[PCI_NAME_SIZE];

	(void)ctx;
	log_debug("PCI %s", pci_name(f, name));
	return true;
}

void pci_log(void)
{
	unsigned n = pci_walk(log_function, NULL);

	log_info("PCI: %u functions", n);
}

struct pci_bar pci_bar(pci_reader read, struct pci_addr at, unsigned index)
{
	uint32_t low = index < 6 ? read(at, 0x10 + 4 * index, 4) : 0;
	uint64_t base;

	if (!low || low == 0xffffffff)
		return (struct pci_bar){ 0 };
	if (low & 1)
		return (struct pci_bar){ .io = true, .base = low & 0xfffc };
	base = low & ~0xfu;
	/* Bits 2:1: 2 is 64 bits wide. */
	if ((low >> 1 & 3) == 2) {
		if (index == 5)
			return (struct pci_bar){ 0 };
		base |= (uint64_t)read(at, 0x14 + 4 * index, 4) << 32;
	}
	return (struct pci_bar){ .base = base };
}
