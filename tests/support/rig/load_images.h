/* SPDX-License-Identifier: MIT */
/* Images for the loaders' tests, small and right; a test then breaks one thing. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "guest/load/elf_format.h"
#include "guest/load/linux_boot.h"
#include "guest/load/multiboot_format.h"

struct image {
	uint8_t *data; /* of exactly `size` bytes, so that the sanitizer sees a byte read beyond */
	uint64_t size;
};

static inline struct image image_new(uint64_t size)
{
	return (struct image){ calloc(1, size), size };
}

/* Cuts the image: the tail is really gone. */
static inline void image_cut(struct image *i, uint64_t size)
{
	uint8_t *data = malloc(size + !size);

	memcpy(data, i->data, size);
	free(i->data);
	i->data = data;
	i->size = size;
}

#define BZ_SETUP_SECTS 3
#define BZ_SETUP       ((BZ_SETUP_SECTS + 1) * 512)
#define BZ_CODE	       8192

static inline struct linux_setup_header *bz_header(struct image i)
{
	return (struct linux_setup_header *)(i.data + LINUX_SETUP_AT);
}

/* A bzImage of protocol 2.15 with a 64-bit entry, whose code is a counting pattern. */
static inline struct image bz_new(void)
{
	struct image i = image_new(BZ_SETUP + BZ_CODE);
	struct linux_setup_header *h = bz_header(i);

	*h = (struct linux_setup_header){
		.setup_sects = BZ_SETUP_SECTS,
		.syssize = BZ_CODE / 16,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0xeb | (0x26c - 0x202) << 8,
		.header = LINUX_MAGIC,
		.version = LINUX_PROTOCOL(2, 15),
		.kernel_version = 0x1234,
		.loadflags = LINUX_LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.min_alignment = 21,
		.xloadflags = LINUX_XLF_KERNEL_64 | LINUX_XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = 2047,
		.pref_address = 0x1000000,
		.init_size = 0x300000,
	};
	for (unsigned k = 0; k < BZ_CODE; k++)
		i.data[BZ_SETUP + k] = (uint8_t)(k * 7 + k / 256);
	return i;
}

/* A flat file with a multiboot header at 16 and its addresses: 64 bytes of file to 0x100000, 64 zeros behind. */
#define KLUDGE_LOAD 0x100000
static inline struct multiboot_header *kludge_header(struct image i)
{
	return (struct multiboot_header *)(i.data + 16);
}
static inline void multiboot_sum(struct multiboot_header *h)
{
	h->checksum = -(h->magic + h->flags);
}
static inline struct image kludge_new(void)
{
	struct image i = image_new(64);
	struct multiboot_header *h = kludge_header(i);

	memset(i.data, 0x90, i.size);
	*h = (struct multiboot_header){ .magic = MULTIBOOT_MAGIC,
		.flags = MULTIBOOT_AOUT_KLUDGE,
		.header_addr = KLUDGE_LOAD + 16,
		.load_addr = KLUDGE_LOAD,
		.bss_end_addr = KLUDGE_LOAD + 128,
		.entry_addr = KLUDGE_LOAD + 4 };
	multiboot_sum(h);
	return i;
}

/* An ELF kernel of two segments with a multiboot header: code at 0x100000 (file offset 0x200, 0x100 bytes), data at
 * 0x102000 (offset 0x300, 0x80 bytes, 0x1000 in memory). Virtual addresses are `up` higher. */
#define ELF_MULTIBOOT_AT 0x200
static inline struct multiboot_header *elf_multiboot(struct image i)
{
	return (struct multiboot_header *)(i.data + ELF_MULTIBOOT_AT);
}
static inline struct elf32_ehdr *elf32_header(struct image i)
{
	return (struct elf32_ehdr *)i.data;
}
static inline struct elf32_phdr *elf32_segment(struct image i, unsigned n)
{
	return (struct elf32_phdr *)(i.data + 52) + n;
}
static inline struct elf64_phdr *elf64_segment(struct image i, unsigned n)
{
	return (struct elf64_phdr *)(i.data + 64) + n;
}

static inline void elf_body(struct image i)
{
	struct multiboot_header h = { .magic = MULTIBOOT_MAGIC };

	multiboot_sum(&h);
	memset(i.data + 0x200, 0x11, 0x100);
	memset(i.data + 0x300, 0x22, 0x80);
	memcpy(elf_multiboot(i), &h, MULTIBOOT_HEADER_SHORT);
}

static inline struct image elf32_new(uint32_t up)
{
	struct image i = image_new(0x400);
	struct elf32_ehdr *h = elf32_header(i);

	*h = (struct elf32_ehdr){ .ident = { ELF_MAGIC, ELF_CLASS32, ELF_LSB, 1, 0, { 0 } },
		.type = ELF_ET_EXEC,
		.machine = ELF_EM_386,
		.version = 1,
		.entry = 0x100010 + up,
		.phoff = 52,
		.ehsize = 52,
		.phentsize = 32,
		.phnum = 2 };
	*elf32_segment(i, 0) =
		(struct elf32_phdr){ ELF_PT_LOAD, 0x200, 0x100000 + up, 0x100000, 0x100, 0x100, 5, 4096 };
	*elf32_segment(i, 1) =
		(struct elf32_phdr){ ELF_PT_LOAD, 0x300, 0x102000 + up, 0x102000, 0x80, 0x1000, 6, 4096 };
	elf_body(i);
	return i;
}

static inline struct image elf64_new(uint64_t up)
{
	struct image i = image_new(0x400);
	struct elf64_ehdr *h = (struct elf64_ehdr *)i.data;

	*h = (struct elf64_ehdr){ .ident = { ELF_MAGIC, ELF_CLASS64, ELF_LSB, 1, 0, { 0 } },
		.type = ELF_ET_EXEC,
		.machine = ELF_EM_X86_64,
		.version = 1,
		.entry = 0x100010 + up,
		.phoff = 64,
		.ehsize = 64,
		.phentsize = 56,
		.phnum = 2 };
	*elf64_segment(i, 0) =
		(struct elf64_phdr){ ELF_PT_LOAD, 5, 0x200, 0x100000 + up, 0x100000, 0x100, 0x100, 4096 };
	*elf64_segment(i, 1) =
		(struct elf64_phdr){ ELF_PT_LOAD, 6, 0x300, 0x102000 + up, 0x102000, 0x80, 0x1000, 4096 };
	elf_body(i);
	return i;
}
