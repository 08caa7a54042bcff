/* SPDX-License-Identifier: MIT */
#pragma once

/* Routes the console's interrupts to the CPU that calls it (CPU 0). Console and ACPI tables are there. */
void host_irq_init(void);
