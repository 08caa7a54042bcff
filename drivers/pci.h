/* SPDX-License-Identifier: MIT */
/* PCI configuration space of the machine: through MCFG where there is one, else ports CF8/CFC. */
#pragma once

#include "drivers/acpi/acpi.h"

struct pci_addr {
	uint16_t segment;
	uint8_t bus, dev, fn; /* dev 0..31, fn 0..7 */
};

struct pci_function {
	struct pci_addr at;
	uint16_t vendor, device;
	uint8_t class, subclass, prog_if, revision;
	uint8_t header; /* type, without the multi-function bit: 0 device, 1 PCI bridge, 2 CardBus bridge */
};

/* hostmap active; acpi may list no MCFG. */
void pci_init(const struct acpi *acpi);
/* One register of 1, 2 or 4 bytes, naturally aligned (offset below 4096; below 256 through the ports). All ones where
 * nothing answers or nothing can be reached. Lock: takes PCI's. */
uint32_t pci_read(struct pci_addr at, unsigned offset, unsigned bytes);
/* 0, -E_RANGE (offset, alignment or width) or -E_NOENT (no way to that segment, bus or offset). */
int pci_write(struct pci_addr at, unsigned offset, unsigned bytes, uint32_t v);

/* Configuration reads as pci_read, so that tests can put a machine of their own before the walk. */
typedef uint32_t (*pci_reader)(struct pci_addr at, unsigned offset, unsigned bytes);
struct pci_bar {
	bool io;
	uint64_t base; /* 0: not there, or firmware has assigned nothing */
};
/* Base address register `index` (0 to 5) of a device (header type 0) as firmware left it; 64-bit ones in two. */
struct pci_bar pci_bar(pci_reader read, struct pci_addr at, unsigned index);
/*
 * Calls back for each function of a segment, from these root buses through every bus that bridges lead to, until the
 * callback returns false. No bus is walked twice, wherever bridges lead. Returns how many functions it was called for.
 */
unsigned pci_walk_segment(pci_reader read, uint16_t segment, const uint8_t *roots, unsigned nroots,
	bool (*fn)(void *ctx, const struct pci_function *f), void *ctx);
#define PCI_ROOTS_MAX 32
/* The root buses of a segment between two buses: the first, and those where the DMAR table's device scopes begin, which are
 * the only ones that tell of a second socket's buses. Returns how many there are; a root may stand there twice. */
unsigned pci_roots(
	const struct acpi *a, uint16_t segment, uint8_t first, uint8_t last, uint8_t roots[PCI_ROOTS_MAX]);
/* As pci_walk_segment, all segments of this machine. */
unsigned pci_walk(bool (*fn)(void *ctx, const struct pci_function *f), void *ctx);
/* "0000:00:1f.2 8086:2922 storage: SATA". Returns to. */
#define PCI_NAME_SIZE 64
const char *pci_name(const struct pci_function *f, char to[PCI_NAME_SIZE]);
/* One log line a function (debug level), and a count. */
void pci_log(void);
/* "network: Ethernet" and so on; "unknown" for what is not listed. */
const char *pci_class_name(uint8_t class, uint8_t subclass);
