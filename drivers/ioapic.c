/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs (Intel 82093AA data sheet; ICH and later data sheets). Two registers in memory, an index and a window:
 *
 *	index 0x01		version: bits 23:16 number of inputs, less one
 *	index 0x10 + 2n, +1	redirection of input n: low and high half
 */
#include "drivers/ioapic.h"

#include "drivers/lapic.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "mm/host/hostmap.h"

#define IDX_VERSION 0x01
#define IDX_ENTRY   0x10

/* Redirection entry */
#define RTE_LOW	   BIT(13)
#define RTE_LEVEL  BIT(15)
#define RTE_MASKED BIT(16)

struct ioapic {
	volatile uint32_t *regs; /* [0] index, [4] window */
	uint32_t gsi_base, inputs;
};

static struct ioapic ioapics[ACPI_IOAPICS_MAX];
static unsigned nioapics;
static const struct acpi *tables;
static struct spinlock lock = SPINLOCK_INIT; /* index and window go together */

static uint32_t reg_read(const struct ioapic *io, unsigned index)
{
	io->regs[0] = index;
	return io->regs[4];
}

static void reg_write(const struct ioapic *io, unsigned index, uint32_t v)
{
	io->regs[0] = index;
	io->regs[4] = v;
}

/* Masks input n, unless firmware gets SMIs by it. */
static void take_over(const struct ioapic *io, unsigned n)
{
	uint32_t was = reg_read(io, IDX_ENTRY + 2 * n);

	if (lapic_entry_is_smi(was)) {
		log_info(
			"I/O APIC: GSI %u raises SMIs (%#x): kept as firmware set it", io->gsi_base + n, was);
		return;
	}
	reg_write(io, IDX_ENTRY + 2 * n, RTE_MASKED);
	reg_write(io, IDX_ENTRY + 2 * n + 1, 0);
}

int ioapic_init(const struct acpi *acpi)
{
	tables = acpi;
	nioapics = 0;
	for (unsigned i = 0; i < acpi->nioapics; i++) {
		struct ioapic *io = &ioapics[nioapics];
		uint32_t version;

		io->regs = hostmap_mmio(hpa(acpi->ioapic[i].address), 0x20, MT_UC);
		if (!io->regs)
			return -E_NOMEM;
		version = reg_read(io, IDX_VERSION);
		if (version == 0xffffffff) {
			log_warn("no I/O APIC answers at 0x%llx, where the MADT lists one",
				(unsigned long long)acpi->ioapic[i].address);
			continue;
		}
		io->gsi_base = acpi->ioapic[i].gsi_base;
		io->inputs = (uint32_t)bits_get(version, 23, 16) + 1;
		for (unsigned n = 0; n < io->inputs; n++)
			take_over(io, n);
		nioapics++;
	}
	return nioapics ? 0 : -E_NOENT;
}

static const struct ioapic *find(uint32_t gsi)
{
	for (unsigned i = 0; i < nioapics; i++)
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].inputs)
			return &ioapics[i];
	return NULL;
}

/* Routes a GSI to one CPU (physical destination, fixed delivery), unmasked. */
static int ioapic_route(uint32_t gsi, uint8_t vector, uint32_t apic_id, bool level, bool active_low)
{
	const struct ioapic *io = find(gsi);
	unsigned index;

	if (!io)
		return -E_NOENT;
	if (vector < 16 || apic_id > 254)
		return -E_RANGE;
	index = IDX_ENTRY + 2 * (gsi - io->gsi_base);
	spin_lock(&lock);
	if (lapic_entry_is_smi(reg_read(io, index))) {
		spin_unlock(&lock);
		return -E_BUSY;
	}
	/* Masked while the halves do not belong together. */
	reg_write(io, index, RTE_MASKED);
	reg_write(io, index + 1, apic_id << 24);
	reg_write(io, index, (uint32_t)(vector | (level ? RTE_LEVEL : 0) | (active_low ? RTE_LOW : 0)));
	spin_unlock(&lock);
	return 0;
}

void ioapic_isa(const struct acpi *acpi, uint8_t irq, uint32_t *gsi, bool *level, bool *active_low)
{
	/* The ISA bus: edge, active high, and GSI = IRQ unless the MADT says otherwise (ACPI 5.2.12.5). */
	*gsi = irq;
	*level = *active_low = false;
	for (unsigned i = 0; i < acpi->noverrides; i++) {
		const struct acpi_override *o = &acpi->override[i];

		if (o->irq != irq)
			continue;
		*gsi = o->gsi;
		*active_low = (o->flags & 3) == 3;
		*level = (o->flags >> 2 & 3) == 3;
	}
}

int ioapic_route_isa(uint8_t irq, uint8_t vector, uint32_t apic_id)
{
	bool level, active_low;
	uint32_t gsi;

	if (!tables)
		return -E_NOENT;
	ioapic_isa(tables, irq, &gsi, &level, &active_low);
	return ioapic_route(gsi, vector, apic_id, level, active_low);
}
