/* SPDX-License-Identifier: MIT */
/* This machine's tables, read once at start-up through the hypervisor's own mappings. */
#include "drivers/acpi/acpi.h"

#include "lib/log.h"
#include "lib/printf.h"
#include "lib/x86.h"
#include "mm/host/hostmap.h"

static struct acpi tables;

static const void *map(void *ctx, uint64_t at, size_t n)
{
	uint64_t limit = *(const uint64_t *)ctx;

	/* An address that this CPU cannot form would be a reserved bit in our own page tables. */
	if (!range_within(at, n, limit))
		return NULL;
	return hostmap_mmio(hpa(at), n, MT_WB);
}

int acpi_init(hpa_t rsdp)
{
	uint64_t limit = BIT(min(cpu_phys_bits(), 52u));
	const struct acpi_memory mem = { map, &limit };

	return acpi_read(&tables, &mem, rsdp.v);
}

const struct acpi *acpi_get(void)
{
	return &tables;
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

void acpi_log(const struct acpi *a)
{
	char list[ACPI_TABLES_MAX * 5 + 1];
	size_t n = 0;

	if (!a->ntables) {
		log_warn(
			"no ACPI tables: one CPU, no I/O APIC, and no way to switch the machine off are known");
		return;
	}
	list[0] = 0;
	for (unsigned i = 0; i < a->ntables; i++)
		n += (size_t)fmt_snprintf(list + n, sizeof(list) - n, " %s", a->table[i].sig);
	log_info("ACPI %u (%s):%s", a->revision, a->oem, list);
	log_info("ACPI: %u CPU%s, %u I/O APIC%s, %u interrupt override%s", a->ncpus, plural(a->ncpus),
		a->nioapics, plural(a->nioapics), a->noverrides, plural(a->noverrides));
	if (a->nmcfg)
		log_info("ACPI: PCI configuration space in memory, %u segment%s (MCFG)", a->nmcfg,
			plural(a->nmcfg));
	else
		log_info("ACPI: PCI configuration space by ports 0xcf8 and 0xcfc only (no MCFG)");
	if (a->ndrhd)
		log_info("ACPI: %u DMA remapping unit%s (VT-d)", a->ndrhd, plural(a->ndrhd));
	if (a->ncpus_offline)
		log_info("ACPI: %u CPUs could be plugged in and are not used", a->ncpus_offline);
	if (a->ncpus_disabled)
		log_info("ACPI: %u CPUs are listed as disabled and are left out (the first: APIC ID %u)",
			a->ncpus_disabled, a->first_disabled);
	if (a->ncpus_dropped)
		log_warn("ACPI: %u CPUs more than Lethe can list (%u) are left out", a->ncpus_dropped,
			ACPI_CPUS_MAX);
	if (a->nbroken)
		log_warn("ACPI: %u tables or entries are broken and were left out", a->nbroken);
	if (!a->have_madt)
		log_warn("ACPI: no MADT: only the CPU that firmware started is known");
	if (!a->have_s5 || !a->have_fadt)
		log_warn("ACPI: no \\_S5_: the machine cannot be powered off this way");
}
