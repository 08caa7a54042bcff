/* SPDX-License-Identifier: MIT */
/* Going back to the firmware: what people see, and lethe-report.txt. */
#pragma once

#include "boot/preflight.h"

#define REPORT_FILE "lethe-report.txt"

/* Writes the report with all capabilities beside the image, and says where, or why it could not. */
void report_write(const struct report *r, const struct preflight_facts *f);
/* Shows what blocks, writes the report, and gives people time to read unless a shell keeps it on the screen. Does so once:
 * when the firmware starts Lethe again because no boot option is left, one line stands for the same page. */
void refuse(const struct report *r, const struct preflight_facts *f, bool wait);
