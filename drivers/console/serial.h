/* SPDX-License-Identifier: MIT */
/*
 * Which UART is the machine's serial console, in this order:
 *
 *	1. the one that firmware names (ACPI SPCR): a port, memory, or a PCI function
 *	2. the PC's four ports
 *	3. where all those are silent: PCI functions of class 0700xx (serial-over-LAN, UARTs of a chipset)
 */
#pragma once

#include "drivers/acpi/acpi.h"
#include "drivers/console/uart.h"
#include "drivers/pci.h"

/* Finds it and programs it. *u: the one that is used so far, or absent; it stays where none comes before it. hostmap is active,
 * pci_init() was called. True: *u is another one than before. */
bool serial_find(struct uart *u, const struct acpi *acpi);
/* "serial port 0x3f8", "UART at 0xfe030000, PCI ..." */
const char *serial_describe(const struct uart *u, char *buf, size_t n);

/* Is f a UART by its class code? (Pure; the same for every machine.) */
static inline bool serial_is_pci_uart(const struct pci_function *f)
{
	return f->class == 7 && f->subclass == 0 && f->prog_if <= 6 && f->header == 0;
}
