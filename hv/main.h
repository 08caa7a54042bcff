/* SPDX-License-Identifier: MIT */
/* The start and the end of Lethe. */
#pragma once

#include "lib/boot_info.h"

/* CPU 0 is in VMX root mode: the others are started and the VMs built. */
void machine_ready(void);
/* No VM is left: powers off (or halts, `keep = on`). */
void machine_end(void);
