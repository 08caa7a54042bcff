/* SPDX-License-Identifier: MIT */
/*
 * native: starts a kernel on the bare machine as Lethe's loader starts it in a guest, for comparison.
 *
 * Beside this program lie the files `vmlinuz`, `initrd.img` (may be missing) and `cmdline`. They are read, the firmware
 * is left, and the kernel is entered: a multiboot kernel as multiboot.c says, a Linux kernel by the 64-bit boot protocol
 * (Linux: Documentation/arch/x86/boot.rst), at the very instruction at which it begins under Lethe. Right before it the
 * line
 *
 *     native: start tsc N
 *
 * says what the clock was. (Through the kernel's EFI stub, the other way in, firmware and stub would do what a loader
 * does, unpacking the kernel among it, and the two boots could not be compared.)
 */
#include "tools/native/native.h"

#include "guest/dev/layout.h"
#include "guest/load/linux_boot.h"

#define COM1	      0x3f8
#define LSR_THR_EMPTY 0x20
#define FOUR_GIB      (1ull << 32)
#define SECTOR	      512

static struct file vmlinuz, cmdline, initrd;
static UINT64 own_image;		 /* where this program begins */
static struct linux_boot_params *params; /* the zero page; rows of the memory map up to its end */
static UINT64 kernel;

static UINT8 line_status(void)
{
	UINT8 status;

	__asm__ volatile("inb %w1, %b0" : "=a"(status) : "Nd"(COM1 + 5));
	return status;
}

static void put(char c)
{
	while (!(line_status() & LSR_THR_EMPTY))
		;
	__asm__ volatile("outb %b0, %w1" : : "a"(c), "Nd"(COM1));
}

/* Reads the clock last, and prints it past the firmware, which is gone. */
static void announce_start(void)
{
	char digits[20];
	int n = 0;
	UINT64 ticks;

	for (const char *p = "\r\nnative: start tsc "; *p; p++)
		put(*p);
	ticks = __builtin_ia32_rdtsc();
	do
		digits[n++] = (char)('0' + ticks % 10);
	while (ticks /= 10);
	while (n)
		put(digits[--n]);
	put('\r');
	put('\n');
}

EFI_STATUS fail(CHAR16 *what, EFI_STATUS status)
{
	Print(L"native: failed: %s: %r\r\n", what, status);
	return status;
}

/* Pages below 4 GiB, which every kernel can take its files from. */
static void *take_pages(UINTN bytes)
{
	EFI_PHYSICAL_ADDRESS at = FOUR_GIB - 1;

	if (EFI_ERROR(uefi_call_wrapper(
		    BS->AllocatePages, 4, AllocateMaxAddress, EfiLoaderData, EFI_SIZE_TO_PAGES(bytes), &at)))
		return NULL;
	return (void *)at;
}

static EFI_STATUS read_file(EFI_FILE_HANDLE volume, CHAR16 *name, struct file *file)
{
	EFI_FILE_HANDLE handle;
	EFI_FILE_INFO *info;
	EFI_STATUS status = uefi_call_wrapper(volume->Open, 5, volume, &handle, name, EFI_FILE_MODE_READ, 0);

	if (EFI_ERROR(status))
		return status;
	info = LibFileInfo(handle);
	file->size = info ? info->FileSize : 0;
	file->data = info ? take_pages(file->size + 1) : NULL;
	if (!file->data)
		return EFI_OUT_OF_RESOURCES;
	status = uefi_call_wrapper(handle->Read, 3, handle, &file->size, file->data);
	file->data[file->size] = 0; /* the command line is a string */
	uefi_call_wrapper(handle->Close, 1, handle);
	FreePool(info);
	return status;
}

