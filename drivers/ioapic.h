/* SPDX-License-Identifier: MIT */
/* The machine's I/O APICs: which wire (GSI) interrupts which CPU with which vector. */
#pragma once

#include "drivers/acpi/acpi.h"

/* Maps the I/O APICs of the MADT and masks every input but those by which firmware gets SMIs. 0; -E_NOENT: the MADT
 * lists none; -E_NOMEM. */
int ioapic_init(const struct acpi *acpi);
/* Routes an ISA interrupt to one CPU (physical destination, fixed delivery), unmasked: GSI, trigger and polarity from the
 * MADT's overrides, else identity, edge, high. 0; -E_NOENT: no I/O APIC has that GSI; -E_RANGE: vector below 16 or an APIC ID
 * that eight bits do not hold; -E_BUSY: firmware gets SMIs by it. Lock: takes the I/O APIC's. */
int ioapic_route_isa(uint8_t irq, uint8_t vector, uint32_t apic_id);
/* GSI, trigger and polarity of an ISA interrupt (pure). */
void ioapic_isa(const struct acpi *acpi, uint8_t irq, uint32_t *gsi, bool *level, bool *active_low);
