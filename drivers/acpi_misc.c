/* SPDX-License-Identifier: MIT */
/* The small tables: MCFG (PCI Firmware 3.3, 4.1.2), HPET (IA-PC HPET 1.0a, 3.2.4), SPCR (Microsoft). */
#include "drivers/acpi.h"

#include "drivers/acpi_bytes.h"
#include "lib/bits.h"

void acpi_parse_mcfg(struct acpi *a, const uint8_t *t, size_t n)
{
	for (size_t at = 44; range_within(at, 16, n); at += 16) {
		const uint8_t *e = t + at;
		struct acpi_mcfg m = {
			.base = le64(e), .segment = le16(e + 8), .bus_first = e[10], .bus_last = e[11]
		};
		uint64_t bytes = (uint64_t)(m.bus_last + 1) << 20; /* 1 MiB a bus, from bus 0's place */

		if (!m.base || m.base & (MiB - 1) || m.bus_first > m.bus_last ||
			!range_within(m.base, bytes, BIT(52)) || a->nmcfg == ACPI_MCFG_MAX) {
			a->nbroken++;
			continue;
		}
		a->mcfg[a->nmcfg++] = m;
	}
}

void acpi_parse_hpet(struct acpi *a, const uint8_t *t, size_t n)
{
	uint64_t base;

	if (n < 56)
		return;
	/* A generic address at 40: only memory makes sense; registers are 1 KiB on a 1 KiB boundary. */
	base = le64(t + 44);
	if (t[40] == ACPI_MEMORY && is_aligned(base, 1024) && range_within(base, 1024, BIT(52)))
		a->hpet = base;
}

void acpi_parse_spcr(struct acpi *a, const uint8_t *t, size_t n)
{
	uint64_t address;

	if (n < 52)
		return;
	/* Interface type: 0 and 1 are 16550s on PCs, 0x12 one with any address. */
	if (t[36] != 0 && t[36] != 1 && t[36] != 0x12)
		return;
	address = le64(t + 44);
	if (t[40] == ACPI_IO && address <= 0xfff8)
		a->spcr_port = (uint16_t)address;
	else if (t[40] == ACPI_MEMORY)
		a->spcr_mmio = address;
}