static EFI_STATUS read_files(EFI_HANDLE image)
{
	EFI_LOADED_IMAGE *self;
	EFI_FILE_HANDLE volume;
	EFI_STATUS status =
		uefi_call_wrapper(BS->HandleProtocol, 3, image, &LoadedImageProtocol, (VOID **)&self);

	if (EFI_ERROR(status))
		return fail(L"own image", status);
	own_image = (UINT64)self->ImageBase;
	volume = LibOpenRoot(self->DeviceHandle);
	if (!volume)
		return fail(L"own volume", EFI_NOT_FOUND);
	status = read_file(volume, L"\\EFI\\BOOT\\vmlinuz", &vmlinuz);
	if (EFI_ERROR(status))
		return fail(L"vmlinuz", status);
	status = read_file(volume, L"\\EFI\\BOOT\\cmdline", &cmdline);
	if (EFI_ERROR(status))
		return fail(L"cmdline", status);
	status = read_file(volume, L"\\EFI\\BOOT\\initrd.img", &initrd);
	return status == EFI_NOT_FOUND ? EFI_SUCCESS : status;
}

static UINT64 find_rsdp(void)
{
	static EFI_GUID acpi2 = ACPI_20_TABLE_GUID;
	VOID *rsdp = NULL;

	LibGetSystemConfigurationTable(&acpi2, &rsdp);
	return (UINT64)rsdp;
}

/* The kernel, and the zero page but for the memory map. */
static EFI_STATUS place(void)
{
	const struct linux_setup_header *h = (void *)(vmlinuz.data + LINUX_SETUP_AT);
	EFI_PHYSICAL_ADDRESS at;
	UINTN code;
	EFI_STATUS status;

	if (vmlinuz.size < LINUX_SETUP_AT + sizeof(*h) || h->header != LINUX_MAGIC ||
		h->version < LINUX_PROTOCOL(2, 12) || !(h->xloadflags & LINUX_XLF_KERNEL_64))
		return fail(L"vmlinuz has no 64-bit entry point", EFI_UNSUPPORTED);
	code = ((h->setup_sects ? h->setup_sects : LINUX_DEFAULT_SETUP_SECTS) + 1) * SECTOR;
	if (code >= vmlinuz.size || vmlinuz.size - code > h->init_size)
		return fail(L"vmlinuz is truncated", EFI_LOAD_ERROR);
	/* The firmware usually occupies the kernel's preferred address; any aligned address above it will do. */
	at = FOUR_GIB - 1;
	status = uefi_call_wrapper(BS->AllocatePages, 4, AllocateMaxAddress, EfiLoaderCode,
		EFI_SIZE_TO_PAGES((UINTN)h->init_size + h->kernel_alignment), &at);
	kernel = (at + h->kernel_alignment - 1) & ~((UINT64)h->kernel_alignment - 1);
	if (EFI_ERROR(status) || !h->relocatable_kernel || kernel < h->pref_address)
		return fail(L"no place for the kernel", EFI_ERROR(status) ? status : EFI_UNSUPPORTED);
	CopyMem((void *)kernel, vmlinuz.data + code, vmlinuz.size - code);

	params = take_pages(EFI_PAGE_SIZE);
	if (!params)
		return fail(L"zero page", EFI_OUT_OF_RESOURCES);
	ZeroMem(params, EFI_PAGE_SIZE);
	params->hdr = *h;
	/* The display as Lethe's loader describes it: VGA text. */
	params->screen_info.orig_video_mode = 3;
	params->screen_info.orig_video_cols = 80;
	params->screen_info.orig_video_lines = 25;
	params->screen_info.orig_video_ega_bx = 3;
	params->screen_info.orig_video_isvga = 1;
	params->screen_info.orig_video_points = 16;
	params->acpi_rsdp_addr = find_rsdp();
	params->hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	params->hdr.vid_mode = LINUX_VID_MODE_NORMAL;
	params->hdr.code32_start = (UINT32)kernel;
	params->hdr.cmd_line_ptr = (UINT32)(UINTN)cmdline.data;
	params->hdr.ramdisk_image = (UINT32)(UINTN)initrd.data;
	params->hdr.ramdisk_size = (UINT32)initrd.size;
	return EFI_SUCCESS;
}

