/* SPDX-License-Identifier: MIT */
/*
 * Physical memory with ACPI tables, as a file: u64 address of the RSDP, then pieces { u64 address; u32 bytes; bytes }.
 * (tests/fuzz/corpus/acpi holds dumps of QEMU machines in this form.) Every mapping is a copy of its own size on the
 * heap, so that a sanitizer sees the first byte read beyond it; an older one is gone when a new one is made.
 */
#pragma once

#include "drivers/acpi/acpi.h"

struct acpi_image {
	const uint8_t *data;
	size_t n;
	bool fix_sums; /* make the checksum of whatever is mapped right, so that a fuzzer gets past it */
	void *mapped;
};

struct acpi_memory acpi_image_memory(struct acpi_image *im);
uint64_t acpi_image_rsdp(const struct acpi_image *im);
void acpi_image_close(struct acpi_image *im);
