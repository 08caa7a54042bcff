/* SPDX-License-Identifier: MIT */
/* Firmware's tables, mutated: nothing is read beyond a mapping, and what comes out is within its arrays. */
#include <stdlib.h>
#include <string.h>

#include "lib/assert.h"
#include "lib/bits.h"
#include "tests/support/rig/acpi_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct acpi *a)
{
	ASSERT(a->ncpus <= ACPI_CPUS_MAX && a->nioapics <= ACPI_IOAPICS_MAX &&
		a->noverrides <= ACPI_OVERRIDES_MAX);
	ASSERT(a->nnmis <= ACPI_NMIS_MAX && a->nmcfg <= ACPI_MCFG_MAX && a->ndrhd <= ACPI_DRHD_MAX);
	ASSERT(a->nrmrr <= ACPI_RMRR_MAX && a->ntables <= ACPI_TABLES_MAX);
	ASSERT(a->s5_typ_a < 8 && a->s5_typ_b < 8);
	ASSERT(!a->spcr.at.address || a->spcr.stride == 1 || a->spcr.stride == 2 || a->spcr.stride == 4);
	ASSERT(a->spcr.at.space == ACPI_IO ? a->spcr.at.address <= 0xfff8
					   : a->spcr.at.address <= BIT(52) - 8);
	ASSERT(!a->spcr.pci || (a->spcr.dev < 32 && a->spcr.fn < 8));
	for (unsigned i = 0; i < a->ncpus; i++)
		for (unsigned j = 0; j < i; j++)
			ASSERT(a->cpu[i].apic_id != a->cpu[j].apic_id);
	for (unsigned i = 0; i < a->nmcfg; i++)
		ASSERT(a->mcfg[i].bus_first <= a->mcfg[i].bus_last);
	for (unsigned i = 0; i < a->ndrhd; i++)
		ASSERT(a->drhd[i].nscopes <= ACPI_SCOPE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(struct acpi * a, const uint8_t *t, size_t n) = {
		acpi_parse_madt,
		acpi_parse_fadt,
		acpi_parse_mcfg,
		acpi_parse_hpet,
		acpi_parse_spcr,
		acpi_parse_dmar,
	};
	struct acpi_image im = { .data = data, .n = size, .fix_sums = true };
	struct acpi_memory mem = acpi_image_memory(&im);
	static struct acpi a;
	uint8_t typ_a, typ_b, *copy;

	acpi_read(&a, &mem, acpi_image_rsdp(&im));
	check(&a);
	acpi_image_close(&im);
	/* And each parser on the bytes as they are, without a way that leads there. */
	if (size < ACPI_HEADER || size > 4096)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	memset(&a, 0, sizeof(a));
	for (unsigned i = 0; i < ARRAY_SIZE(parsers); i++)
		parsers[i](&a, copy, size);
	acpi_find_s5(copy, size, &typ_a, &typ_b);
	a.s5_typ_a = a.s5_typ_b = 0;
	check(&a);
	free(copy);
	return 0;
}
