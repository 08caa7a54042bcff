/* SPDX-License-Identifier: MIT */
/*
 * The volume that Lethe was started from (UEFI 13.4, 13.5), and the folder of its image there, to which all paths
 * are relative. A path with a leading '/' or '\' starts at the volume's root; both separators are the same.
 */
#pragma once

#include "boot/firmware.h"

struct file {
	EFI_FILE_PROTOCOL *handle;
	uint64_t size; /* bytes, as the directory says */
};

/* EFI_NO_MAPPING if Lethe was not started from a file system. The others say the same until this succeeds. */
EFI_STATUS volume_open(void);
/* The folder, for messages: "\EFI\BOOT". */
const char *volume_folder(void);

EFI_STATUS file_open(const char *path, struct file *f);
/* Reads exactly n bytes, or says what hindered: EFI_END_OF_FILE if there were fewer. */
EFI_STATUS file_read(struct file *f, void *to, uint64_t n);
void file_close(struct file *f);
/* Writes a new file, in place of one of this name. */
EFI_STATUS file_write(const char *path, const char *text, size_t n);

/* Calls each(to, name) for each file of the folder whose name fits 127 bytes. */
EFI_STATUS volume_list(void (*each)(void *to, const char *name), void *to);
