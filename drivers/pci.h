/* SPDX-License-Identifier: MIT */
/* PCI configuration space of the machine: through MCFG where there is one, else ports CF8/CFC. */
#pragma once

#include "drivers/acpi.h"

struct pci_addr {
	uint16_t segment;
	uint8_t bus, dev, fn; /* dev 0..31, fn 0..7 */
};

struct pci_function {
	struct pci_addr at;
	uint16_t vendor, device;
	uint8_t class, subclass, prog_if, revision, header;
};

/* hostmap active; acpi may list no MCFG. */
void pci_init(const struct acpi *acpi);
/* One register, naturally aligned (offset below 4096; below 256 through the ports). All ones where nothing answers.
 * Lock: takes PCI's for the ports. */
uint32_t pci_read(struct pci_addr at, unsigned offset, unsigned bytes);
/* 0, -E_RANGE (offset out of reach or not aligned) or -E_NOENT (no such segment or bus). */
int pci_write(struct pci_addr at, unsigned offset, unsigned bytes, uint32_t v);
/* Calls back for each function there is, through every bus that bridges lead to, until it returns false. Returns how
 * many there were. */
unsigned pci_walk(bool (*fn)(void *ctx, const struct pci_function *f), void *ctx);
/* One log line a function (debug level). */
void pci_log(void);
const char *pci_class_name(uint8_t class, uint8_t subclass);
