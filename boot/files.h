/* SPDX-License-Identifier: MIT */
/* The files: lethe.conf, and the images that it names, each once however many VMs share it. */
#pragma once

#include "boot/options.h"
#include "boot/report.h"
#include "lib/boot_info.h"

/*
 * Settles what to run: conf= or kernel= of the options, else lethe.conf, else a kernel that lies beside Lethe.
 * Mistakes go to the report; c->nvms is 0 then. A VM that no lethe.conf describes gets 512 MiB, or half of the
 * usable memory (bytes) if that is less.
 */
void files_configure(struct conf *c, const struct options *o, uint64_t usable, struct report *r);
/*
 * Lists the files of all VMs in bi->file with their sizes. A VM with a file that is missing, empty or unreadable is
 * taken out of c, and the report says why; so does files_load for one whose reading fails. bytes: of all of them.
 */
void files_find(struct conf *c, struct boot_info *bi, struct report *r, uint64_t *bytes);
/* Reads them into EfiLoaderData, with a progress line for each. */
void files_load(struct conf *c, struct boot_info *bi, struct report *r);
