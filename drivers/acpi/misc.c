/* SPDX-License-Identifier: MIT */
/* The small tables: MCFG (PCI Firmware 3.3, 4.1.2), HPET (IA-PC HPET 1.0a, 3.2.4), SPCR (Microsoft). */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
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

enum { SPCR_16550 = 0, SPCR_16450 = 1, SPCR_16550_GAS = 0x12 };

/* By the access size (1 to 4: 1, 2, 4, 8 bytes), or, where that is not said, by the width of a register. */
static uint8_t spcr_stride(const struct acpi_gas *g)
{
	unsigned bytes = g->access ? 1u << ((g->access - 1) & 3) : g->bit_width / 8u;

	return bytes == 2 || bytes == 4 ? (uint8_t)bytes : 1;
}

void acpi_parse_spcr(struct acpi *a, const uint8_t *t, size_t n)
{
	struct acpi_serial s = { 0 };

	if (n < 52 || (t[36] != SPCR_16550 && t[36] != SPCR_16450 && t[36] != SPCR_16550_GAS))
		return;
	s.at = (struct acpi_gas){ .space = t[40],
		.bit_width = t[41],
		.bit_offset = t[42],
		.access = t[43],
		.address = le64(t + 44) };
	s.stride = s.at.space == ACPI_IO ? 1 : spcr_stride(&s.at);
	if (s.at.space == ACPI_IO
			? s.at.address > 0xfff8
			: s.at.space != ACPI_MEMORY || !range_within(s.at.address, 8ull * s.stride, BIT(52)))
		return;
	/* The vendor is all ones where it is no PCI function. */
	if (n >= 76 && le16(t + 66) != 0xffff && le16(t + 66) && t[69] < 32 && t[70] < 8) {
		s.pci = true;
		s.device = le16(t + 64);
		s.vendor = le16(t + 66);
		s.bus = t[68];
		s.dev = t[69];
		s.fn = t[70];
		s.segment = t[75];
	}
	s.pc = s.at.space == ACPI_IO && !s.pci && t[36] != SPCR_16550_GAS;
	a->spcr = s;
}
