/* SPDX-License-Identifier: MIT */
#pragma once

/* An interrupt that came by way of the IDT (while this CPU idled) or of a VM exit; interrupts are off. */
void host_interrupt(unsigned vector);
/* Routes the console's interrupts to the CPU that calls it (CPU 0). Console and ACPI tables are there. */
void host_irq_init(void);
