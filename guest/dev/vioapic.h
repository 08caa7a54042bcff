/* SPDX-License-Identifier: MIT */
/* The I/O APIC: 24 pins, registers by index (Intel 82093AA datasheet; EOI register: ICH datasheets). */
#pragma once

#include "guest/dev/device.h"

#define VIOAPIC_PINS	24
#define VIOAPIC_VERSION 0x20 /* has the EOI register */

struct vioapic {
	struct device dev;
	struct bus_range registers;
	uint8_t id, select;
	uint32_t lines; /* level of the inputs now */
	uint64_t entry[VIOAPIC_PINS];
};

/* With interrupts.lock held. */
void vioapic_set(struct vioapic *v, unsigned pin, bool level);
/* A local APIC ended the level-triggered interrupt `vector`. */
void vioapic_eoi(struct vioapic *v, uint8_t vector);
