/* SPDX-License-Identifier: MIT */
/*
 * Finding the tables (ACPI 6.5, 5.2.5 to 5.2.8): RSDP, then XSDT or RSDT, then each table once by its header,
 * once whole. What is too short, too long, has a wrong sum or cannot be reached is left out.
 */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
#include "lib/bits.h"

#define RSDP_V1_BYTES  20
#define RSDP_V2_BYTES  36
#define RSDP_BYTES_MAX 4096u

static bool sum_is_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	return !sum;
}

static const uint8_t *map(const struct acpi_memory *mem, uint64_t at, size_t n)
{
	/* Beyond 52 bits no physical address lies; and at + n must not wrap. */
	if (!at || at >= BIT(52) || n > BIT(52) - at)
		return NULL;
	return mem->map(mem->ctx, at, n);
}

/* The whole table at `at` if its header and sum are right; sig may be NULL for any. NULL if not. */
static const uint8_t *map_table(const struct acpi_memory *mem, uint64_t at, const char *sig, size_t *bytes)
{
	const uint8_t *t = map(mem, at, ACPI_HEADER);
	uint32_t n;

	if (!t || (sig && memcmp(t, sig, 4) != 0))
		return NULL;
	n = le32(t + 4);
	if (n < ACPI_HEADER || n > ACPI_TABLE_BYTES_MAX)
		return NULL;
	t = map(mem, at, n);
	if (!t || !sum_is_zero(t, n))
		return NULL;
	*bytes = n;
	return t;
}

/* Printable, so that a log line cannot be garbled by firmware. */
static void copy_name(char *to, const uint8_t *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	to[n] = 0;
}

static int find_root(
	struct acpi *a, const struct acpi_memory *mem, uint64_t rsdp, uint64_t *xsdt, uint64_t *rsdt)
{
	const uint8_t *p = map(mem, rsdp, RSDP_V1_BYTES);
	uint32_t n;

	if (!p || memcmp(p, "RSD PTR ", 8) != 0 || !sum_is_zero(p, RSDP_V1_BYTES))
		return -E_INVAL;
	a->revision = p[15];
	*rsdt = le32(p + 16);
	*xsdt = 0;
	if (a->revision < 2)
		return 0;
	p = map(mem, rsdp, RSDP_V2_BYTES);
	if (!p)
		return 0;
	n = le32(p + 20);
	if (n < RSDP_V2_BYTES || n > RSDP_BYTES_MAX)
		return 0;
	p = map(mem, rsdp, n);
	if (p && sum_is_zero(p, n))
		*xsdt = le64(p + 24);
	return 0;
}

static void read_table(struct acpi *a, const struct acpi_memory *mem, uint64_t at)
{
	static const struct {
		char sig[5];
		void (*parse)(struct acpi *a, const uint8_t *t, size_t n);
	} known[] = {
		{ "APIC", acpi_parse_madt },
		{ "FACP", acpi_parse_fadt },
		{ "MCFG", acpi_parse_mcfg },
		{ "HPET", acpi_parse_hpet },
		{ "SPCR", acpi_parse_spcr },
		{ "DMAR", acpi_parse_dmar },
	};
	size_t n = 0;
	const uint8_t *t = map_table(mem, at, NULL, &n);

	if (!t || a->ntables == ACPI_TABLES_MAX) {
		a->nbroken++;
		return;
	}
	/* Of two tables of a kind the first counts (only SSDTs may be several). */
	for (unsigned i = 0; i < a->ntables; i++)
		if (!memcmp(a->table[i].sig, t, 4))
			goto list;
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (!memcmp(t, known[i].sig, 4))
			known[i].parse(a, t, n);
list:
	copy_name(a->table[a->ntables].sig, t, 4);
	a->table[a->ntables].bytes = (uint32_t)n;
	a->table[a->ntables].at = at;
	a->ntables++;
}

/* Entries of `width` bytes behind the header of the root table. False if there is no such table. */
static bool read_root(
	struct acpi *a, const struct acpi_memory *mem, uint64_t at, const char *sig, unsigned width)
{
	uint64_t entry[2 * ACPI_TABLES_MAX];
	size_t n = 0, count;
	const uint8_t *t = map_table(mem, at, sig, &n);

	if (!t)
		return false;
	copy_name(a->oem, t + 10, 6);
	count = (n - ACPI_HEADER) / width;
	if (count > ARRAY_SIZE(entry)) {
		a->nbroken += (unsigned)(count - ARRAY_SIZE(entry));
		count = ARRAY_SIZE(entry);
	}
	/* Copied first: the mapping is good only until the next one. */
	for (size_t i = 0; i < count; i++)
		entry[i] = width == 8 ? le64(t + ACPI_HEADER + 8 * i) : le32(t + ACPI_HEADER + 4 * i);
	for (size_t i = 0; i < count; i++)
		if (entry[i]) /* some firmware leaves holes */
			read_table(a, mem, entry[i]);
	return true;
}

/* \_S5_ is in the DSDT of nearly all machines, in an SSDT of the rest. */
static void find_s5(struct acpi *a, const struct acpi_memory *mem)
{
	size_t n = 0;
	const uint8_t *t = a->dsdt ? map_table(mem, a->dsdt, "DSDT", &n) : NULL;

	if (a->dsdt && !t)
		a->nbroken++;
	a->have_s5 = t && acpi_find_s5(t, n, &a->s5_typ_a, &a->s5_typ_b);
	for (unsigned i = 0; i < a->ntables && !a->have_s5; i++) {
		if (memcmp(a->table[i].sig, "SSDT", 4) != 0)
			continue;
		t = map_table(mem, a->table[i].at, "SSDT", &n);
		a->have_s5 = t && acpi_find_s5(t, n, &a->s5_typ_a, &a->s5_typ_b);
	}
}

int acpi_read(struct acpi *out, const struct acpi_memory *mem, uint64_t rsdp)
{
	uint64_t xsdt = 0, rsdt = 0;
	int err;

	memset(out, 0, sizeof(*out));
	if (!rsdp)
		return -E_NOENT;
	err = find_root(out, mem, rsdp, &xsdt, &rsdt);
	if (err)
		return err;
	if (!(xsdt && read_root(out, mem, xsdt, "XSDT", 8)) &&
		!(rsdt && read_root(out, mem, rsdt, "RSDT", 4)))
		return -E_INVAL;
	find_s5(out, mem);
	return 0;
}
