/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 kernels on the bare machine: the guests of guest/demo without Lethe.
 *
 * Only files whose header gives their addresses ("a.out kludge") are taken. The firmware's memory is overwritten, so
 * the kernel is moved when the firmware is gone: then nothing else uses the memory from 1 MiB to the kernel's end. The kernel
 * finds what Lethe's loader gives it (guest/load/multiboot.c), but for an information structure that says nothing.
 */
#include "tools/native/native.h"

#include "guest/load/multiboot_format.h"

#define LOWEST	0x100000u
#define HIGHEST 0x10000000u /* the loader and what it allocated lie above: checked */

static const struct multiboot_header *header_of(const struct file *kernel)
{
	UINTN end = kernel->size < MULTIBOOT_SEARCH ? kernel->size : MULTIBOOT_SEARCH;

	for (UINTN at = 0; at + MULTIBOOT_HEADER_KLUDGE <= end; at += 4) {
		const struct multiboot_header *h = (const void *)(kernel->data + at);

		if (h->magic == MULTIBOOT_MAGIC && h->magic + h->flags + h->checksum == 0)
			return h;
	}
	return NULL;
}

BOOLEAN multiboot_found(const struct file *kernel)
{
	return header_of(kernel) != NULL;
}

/* Bytes of the file that are loaded; 0: the header makes no sense. */
static UINTN bytes_of(const struct file *kernel, const struct multiboot_header *h, const UINT8 **from)
{
	UINTN at = (UINTN)((const UINT8 *)h - kernel->data), skipped = h->header_addr - h->load_addr;

	if (h->header_addr < h->load_addr || skipped > at)
		return 0;
	*from = kernel->data + at - skipped;
	if (h->load_end_addr == 0)
		return kernel->size - (at - skipped);
	if (h->load_end_addr <= h->load_addr ||
		h->load_end_addr - h->load_addr > kernel->size - (at - skipped))
		return 0;
	return h->load_end_addr - h->load_addr;
}

EFI_STATUS multiboot_check(const struct file *kernel, UINT64 image)
{
	const struct multiboot_header *h = header_of(kernel);
	const UINT8 *from;
	UINTN bytes = bytes_of(kernel, h, &from);

	if (!(h->flags & MULTIBOOT_AOUT_KLUDGE) || bytes == 0)
		return fail(L"the multiboot header has no addresses, or wrong ones", EFI_UNSUPPORTED);
	if (h->load_addr < LOWEST || h->load_addr + (UINT64)bytes > HIGHEST || h->bss_end_addr > HIGHEST ||
		h->entry_addr < h->load_addr || h->entry_addr >= h->load_addr + bytes)
		return fail(L"the multiboot kernel's addresses", EFI_UNSUPPORTED);
	if (image < HIGHEST || (UINT64)kernel->data < HIGHEST || image >> 32 || (UINT64)kernel->data >> 32)
		return fail(L"the firmware put the loader where the kernel goes", EFI_UNSUPPORTED);
	return EFI_SUCCESS;
}

/* From 64-bit mode to 32-bit protected mode without paging (SDM Vol. 3A 9.8.5.4): through compatibility mode. */
static void __attribute__((noreturn)) enter_32(UINT32 entry, const struct multiboot_info *info)
{
	static const UINT64 gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	struct {
		UINT16 limit;
		UINT64 base;
	} __attribute__((packed)) pointer = { sizeof(gdt) - 1, (UINT64)gdt };

	__asm__ volatile("lgdt %0\n\t"
			 "mov %1, %%ds\n\tmov %1, %%es\n\tmov %1, %%fs\n\tmov %1, %%gs\n\tmov %1, %%ss\n\t"
			 "lea 1f(%%rip), %%rax\n\tpushq $8\n\tpush %%rax\n\tlretq\n"
			 "	.code32\n"
			 "1:	mov %%cr0, %%eax\n\tand $0x7fffffff, %%eax\n\tmov %%eax, %%cr0\n\t"
			 "mov $0xc0000080, %%ecx\n\trdmsr\n\tand $0xfffffeff, %%eax\n\twrmsr\n\t"
			 "xor %%eax, %%eax\n\tmov %%eax, %%cr4\n\t"
			 "mov $0x2badb002, %%eax\n\tjmp *%%esi\n"
			 "	.code64"
			 :
			 : "m"(pointer), "r"(16), "S"((UINT64)entry), "b"(info)
			 : "memory", "rax", "rcx", "rdx");
	__builtin_unreachable();
}

void multiboot_enter(const struct file *kernel)
{
	static struct multiboot_info nothing;
	const struct multiboot_header *h = header_of(kernel);
	const UINT8 *from = NULL;
	UINTN bytes = bytes_of(kernel, h, &from);
	UINT8 *to = (UINT8 *)(UINTN)h->load_addr;
	UINT32 bss_end = h->bss_end_addr, entry = h->entry_addr;

	for (UINTN i = 0; i < bytes; i++)
		to[i] = from[i];
	for (UINT8 *zero = to + bytes; zero < (UINT8 *)(UINTN)bss_end; zero++)
		*(volatile UINT8 *)zero = 0;
	enter_32(entry, &nothing);
}
