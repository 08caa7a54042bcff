/* SPDX-License-Identifier: MIT */
/*
 * What boot/ tells hv/: filled in under UEFI, read after ExitBootServices. All pointers are in the image or in
 * memory of type MEM_BOOT, identity mapped by the firmware's tables; hv/ takes over what it keeps.
 */
#pragma once

#include "lib/types.h"

enum mem_type {
	MEM_USABLE, /* free RAM, ours after ExitBootServices */
	MEM_BOOT, /* RAM that holds Lethe's image, its boot stack, boot_info and what it points to, loaded files */
	MEM_BOOT_SERVICES, /* RAM with the firmware's page tables, GDT, IDT and first stack: usable once we have our own */
	MEM_ACPI_RECLAIM, /* RAM with ACPI tables: kept */
	MEM_ACPI_NVS,	  /* RAM of the firmware: never touched */
	MEM_RUNTIME_CODE, /* RAM of the runtime services */
	MEM_RUNTIME_DATA,
	MEM_MMIO,     /* device memory that the map lists */
	MEM_RESERVED, /* all else, and RAM below 1 MiB that is not MEM_USABLE */
};

struct mem_range {
	hpa_t base;
	uint64_t pages; /* of 4 KiB */
	enum mem_type type;
	uint32_t uefi_type;  /* EFI_MEMORY_TYPE as the firmware said it */
	uint64_t attributes; /* EFI_MEMORY_* bits (UEFI 7.2) */
};

/* A piece of the running image and the rights that it needs: hv/ maps exactly these. */
struct image_section {
	hpa_t base;
	uint64_t pages;
	bool write, exec;
};

enum fb_format { FB_NONE, FB_BGRX8888, FB_RGBX8888 };

struct framebuffer {
	hpa_t base;
	uint64_t size;	   /* bytes */
	uint64_t reported; /* what firmware said: less, if it was too little for the picture */
	uint32_t width, height;
	uint32_t stride; /* pixels a line */
	enum fb_format format;
};

struct boot_file {
	char path[128]; /* as lethe.conf names it */
	const void *data;
	uint64_t size; /* bytes */
};

#define BOOT_FILES_MAX	  64
#define BOOT_RANGES_MAX	  1024
#define BOOT_SECTIONS_MAX 8

struct conf; /* guest/conf/conf.h */

struct boot_info {
	uint64_t tsc_start; /* TSC at efi_main */
	uint64_t tsc_files; /* ticks spent reading files and printing their progress */
	/* Seconds since 1970 by the firmware's clock (taken as UTC) at efi_main, 0: it has none. */
	uint64_t unix_time;
	hpa_t rsdp;	  /* ACPI 2.0 RSDP, 0 if there is none */
	hpa_t trampoline; /* two 4 KiB pages below 1 MiB for the start of other CPUs, or 0 */
	struct framebuffer fb;
	const struct conf *conf; /* parsed and checked */
	/* The firmware's reset (UEFI 8.5.1 ResetSystem), reached by way of a wrapper; hv/ maps the runtime regions. */
	void (*reset)(bool power_off);
	unsigned nsections, nranges, nfiles;
	struct image_section section[BOOT_SECTIONS_MAX];
	struct mem_range range[BOOT_RANGES_MAX]; /* sorted by base, no overlap, neighbours of a type merged */
	struct boot_file file[BOOT_FILES_MAX];
};

/* hv/main.c: takes the machine over; called with interrupts off and boot services gone. */
void hv_main(struct boot_info *bi) __noreturn;
