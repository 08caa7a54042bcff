/* SPDX-License-Identifier: MIT */
/* The volume that Lethe was started from. */
#include "boot/volume.h"

#include "boot/text.h"
#include "lib/string.h"

#define PATH_UNITS 512
#define NODE_END   0x7f /* device paths: UEFI 10.3 */
#define NODE_MEDIA 4
#define MEDIA_FILE 4

static EFI_FILE_PROTOCOL *root;
static uint16_t folder[PATH_UNITS]; /* "\EFI\BOOT", or "" for the root */
static char folder_text[PATH_UNITS];

/* The image's own path: the file nodes of its device path, one after another, without the last name. */
static void find_folder(const EFI_DEVICE_PATH *path)
{
	size_t n = 0;

	while (path && path->Type != NODE_END) {
		size_t bytes = (size_t)path->Length[0] | (size_t)path->Length[1] << 8;
		const uint8_t *name = (const uint8_t *)(path + 1);

		if (bytes < sizeof(*path))
			break;
		if (path->Type == NODE_MEDIA && path->SubType == MEDIA_FILE) {
			if (n && folder[n - 1] != '\\' && n < PATH_UNITS - 1)
				folder[n++] = '\\';
			for (size_t i = 0; i + 1 < bytes - sizeof(*path) && n < PATH_UNITS - 1; i += 2) {
				uint16_t c = (uint16_t)(name[i] | name[i + 1] << 8);

				if (!c)
					break;
				folder[n++] = c == '/' ? '\\' : c;
			}
		}
		path = (const EFI_DEVICE_PATH *)((const uint8_t *)path + bytes);
	}
	while (n && folder[n - 1] != '\\')
		n--;
	while (n && folder[n - 1] == '\\')
		n--;
	folder[n] = 0;
	if (!text_from_ucs2(folder_text, sizeof(folder_text), folder, n))
		str_copy(folder_text, sizeof(folder_text), "(Lethe's folder)");
	else if (!n)
		str_copy(folder_text, sizeof(folder_text), "\\");
}

EFI_STATUS volume_open(void)
{
	EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;
	EFI_STATUS status;

	if (!firmware.loaded || !firmware.loaded->DeviceHandle ||
		EFI_ERROR(firmware.boot->HandleProtocol(firmware.loaded->DeviceHandle, &guid, (void **)&fs)))
		return EFI_NO_MAPPING;
	status = fs->OpenVolume(fs, &root);
	if (EFI_ERROR(status)) {
		root = NULL;
		return status;
	}
	find_folder(firmware.loaded->FilePath);
	return EFI_SUCCESS;
}

const char *volume_folder(void)
{
	return folder_text;
}

/* The path from the volume's root. */
static bool full_path(uint16_t *to, const char *path)
{
	size_t n = 0;

	if (*path != '/' && *path != '\\') {
		while (folder[n]) {
			to[n] = folder[n];
			n++;
		}
		if (n >= PATH_UNITS - 1)
			return false;
		if (*path || !n)
			to[n++] = '\\'; /* "" is the folder itself */
	}
	if (!text_to_ucs2(to + n, PATH_UNITS - n, path))
		return false;
	for (; to[n]; n++)
		if (to[n] == '/')
			to[n] = '\\';
	return true;
}

static EFI_STATUS open_path(const char *path, UINT64 mode, EFI_FILE_PROTOCOL **handle)
{
	uint16_t full[PATH_UNITS];

	if (!root)
		return EFI_NO_MAPPING;
	if (!full_path(full, path))
		return EFI_INVALID_PARAMETER;
	return root->Open(root, handle, full, mode, 0);
}

EFI_STATUS file_open(const char *path, struct file *f)
{
	EFI_GUID guid = EFI_FILE_INFO_ID;
	union {
		EFI_FILE_INFO info;
		uint8_t bytes[sizeof(EFI_FILE_INFO) + 2 * PATH_UNITS];
	} u;
	UINTN size = sizeof(u);
	EFI_STATUS status = open_path(path, EFI_FILE_MODE_READ, &f->handle);

	if (EFI_ERROR(status))
		return status;
	status = f->handle->GetInfo(f->handle, &guid, &size, &u);
	if (!EFI_ERROR(status) && u.info.Attribute & EFI_FILE_DIRECTORY)
		status = EFI_UNSUPPORTED;
	if (EFI_ERROR(status)) {
		f->handle->Close(f->handle);
		return status;
	}
	f->size = u.info.FileSize;
	return EFI_SUCCESS;
}

EFI_STATUS file_read(struct file *f, void *to, uint64_t n)
{
	for (uint64_t done = 0; done < n;) {
		UINTN part = n - done;
		EFI_STATUS status = f->handle->Read(f->handle, &part, (uint8_t *)to + done);

		if (EFI_ERROR(status))
			return status;
		if (!part || part > n - done)
			return EFI_END_OF_FILE;
		done += part;
	}
	return EFI_SUCCESS;
}

void file_close(struct file *f)
{
	f->handle->Close(f->handle);
}

EFI_STATUS file_write(const char *path, const char *text, size_t n)
{
	UINT64 mode = EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE;
	EFI_FILE_PROTOCOL *handle;
	EFI_STATUS status;
	UINTN size = n;

	/* An older one may be longer: it goes first. */
	if (!EFI_ERROR(open_path(path, mode, &handle)))
		handle->Delete(handle);
	status = open_path(path, mode | EFI_FILE_MODE_CREATE, &handle);
	if (EFI_ERROR(status))
		return status;
	status = handle->Write(handle, &size, (void *)text);
	if (!EFI_ERROR(status) && size != n)
		status = EFI_VOLUME_FULL;
	handle->Close(handle); /* flushes */
	return status;
}

EFI_STATUS volume_list(void (*each)(void *to, const char *name), void *to)
{
	union {
		EFI_FILE_INFO info;
		uint8_t bytes[sizeof(EFI_FILE_INFO) + 2 * PATH_UNITS];
	} u;
	EFI_FILE_PROTOCOL *dir;
	EFI_STATUS status = open_path("", EFI_FILE_MODE_READ, &dir);
	char name[128];

	if (EFI_ERROR(status))
		return status;
	for (;;) {
		UINTN size = sizeof(u);

		status = dir->Read(dir, &size, &u);
		if (EFI_ERROR(status) || !size)
			break;
		if (u.info.Attribute & EFI_FILE_DIRECTORY)
			continue;
		if (text_from_ucs2(name, sizeof(name), u.info.FileName, PATH_UNITS))
			each(to, name);
	}
	dir->Close(dir);
	return status;
}
