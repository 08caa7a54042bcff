/* SPDX-License-Identifier: MIT */
/* MADT: CPUs, I/O APICs and how legacy interrupts are wired to them (ACPI 6.5, 5.2.12). */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
#include "lib/bits.h"

enum { /* table 5.21 */
	LAPIC = 0,
	IOAPIC = 1,
	OVERRIDE = 2,
	NMI_SOURCE = 3,
	LAPIC_NMI = 4,
	LAPIC_ADDRESS = 5,
	X2APIC = 9,
	X2APIC_NMI = 10,
};

static const uint8_t least_bytes[] = {
	[LAPIC] = 8,
	[IOAPIC] = 12,
	[OVERRIDE] = 10,
	[NMI_SOURCE] = 8,
	[LAPIC_NMI] = 6,
	[LAPIC_ADDRESS] = 12,
	[X2APIC] = 16,
	[X2APIC_NMI] = 12,
};

static void add_cpu(struct acpi *a, uint32_t apic_id, uint32_t uid, uint32_t flags)
{
	/* Flags: bit 0 enabled; bit 1 online capable. Neither: an empty socket. */
	if (!(flags & 1)) {
		if (flags & 2)
			a->ncpus_offline++;
		else if (!a->ncpus_disabled++)
			a->first_disabled = apic_id;
		return;
	}
	/* A CPU may be listed both ways; two CPUs with one ID would be one. */
	for (unsigned i = 0; i < a->ncpus; i++)
		if (a->cpu[i].apic_id == apic_id)
			return;
	if (a->ncpus == ACPI_CPUS_MAX) {
		a->ncpus_dropped++;
		return;
	}
	a->cpu[a->ncpus++] = (struct acpi_cpu){ .apic_id = apic_id, .uid = uid };
	a->x2apic_ids |= apic_id > 254; /* 255: all of them (SDM Vol. 3A 10.6.1) */
}

static void add_ioapic(struct acpi *a, const uint8_t *e)
{
	uint64_t address = le32(e + 4);

	if (!address || a->nioapics == ACPI_IOAPICS_MAX)
		return;
	a->ioapic[a->nioapics++] =
		(struct acpi_ioapic){ .id = e[2], .address = address, .gsi_base = le32(e + 8) };
}

static void add_override(struct acpi *a, const uint8_t *e)
{
	/* Bus 0 is ISA, the only one defined; it has 16 interrupts. */
	if (e[2] || e[3] > 15 || a->noverrides == ACPI_OVERRIDES_MAX)
		return;
	a->override[a->noverrides++] =
		(struct acpi_override){ .irq = e[3], .gsi = le32(e + 4), .flags = le16(e + 8) };
}

static void add_nmi(struct acpi *a, struct acpi_nmi nmi)
{
	if (a->nnmis < ACPI_NMIS_MAX && nmi.lint <= 1)
		a->nmi[a->nnmis++] = nmi;
}

static void parse_entry(struct acpi *a, const uint8_t *e)
{
	switch (e[0]) {
	case LAPIC:
		if (e[3] != 0xff) /* the broadcast ID */
			add_cpu(a, e[3], e[2], le32(e + 4));
		break;
	case X2APIC:
		if (le32(e + 4) != 0xffffffff)
			add_cpu(a, le32(e + 4), le32(e + 12), le32(e + 8));
		break;
	case IOAPIC:
		add_ioapic(a, e);
		break;
	case OVERRIDE:
		add_override(a, e);
		break;
	case NMI_SOURCE:
		add_nmi(a, (struct acpi_nmi){ .flags = le16(e + 2), .gsi = le32(e + 4) });
		break;
	case LAPIC_NMI:
		add_nmi(a, (struct acpi_nmi){ .local = true,
				   .uid = e[2] == 0xff ? 0xffffffff : e[2],
				   .flags = le16(e + 3),
				   .lint = e[5] });
		break;
	case X2APIC_NMI:
		add_nmi(a, (struct acpi_nmi){
				   .local = true, .uid = le32(e + 4), .flags = le16(e + 2), .lint = e[8] });
		break;
	case LAPIC_ADDRESS:
		a->lapic_address = le64(e + 4);
		break;
	}
}

void acpi_parse_madt(struct acpi *a, const uint8_t *t, size_t n)
{
	if (n < 44)
		return;
	a->have_madt = true;
	a->lapic_address = le32(t + 36);
	a->pc_at = t[40] & 1;
	for (size_t at = 44; n - at >= 2;) {
		const uint8_t *e = t + at;
		size_t bytes = e[1];

		/* An entry that runs over the end, or that says it has no length, ends the table. */
		if (bytes < 2 || bytes > n - at) {
			a->nbroken++;
			return;
		}
		if (e[0] >= ARRAY_SIZE(least_bytes) || bytes >= least_bytes[e[0]])
			parse_entry(a, e);
		else
			a->nbroken++;
		at += bytes;
	}
}