/* UEFI 7.2.3, table 7.10 -> ACPI 15, table 15.4; 0: not in the map. */
static UINT32 e820_type(UINT32 type)
{
	switch (type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiConventionalMemory:
		return E820_RAM;
	case EfiACPIReclaimMemory:
		return E820_ACPI;
	case EfiACPIMemoryNVS:
		return E820_NVS;
	case EfiMemoryMappedIO:
	case EfiMemoryMappedIOPortSpace:
		return 0;
	default:
		return E820_RESERVED;
	}
}

static void add_row(UINT64 base, UINT64 size, UINT32 type)
{
	const UINTN most = (EFI_PAGE_SIZE - LINUX_E820_AT) / sizeof(struct linux_e820);
	struct linux_e820 *row = (struct linux_e820 *)((UINT8 *)params + LINUX_E820_AT);
	struct linux_e820 *last;

	if (!params) /* a multiboot kernel */
		return;
	last = params->e820_entries ? &row[params->e820_entries - 1] : NULL;
	if (last && last->type == type && last->base + last->size == base)
		last->size += size;
	else if (type && params->e820_entries < (most < 128 ? most : 128))
		row[params->e820_entries++] = (struct linux_e820){ base, size, type };
}

/* Leaves the firmware; the memory map becomes the kernel's. */
static EFI_STATUS leave(EFI_HANDLE image)
{
	UINTN room = 64 * 1024, size = room, key, each;
	UINT8 *map = take_pages(room);
	UINT32 version;
	EFI_STATUS status = EFI_OUT_OF_RESOURCES;

	/* The first call may change the map (UEFI 7.4.6): once more then. */
	for (int tries = 0; map && tries < 2; tries++) {
		size = room;
		status = uefi_call_wrapper(
			BS->GetMemoryMap, 5, &size, (EFI_MEMORY_DESCRIPTOR *)map, &key, &each, &version);
		if (EFI_ERROR(status))
			break;
		status = uefi_call_wrapper(BS->ExitBootServices, 2, image, key);
		if (!EFI_ERROR(status))
			break;
	}
	if (EFI_ERROR(status))
		return fail(L"ExitBootServices", status);
	for (UINTN at = 0; at + each <= size; at += each) {
		const EFI_MEMORY_DESCRIPTOR *d = (EFI_MEMORY_DESCRIPTOR *)(map + at);

		add_row(d->PhysicalStart, d->NumberOfPages * EFI_PAGE_SIZE, e820_type(d->Type));
	}
	return EFI_SUCCESS;
}

/* boot.rst, "64-bit boot protocol": flat segments at selectors 0x10 and 0x18, interrupts off, the zero page in RSI. */
static void __attribute__((noreturn)) enter(void)
{
	static UINT64 gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct {
		UINT16 limit;
		UINT64 base;
	} __attribute__((packed)) pointer = { sizeof(gdt) - 1, (UINT64)gdt };

	__asm__ volatile(
		"lgdt %0\n\tmov %1, %%ds\n\tmov %1, %%es\n\tmov %1, %%ss\n\tpushq $0x10\n\tpushq %2\n\tlretq"
		:
		: "m"(pointer), "r"(0x18), "r"(kernel + LINUX_ENTRY64), "S"(params)
		: "memory");
	__builtin_unreachable();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	BOOLEAN multiboot;
	EFI_STATUS status;

	InitializeLib(image, table);
	uefi_call_wrapper(BS->SetWatchdogTimer, 4, 0, 0, 0, NULL);
	status = read_files(image);
	multiboot = !EFI_ERROR(status) && multiboot_found(&vmlinuz);
	if (!EFI_ERROR(status))
		status = multiboot ? multiboot_check(&vmlinuz, own_image) : place();
	if (!EFI_ERROR(status))
		status = leave(image);
	if (EFI_ERROR(status))
		return status;
	__asm__ volatile("cli");
	announce_start();
	if (multiboot)
		multiboot_enter(&vmlinuz);
	enter();
}
