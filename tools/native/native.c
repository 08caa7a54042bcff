/* SPDX-License-Identifier: MIT */
/*
 * native: lets the firmware start a Linux kernel without Lethe, for comparison.
 *
 * Beside this program lie the files `vmlinuz`, `initrd.img` (may be missing) and `cmdline`. The kernel is
 * started through its own EFI stub. Everything is read before the clock is: the initrd is handed over in
 * memory (EFI_LOAD_FILE2_PROTOCOL on the vendor device path that Linux looks for), so that what is measured
 * from the line
 *
 *     native: start tsc N
 *
 * on is the kernel's work, and not the firmware's disk driver's.
 */
#include <efi.h>
#include <efilib.h>

#define COM1	      0x3f8
#define LSR_THR_EMPTY 0x20

static const EFI_GUID load_file2_guid = { 0x4006c0c1, 0xfcb3, 0x403e,
	{ 0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d } };

/* Where Linux looks for its initrd: a vendor media path of this GUID (Linux: drivers/firmware/efi/libstub). */
static struct {
	VENDOR_DEVICE_PATH vendor;
	EFI_DEVICE_PATH end;
} __attribute__((packed)) initrd_path = {
	.vendor = {
		.Header = { MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, { sizeof(VENDOR_DEVICE_PATH), 0 } },
		.Guid = { 0x5568e427, 0x68fc, 0x4f3d, { 0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68 } },
	},
	.end = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, { sizeof(EFI_DEVICE_PATH), 0 } },
};

struct load_file2;
typedef EFI_STATUS(EFIAPI *load_file2_fn)(
	struct load_file2 *this, EFI_DEVICE_PATH *path, BOOLEAN boot_policy, UINTN *size, VOID *buffer);

struct load_file2 {
	load_file2_fn load;
};

struct file {
	VOID *data;
	UINTN size;
};

static struct file initrd;

/* EFI_LOAD_FILE2_PROTOCOL.LoadFile (UEFI 13.2): tells the size, or copies the initrd. */
static EFI_STATUS EFIAPI load_initrd(
	struct load_file2 *this, EFI_DEVICE_PATH *path, BOOLEAN boot_policy, UINTN *size, VOID *buffer)
{
	(void)this;
	(void)path;
	if (boot_policy)
		return EFI_UNSUPPORTED;
	if (!size)
		return EFI_INVALID_PARAMETER;
	if (!buffer || *size < initrd.size) {
		*size = initrd.size;
		return EFI_BUFFER_TOO_SMALL;
	}
	CopyMem(buffer, initrd.data, initrd.size);
	*size = initrd.size;
	return EFI_SUCCESS;
}

static struct load_file2 initrd_loader = { load_initrd };

static EFI_STATUS read_file(EFI_FILE_HANDLE volume, CHAR16 *name, struct file *file)
{
	EFI_FILE_HANDLE handle;
	EFI_FILE_INFO *info;
	EFI_STATUS status = uefi_call_wrapper(volume->Open, 5, volume, &handle, name, EFI_FILE_MODE_READ, 0);

	if (EFI_ERROR(status))
		return status;
	info = LibFileInfo(handle);
	file->size = info ? info->FileSize : 0;
	file->data = AllocatePool(file->size + 1);
	if (!info || !file->data)
		return EFI_OUT_OF_RESOURCES;
	status = uefi_call_wrapper(handle->Read, 3, handle, &file->size, file->data);
	uefi_call_wrapper(handle->Close, 1, handle);
	FreePool(info);
	return status;
}

static CHAR16 *widen(const struct file *text)
{
	CHAR16 *wide = AllocateZeroPool((text->size + 1) * sizeof *wide);

	for (UINTN i = 0; wide && i < text->size; i++)
		wide[i] = ((UINT8 *)text->data)[i];
	return wide;
}

static void put(char c)
{
	UINT8 status;

	do
		__asm__ volatile("inb %w1, %b0" : "=a"(status) : "Nd"(COM1 + 5));
	while (!(status & LSR_THR_EMPTY));
	__asm__ volatile("outb %b0, %w1" : : "a"(c), "Nd"(COM1));
}

/* Reads the clock last, and prints it past the firmware, whose console would take long. */
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

static EFI_STATUS fail(CHAR16 *what, EFI_STATUS status)
{
	Print(L"native: failed: %s: %r\r\n", what, status);
	return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_LOADED_IMAGE *self, *loaded;
	EFI_FILE_HANDLE volume;
	EFI_HANDLE kernel = NULL, provider = NULL;
	struct file vmlinuz, cmdline;
	EFI_STATUS status;

	InitializeLib(image, table);
	uefi_call_wrapper(BS->SetWatchdogTimer, 4, 0, 0, 0, NULL);
	status = uefi_call_wrapper(BS->HandleProtocol, 3, image, &LoadedImageProtocol, (VOID **)&self);
	if (EFI_ERROR(status))
		return fail(L"own image", status);
	volume = LibOpenRoot(self->DeviceHandle);
	if (!volume)
		return fail(L"own volume", EFI_NOT_FOUND);
	status = read_file(volume, L"\\EFI\\BOOT\\vmlinuz", &vmlinuz);
	if (EFI_ERROR(status))
		return fail(L"vmlinuz", status);
	status = read_file(volume, L"\\EFI\\BOOT\\cmdline", &cmdline);
	if (EFI_ERROR(status))
		return fail(L"cmdline", status);
	status = uefi_call_wrapper(BS->LoadImage, 6, FALSE, image, NULL, vmlinuz.data, vmlinuz.size, &kernel);
	if (EFI_ERROR(status))
		return fail(L"LoadImage of vmlinuz", status);
	status = uefi_call_wrapper(BS->HandleProtocol, 3, kernel, &LoadedImageProtocol, (VOID **)&loaded);
	if (EFI_ERROR(status))
		return fail(L"the kernel's image", status);
	loaded->LoadOptions = widen(&cmdline);
	loaded->LoadOptionsSize = (UINT32)((cmdline.size + 1) * sizeof(CHAR16));
	if (!loaded->LoadOptions)
		return fail(L"cmdline", EFI_OUT_OF_RESOURCES);
	if (!EFI_ERROR(read_file(volume, L"\\EFI\\BOOT\\initrd.img", &initrd))) {
		status = uefi_call_wrapper(BS->InstallMultipleProtocolInterfaces, 6, &provider,
			&DevicePathProtocol, &initrd_path, &load_file2_guid, &initrd_loader, NULL);
		if (EFI_ERROR(status))
			return fail(L"offering the initrd", status);
	}
	announce_start();
	status = uefi_call_wrapper(BS->StartImage, 3, kernel, NULL, NULL);
	return fail(L"StartImage of vmlinuz", status);
}
