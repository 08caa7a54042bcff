/* SPDX-License-Identifier: MIT */
/*
 * Image loaders: put a kernel and what belongs to it into a guest's memory and say in which state its first vCPU
 * starts. Files are hostile; every error comes with a sentence.
 */
#pragma once

#include "guest/conf/conf.h"
#include "guest/load/vcpu_state.h"

struct mmu;
struct guest_layout; /* guest/dev/layout.h: where RAM, ROM areas, ACPI tables lie in guest-physical memory */

struct load_file {
	const char *name;
	const void *data; /* NULL: not given */
	uint64_t size;
};

struct load_params {
	const struct conf_vm *conf;
	struct mmu *mmu; /* slots for RAM are there already */
	const struct guest_layout *layout;
	uint64_t rsdp; /* gpa of the guest's RSDP */
	struct load_file kernel, initrd;
	struct load_file module[CONF_MODULES_MAX];
};

/* True if the image that has just been loaded is of a kind that often does its work in a BIOS: it starts in real mode, or
 * it is a Linux image without a 64-bit entry point, as iPXE, memdisk and GRUB's core image are. For advice only. */
bool guest_image_may_want_bios(const struct load_params *p, const struct vcpu_state *start);

/* True if the image, which has not been loaded, is a Linux kernel with a 64-bit entry point. Such a kernel knows the wakeup
 * mailbox (guest/dev/vmailbox.h), from Linux 5.19 on. */
bool guest_image_linux64(const struct conf_vm *conf, const struct load_file *kernel);

/* 0 and *start; or an error and, in why (of size n), a sentence that names the file, what is wrong and what to do. */
int guest_load(const struct load_params *p, struct vcpu_state *start, char *why, size_t n);
