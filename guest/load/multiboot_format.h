/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1's structures (Multiboot Specification 0.6.96, sections 3.1 and 3.3).
 */
#pragma once

#include "lib/types.h"

#define MULTIBOOT_MAGIC	 0x1badb002u /* in the kernel */
#define MULTIBOOT_BOOTED 0x2badb002u /* in EAX at entry */
#define MULTIBOOT_SEARCH 8192u	     /* the header lies wholly in these first bytes, 4-byte aligned */

/* Header flags; 15:0 must be understood by the loader, 31:16 may be ignored. */
#define MULTIBOOT_PAGE_ALIGN  (1u << 0)
#define MULTIBOOT_MEMORY_INFO (1u << 1)
#define MULTIBOOT_VIDEO_MODE  (1u << 2)
#define MULTIBOOT_MANDATORY   0xffffu
#define MULTIBOOT_KNOWN	      (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO | MULTIBOOT_VIDEO_MODE)
#define MULTIBOOT_AOUT_KLUDGE (1u << 16)

struct multiboot_header {
	uint32_t magic, flags, checksum; /* the three add up to 0 */
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr,
		entry_addr;			  /* with MULTIBOOT_AOUT_KLUDGE */
	uint32_t mode_type, width, height, depth; /* with MULTIBOOT_VIDEO_MODE; mode_type 1: text */
};
#define MULTIBOOT_HEADER_SHORT	12 /* bytes of a header without addresses */
#define MULTIBOOT_HEADER_KLUDGE 32
#define MULTIBOOT_MODE_TEXT	1

/* Information structure: flags say which fields hold something. */
#define MULTIBOOT_INFO_MEMORY	   (1u << 0)
#define MULTIBOOT_INFO_CMDLINE	   (1u << 2)
#define MULTIBOOT_INFO_MODS	   (1u << 3)
#define MULTIBOOT_INFO_MMAP	   (1u << 6)
#define MULTIBOOT_INFO_LOADER_NAME (1u << 9)
#define MULTIBOOT_INFO_FRAMEBUFFER (1u << 12)

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
	uint32_t vbe_control_info, vbe_mode_info;
	uint16_t vbe_mode, vbe_interface_seg, vbe_interface_off, vbe_interface_len;
	uint64_t framebuffer_addr;
	uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
	uint8_t framebuffer_bpp, framebuffer_type; /* type 2: EGA text, sizes in characters */
	uint8_t color_info[6];
} __packed;

struct multiboot_module {
	uint32_t start, end; /* end: the first byte behind it */
	uint32_t string;
	uint32_t reserved;
};

struct multiboot_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type; /* as E820 */
} __packed;

_Static_assert(sizeof(struct multiboot_header) == 48, "multiboot 3.1");
_Static_assert(offsetof(struct multiboot_header, mode_type) == MULTIBOOT_HEADER_KLUDGE, "multiboot 3.1");
_Static_assert(offsetof(struct multiboot_info, mmap_length) == 44, "multiboot 3.3");
_Static_assert(offsetof(struct multiboot_info, boot_loader_name) == 64, "multiboot 3.3");
_Static_assert(offsetof(struct multiboot_info, framebuffer_addr) == 88, "multiboot 3.3");
_Static_assert(sizeof(struct multiboot_info) == 116, "multiboot 3.3");
_Static_assert(sizeof(struct multiboot_module) == 16, "multiboot 3.3");
_Static_assert(sizeof(struct multiboot_mmap) == 24, "multiboot 3.3");
