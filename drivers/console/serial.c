/* SPDX-License-Identifier: MIT */
#include "drivers/console/serial.h"

#include "lib/log.h"
#include "lib/printf.h"
#include "mm/host/hostmap.h"

enum { PCI_COMMAND = 4, COMMAND_IO = 1, COMMAND_MEMORY = 2 };

static uint64_t found_at; /* the physical address of one in memory */

static bool try_port(struct uart *u, uint16_t port, bool keep_rate)
{
	return port &&
	       !uart_init(u, &(struct uart_place){ .port = port, .stride = 1, .keep_rate = keep_rate },
		       UART_BAUD);
}

static bool try_memory(struct uart *u, uint64_t at, uint8_t stride)
{
	struct uart_place place = { .stride = stride, .keep_rate = true };

	place.regs = hostmap_mmio(hpa(at), 8ul * stride, MT_UC);
	if (!place.regs || uart_init(u, &place, UART_BAUD))
		return false;
	found_at = at;
	return true;
}

static void decode_on(struct pci_addr at, uint16_t what)
{
	uint16_t command = (uint16_t)pci_read(at, PCI_COMMAND, 2);

	if ((command & what) != what)
		pci_write(at, PCI_COMMAND, 2, command | what);
}

/* stride 0: not known. Chipsets' UARTs have 4 and want accesses of 4 bytes, cards have 1. */
static bool try_pci(struct uart *u, struct pci_addr at, uint8_t stride)
{
	struct pci_bar bar = pci_bar(pci_read, at, 0);

	if (!bar.base)
		return false;
	decode_on(at, bar.io ? COMMAND_IO : COMMAND_MEMORY);
	if (bar.io)
		return try_port(u, (uint16_t)bar.base, true);
	if (stride)
		return try_memory(u, bar.base, stride);
	return try_memory(u, bar.base, 1) || try_memory(u, bar.base, 4);
}

static bool try_spcr(struct uart *u, const struct acpi_serial *s)
{
	struct pci_addr at = { .segment = s->segment, .bus = s->bus, .dev = s->dev, .fn = s->fn };

	/* A function's BAR may have moved since firmware wrote the table. */
	if (s->pci && pci_read(at, 0, 4) == ((uint32_t)s->device << 16 | s->vendor) &&
		try_pci(u, at, s->stride))
		return true;
	if (s->at.space == ACPI_IO)
		return try_port(u, (uint16_t)s->at.address, !s->pc);
	return s->at.address && try_memory(u, s->at.address, s->stride);
}

static bool try_function(void *ctx, const struct pci_function *f)
{
	return !(serial_is_pci_uart(f) && try_pci(ctx, f->at, 0));
}

bool serial_find(struct uart *u, const struct acpi *acpi)
{
	static const uint16_t ports[] = { UART_COM1, UART_COM2, UART_COM3, UART_COM4 };
	const struct acpi_serial *s = &acpi->spcr;
	struct uart other;
	bool named = s->at.address || s->pci;

	if (named && u->present && s->at.space == ACPI_IO && u->at.port == s->at.address)
		return false;
	if (named && try_spcr(&other, s)) {
		*u = other;
		return true;
	}
	if (named)
		log_warn("the UART that the SPCR table names (%s %#lx) does not answer",
			s->at.space == ACPI_IO ? "port" : "memory", s->at.address);
	if (u->present)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		if (try_port(u, ports[i], false))
			return true;
	pci_walk(try_function, u);
	return u->present;
}

const char *serial_describe(const struct uart *u, char *buf, size_t n)
{
	char rate[24];

	fmt_snprintf(rate, sizeof(rate), u->at.keep_rate ? "firmware's rate" : "%u baud", UART_BAUD);
	if (u->at.port)
		fmt_snprintf(buf, n, "serial port %#x, %s, FIFO of %u", u->at.port, rate, u->fifo);
	else
		fmt_snprintf(buf, n, "UART at %#lx, registers %u apart, %s, FIFO of %u", found_at,
			u->at.stride, rate, u->fifo);
	return buf;
}
