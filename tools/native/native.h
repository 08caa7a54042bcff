/* SPDX-License-Identifier: MIT */
/* The parts of the native loader: native.c (files, the firmware's end, Linux), multiboot.c. */
#pragma once

#include <efi.h>
#include <efilib.h>

struct file {
	UINT8 *data;
	UINTN size;
};

/* Prints what failed and why; returns `status`. */
EFI_STATUS fail(CHAR16 *what, EFI_STATUS status);

/* True if the file is a multiboot 1 kernel whose header has addresses. */
BOOLEAN multiboot_found(const struct file *kernel);
/* Checks that its addresses keep clear of the loader, whose image begins at `image`, and of the file itself. */
EFI_STATUS multiboot_check(const struct file *kernel, UINT64 image);
/* Moves the kernel to where its header says and enters it. Called when the firmware is gone. */
void multiboot_enter(const struct file *kernel) __attribute__((noreturn));
