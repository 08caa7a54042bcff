/* SPDX-License-Identifier: MIT */
/* Going back to the firmware: what people see, and lethe-report.txt. */
#pragma once

#include "boot/preflight.h"
#include "lib/boot_info.h"

#define REPORT_FILE "lethe-report.txt"

/* Writes the report with all that was found beside the image, and says where, or why it could not. bi: as memory_look() left it;
 * its fb and rsdp are filled in. */
void report_write(const struct report *r, const struct preflight_facts *f, struct boot_info *bi);
/* Shows what blocks, writes the report, and gives people time to read unless a shell keeps it on the screen. Does so once:
 * when the firmware starts Lethe again because no boot option is left, one line stands for the same page. */
void refuse(const struct report *r, const struct preflight_facts *f, struct boot_info *bi, bool wait);
