/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map as ranges that are sorted and disjoint, whatever the firmware says: where two
 * descriptors overlap, the one that lets Lethe do less wins.
 */
#pragma once

#include "lib/boot_info.h"

/* EFI_MEMORY_DESCRIPTOR (UEFI 7.2, GetMemoryMap); in memory each may be followed by bytes of a later version. */
struct memory_descriptor {
	uint32_t type; /* EFI_MEMORY_TYPE */
	uint32_t reserved;
	uint64_t base, virtual_base;
	uint64_t pages;
	uint64_t attributes;
};
_Static_assert(sizeof(struct memory_descriptor) == 40, "UEFI 7.2");

struct memory_map {
	struct mem_range *range;
	unsigned n, max;
	unsigned lost; /* pieces that found no room; what they covered is not usable */
};

/* Adds all descriptors (bytes of them, stride apart), then merges. */
void memory_map_add(struct memory_map *m, const void *descriptors, size_t bytes, size_t stride);
/* Adds one range over what is there; parts of it that are already of a stricter type keep theirs. */
void memory_map_mark(struct memory_map *m, uint64_t base, uint64_t bytes, enum mem_type type);
/* Joins neighbours that differ in nothing that matters. */
void memory_map_merge(struct memory_map *m);
/*
 * Two free pages below 1 MiB for the start of other CPUs, as high up as there are: in memory of the boot services, which is free
 * after ExitBootServices, or in usable memory. Not page 0; nothing from 512 KiB on, where the EBDA may lie: firmware and
 * system-management code use it, whatever the map says, and its address stands in page 0, which need not be mapped. 0: none.
 */
uint64_t memory_map_find_trampoline(const struct memory_map *m);
/* Bytes of this type. */
uint64_t memory_map_total(const struct memory_map *m, enum mem_type type);
