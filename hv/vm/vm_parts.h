/* SPDX-License-Identifier: MIT */
#pragma once

#include "hv/vm/steps_pure.h"
#include "hv/vm/vm.h"

/* What a VM consists of, as its policy says: each step takes a struct vm. While they are made, vm->building is filled
 * in, and a step that fails leaves the reason there, in words. */
#define VM_PARTS 8
extern const struct step vm_parts[VM_PARTS];

/* A file that was read at boot, by its name in lethe.conf; its data is NULL if there is none. */
struct load_file vm_file(const struct boot_info *bi, const char *path);
