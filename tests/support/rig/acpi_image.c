/* SPDX-License-Identifier: MIT */
#include "tests/support/rig/acpi_image.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"

static uint64_t word(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return v;
}

static void fix(uint8_t *p, size_t n, size_t sum_at)
{
	uint8_t sum = 0;

	p[sum_at] = 0;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	p[sum_at] = (uint8_t)-sum;
}

static const uint8_t *find(const struct acpi_image *im, uint64_t at, size_t n)
{
	for (size_t pos = 8; range_within(pos, 12, im->n);) {
		uint64_t base = word(im->data + pos, 8);
		size_t bytes = word(im->data + pos + 8, 4);

		pos += 12;
		bytes = min(bytes, im->n - pos);
		if (at >= base && range_within(at - base, n, bytes))
			return im->data + pos + (at - base);
		pos += bytes;
	}
	return NULL;
}

static const void *map(void *ctx, uint64_t at, size_t n)
{
	struct acpi_image *im = ctx;
	const uint8_t *from = find(im, at, n);
	uint8_t *p;

	acpi_image_close(im);
	if (!from)
		return NULL;
	p = im->mapped = malloc(n);
	memcpy(p, from, n);
	if (im->fix_sums && n >= 20 && !memcmp(p, "RSD PTR ", 8)) {
		fix(p, 20, 8);
		if (n >= 36)
			fix(p, n, 32);
	} else if (im->fix_sums && n >= ACPI_HEADER) {
		fix(p, n, 9);
	}
	return p;
}

struct acpi_memory acpi_image_memory(struct acpi_image *im)
{
	return (struct acpi_memory){ map, im };
}

uint64_t acpi_image_rsdp(const struct acpi_image *im)
{
	return im->n >= 8 ? word(im->data, 8) : 0;
}

void acpi_image_close(struct acpi_image *im)
{
	free(im->mapped);
	im->mapped = NULL;
}
