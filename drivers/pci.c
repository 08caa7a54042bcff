/* SPDX-License-Identifier: MIT */
/*
 * Two ways into configuration space (PCI 3.0, 3.2.2.3.2; PCI Express 7.2.2):
 *
 *	ports	CF8 address: 31 enable, 23:16 bus, 15:11 device, 10:8 function, 7:2 register;  CFC data. Segment 0,
 *		first 256 bytes
 *	ECAM	memory: base + bus << 20 + device << 15 + function << 12 + register. The buses are mapped one by one, when
 *		they are first asked for: a whole segment would take 256 MiB of address space and its tables
 */
#include "drivers/pci.h"

#include "lib/bits.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/x86.h"
#include "mm/host/hostmap.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc };

#define ECAM_BUSES_MAX 64

static struct {
	uint16_t segment;
	uint8_t bus;
	volatile uint8_t *at; /* 1 MiB; NULL: could not be mapped */
} ecam[ECAM_BUSES_MAX];
static unsigned necam;
static const struct acpi *tables;
static bool use_ecam;
static struct spinlock lock = SPINLOCK_INIT; /* CF8 and CFC go together; ecam[] grows */

static volatile uint8_t *map_bus(struct pci_addr at)
{
	for (unsigned i = 0; i < necam; i++)
		if (ecam[i].segment == at.segment && ecam[i].bus == at.bus)
			return ecam[i].at;
	for (unsigned i = 0; i < tables->nmcfg && necam < ECAM_BUSES_MAX; i++) {
		const struct acpi_mcfg *m = &tables->mcfg[i];

		if (m->segment != at.segment || at.bus < m->bus_first || at.bus > m->bus_last)
			continue;
		ecam[necam].segment = at.segment;
		ecam[necam].bus = at.bus;
		ecam[necam].at = hostmap_mmio(hpa(m->base + ((uint64_t)at.bus << 20)), MiB, MT_UC);
		return ecam[necam++].at;
	}
	return NULL;
}

static bool valid(struct pci_addr at, unsigned offset, unsigned bytes)
{
	return (bytes == 1 || bytes == 2 || bytes == 4) && offset % bytes == 0 && offset < 4096 &&
	       at.dev < 32 && at.fn < 8;
}

static bool by_ports(struct pci_addr at, unsigned offset)
{
	return !at.segment && offset < 256;
}

/* Returns the data port; the lock is held. */
static uint16_t select_register(struct pci_addr at, unsigned offset)
{
	out32(CONFIG_ADDRESS, (uint32_t)(BIT(31) | (uint32_t)at.bus << 16 | (uint32_t)at.dev << 11 |
					 (uint32_t)at.fn << 8 | (offset & 0xfc)));
	return (uint16_t)(CONFIG_DATA + (offset & 3));
}

static uint32_t port_read(struct pci_addr at, unsigned offset, unsigned bytes)
{
	uint16_t port = select_register(at, offset);

	return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

static volatile uint8_t *ecam_register(struct pci_addr at, unsigned offset)
{
	volatile uint8_t *bus = use_ecam ? map_bus(at) : NULL;

	return bus ? bus + ((uint32_t)at.dev << 15 | (uint32_t)at.fn << 12 | offset) : NULL;
}

uint32_t pci_read(struct pci_addr at, unsigned offset, unsigned bytes)
{
	uint32_t v;
	volatile uint8_t *r;

	if (!valid(at, offset, bytes))
		return 0xffffffff;
	v = 0xffffffff >> (32 - 8 * bytes);
	spin_lock(&lock);
	r = ecam_register(at, offset);
	if (r)
		v = bytes == 1 ? *r : bytes == 2 ? *(volatile uint16_t *)r : *(volatile uint32_t *)r;
	else if (by_ports(at, offset))
		v = port_read(at, offset, bytes);
	spin_unlock(&lock);
	return v;
}

int pci_write(struct pci_addr at, unsigned offset, unsigned bytes, uint32_t v)
{
	volatile uint8_t *r;
	uint16_t port;
	int err = 0;

	if (!valid(at, offset, bytes))
		return -E_RANGE;
	spin_lock(&lock);
	r = ecam_register(at, offset);
	if (r && bytes == 1) {
		*r = (uint8_t)v;
	} else if (r && bytes == 2) {
		*(volatile uint16_t *)r = (uint16_t)v;
	} else if (r) {
		*(volatile uint32_t *)r = v;
	} else if (by_ports(at, offset)) {
		port = select_register(at, offset);
		if (bytes == 1)
			out8(port, (uint8_t)v);
		else if (bytes == 2)
			out16(port, (uint16_t)v);
		else
			out32(port, v);
	} else {
		err = -E_NOENT;
	}
	spin_unlock(&lock);
	return err;
}

void pci_init(const struct acpi *acpi)
{
	struct pci_addr host = { 0 };
	volatile uint8_t *r;
	uint32_t by_port;

	tables = acpi;
	use_ecam = acpi->nmcfg;
	if (!use_ecam)
		return;
	/* An MCFG that points elsewhere would have us write to RAM: both ways must show the same host bridge. */
	by_port = port_read(host, 0, 4);
	r = ecam_register(host, 0);
	if (r && by_port != 0xffffffff && *(volatile uint32_t *)r != by_port) {
		log_warn("the MCFG table is wrong about PCI configuration space; ports are used instead");
		use_ecam = false;
	}
}
