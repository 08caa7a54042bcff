/* SPDX-License-Identifier: MIT */
/* Without lethe.conf: which of the files beside Lethe is the kernel to start, and which its initrd. */
#pragma once

#include "guest/conf/conf.h"

struct choice {
	char kernel[CONF_PATH_MAX], initrd[CONF_PATH_MAX]; /* "" if there is none */
	unsigned kernels;
};

/*
 * Is called with the name of each file: first of all files with pass 1 (kernels), then again with pass 2 (initrds).
 * Kernels are vmlinuz*, bzImage* and kernel*; of several the newest by version. The initrd is the one with the kernel's
 * version in its name (initrd*, initramfs*), else the one without a version.
 */
void choice_see(struct choice *c, int pass, const char *name);
/* Compares names as people count: vmlinuz-6.9 < vmlinuz-6.10. <0, 0, >0. */
int choice_compare(const char *a, const char *b);
