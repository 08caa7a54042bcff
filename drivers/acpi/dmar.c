/* SPDX-License-Identifier: MIT */
/* DMAR: the DMA remapping units and the memory that devices must keep (VT-d specification, chapter 8). */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
#include "lib/bits.h"

enum { DRHD = 0, RMRR = 1 };

/* Device scopes in [p, p + n): as many as fit. */
static uint8_t parse_scopes(struct acpi *a, struct acpi_scope *out, const uint8_t *p, size_t n)
{
	uint8_t count = 0;

	while (n >= 6) {
		size_t bytes = p[1], path = bytes - 6;

		if (bytes < 6 || bytes > n || path > sizeof(out->path) || path % 2 ||
			count == ACPI_SCOPE_MAX) {
			a->nbroken++;
			break;
		}
		out[count].type = p[0];
		out[count].id = p[4];
		out[count].bus = p[5];
		out[count].path_len = (uint8_t)path;
		memcpy(out[count].path, p + 6, path);
		count++;
		p += bytes;
		n -= bytes;
	}
	return count;
}

static void parse_drhd(struct acpi *a, const uint8_t *e, size_t bytes)
{
	struct acpi_drhd *d;

	if (bytes < 16 || a->ndrhd == ACPI_DRHD_MAX) {
		a->nbroken++;
		return;
	}
	d = &a->drhd[a->ndrhd++];
	d->include_all = e[4] & 1;
	d->segment = le16(e + 6);
	d->base = le64(e + 8);
	d->nscopes = parse_scopes(a, d->scope, e + 16, bytes - 16);
}

static void parse_rmrr(struct acpi *a, const uint8_t *e, size_t bytes)
{
	struct acpi_rmrr *r;

	if (bytes < 24 || a->nrmrr == ACPI_RMRR_MAX || le64(e + 16) < le64(e + 8)) {
		a->nbroken++;
		return;
	}
	r = &a->rmrr[a->nrmrr++];
	r->segment = le16(e + 6);
	r->base = le64(e + 8);
	r->limit = le64(e + 16);
	r->nscopes = parse_scopes(a, r->scope, e + 24, bytes - 24);
}

void acpi_parse_dmar(struct acpi *a, const uint8_t *t, size_t n)
{
	if (n < 48)
		return;
	a->have_dmar = true;
	a->dmar_width = (uint8_t)(t[36] + 1);
	a->dmar_intr_remap = t[37] & 1;
	a->dmar_x2apic_opt_out = t[37] & 2;
	for (size_t at = 48; n - at >= 4;) {
		const uint8_t *e = t + at;
		size_t bytes = le16(e + 2);

		if (bytes < 4 || bytes > n - at) {
			a->nbroken++;
			return;
		}
		if (le16(e) == DRHD)
			parse_drhd(a, e, bytes);
		else if (le16(e) == RMRR)
			parse_rmrr(a, e, bytes);
		at += bytes;
	}
}
