/* SPDX-License-Identifier: MIT */
/*
 * The Linux/x86 boot protocol's structures, as Documentation/arch/x86/boot.rst and zero-page.rst of the kernel
 * describe them.
 *
 *	bzImage:  | boot sector + setup code: (setup_sects + 1) * 512 | the kernel proper: up to syssize * 16 |
 *	                      ^ setup_header at 0x1f1
 */
#pragma once

#include "lib/types.h"

#define LINUX_SETUP_AT		  0x1f1 /* in the file and in boot_params alike */
#define LINUX_BOOT_FLAG		  0xaa55
#define LINUX_MAGIC		  0x53726448 /* "HdrS" */
#define LINUX_DEFAULT_SETUP_SECTS 4	     /* when setup_sects is 0 */

#define LINUX_PROTOCOL(major, minor) ((major) << 8 | (minor))

struct linux_setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	/* of the kernel proper, in units of 16 bytes, rounded up; before 2.04 only 16 bits wide */
	uint32_t syssize;
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint16_t jump; /* a short jump over the header: its second byte tells the header's end */
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;	    /* 2.02 */
	uint32_t initrd_addr_max;   /* 2.03: the last byte that an initrd may take */
	uint32_t kernel_alignment;  /* 2.05 */
	uint8_t relocatable_kernel; /* 2.05 */
	uint8_t min_alignment;	    /* 2.10: as a power of two */
	uint16_t xloadflags;	    /* 2.12 */
	uint32_t cmdline_size;	    /* 2.06: without the final NUL */
	uint32_t hardware_subarch;  /* 2.07 */
	uint64_t hardware_subarch_data;
	uint32_t payload_offset; /* 2.08 */
	uint32_t payload_length;
	uint64_t setup_data;   /* 2.09 */
	uint64_t pref_address; /* 2.10 */
	uint32_t init_size;    /* 2.10 */
	uint32_t handover_offset;
	uint32_t kernel_info_offset;
} __packed;

_Static_assert(LINUX_SETUP_AT + offsetof(struct linux_setup_header, boot_flag) == 0x1fe, "boot.rst");
_Static_assert(LINUX_SETUP_AT + offsetof(struct linux_setup_header, header) == 0x202, "boot.rst");
_Static_assert(LINUX_SETUP_AT + offsetof(struct linux_setup_header, cmd_line_ptr) == 0x228, "boot.rst");
_Static_assert(LINUX_SETUP_AT + offsetof(struct linux_setup_header, xloadflags) == 0x236, "boot.rst");
_Static_assert(LINUX_SETUP_AT + offsetof(struct linux_setup_header, pref_address) == 0x258, "boot.rst");
_Static_assert(LINUX_SETUP_AT + sizeof(struct linux_setup_header) == 0x26c, "boot.rst");

/* loadflags */
#define LINUX_LOADED_HIGH (1u << 0) /* the kernel proper goes to 0x100000 or above: a bzImage */

/* xloadflags */
#define LINUX_XLF_KERNEL_64		 (1u << 0) /* 64-bit entry point at 0x200 */
#define LINUX_XLF_CAN_BE_LOADED_ABOVE_4G (1u << 1) /* kernel, initrd, command line may lie above 4 GiB */

#define LINUX_LOADER_UNDEFINED 0xff
#define LINUX_VID_MODE_NORMAL  0xffff
#define LINUX_ENTRY64	       0x200

/* struct screen_info: what the BIOS would have said of the display. */
struct linux_screen_info {
	uint8_t orig_x, orig_y;
	uint16_t ext_mem_k;
	uint16_t orig_video_page;
	uint8_t orig_video_mode, orig_video_cols;
	uint16_t unused2;
	uint16_t orig_video_ega_bx;
	uint16_t unused3;
	uint8_t orig_video_lines, orig_video_isvga;
	uint16_t orig_video_points;
	uint8_t framebuffer[46]; /* VESA and EFI modes: none here */
} __packed;

struct linux_e820 {
	uint64_t base, size;
	uint32_t type;
} __packed;

/* The zero page, up to the memory map that fills the rest of it: at most 128 rows of struct linux_e820. */
struct linux_boot_params {
	struct linux_screen_info screen_info; /* 0x000 */
	uint8_t pad1[0x70 - 0x40];
	uint64_t acpi_rsdp_addr; /* 0x070, 2.14 */
	uint8_t pad2[0xc0 - 0x78];
	uint32_t ext_ramdisk_image, ext_ramdisk_size, ext_cmd_line_ptr; /* 0x0c0: bits 63:32 */
	uint8_t pad3[0x1e8 - 0xcc];
	uint8_t e820_entries;	       /* 0x1e8 */
	uint8_t pad4[0x1f1 - 0x1e9];   /* sentinel at 0x1ef: 0 says that this page was cleared */
	struct linux_setup_header hdr; /* 0x1f1 */
	uint8_t pad5[0x2d0 - 0x26c];
} __packed;

#define LINUX_E820_AT 0x2d0

_Static_assert(sizeof(struct linux_screen_info) == 0x40, "screen_info.h");
_Static_assert(sizeof(struct linux_e820) == 20, "zero-page.rst");
_Static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70, "zero-page.rst");
_Static_assert(offsetof(struct linux_boot_params, ext_ramdisk_image) == 0xc0, "zero-page.rst");
_Static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8, "zero-page.rst");
_Static_assert(offsetof(struct linux_boot_params, hdr) == LINUX_SETUP_AT, "zero-page.rst");
_Static_assert(sizeof(struct linux_boot_params) == LINUX_E820_AT, "zero-page.rst");
