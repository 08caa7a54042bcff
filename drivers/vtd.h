/* SPDX-License-Identifier: MIT */
/*
 * What firmware has left on in the DMA remapping units (VT-d specification, chapter 11). Lethe does not use them:
 *
 *	DMA remapping		stays as it is and is logged: devices that go on, such as the display, go by its tables
 *	interrupt remapping	goes off: Lethe's I/O APIC entries have the compatibility format, which a unit that remaps
 *				may block, and firmware's table lies in memory that may be reused. If it does not go off,
 *				Lethe ends in words.
 */
#pragma once

#include "drivers/acpi/acpi.h"

/* Registers of a unit, at physical addresses that are multiples of 4. */
struct vtd_access {
	bool (*read)(uint64_t at, uint32_t *v); /* false: it cannot be reached */
	void (*write)(uint64_t at, uint32_t v);
	bool (*wait)(void); /* a moment passes; false: it has been long enough */
};

struct vtd_state {
	bool there;	      /* the unit answers */
	bool dma, interrupts; /* which kind of remapping is on */
	uint64_t tables;      /* of DMA remapping: physical address of its root table */
};

struct vtd_state vtd_look(const struct vtd_access *a, uint64_t base);
/* Switches interrupt remapping off and waits until it is; the unit's other settings stay (11.4.4). Interrupts in
 * compatibility format pass from then on (5.1.2.1). 0; -E_TIMEOUT: the unit does not confirm it; -E_NOENT: it does not answer. */
int vtd_stop_interrupt_remapping(const struct vtd_access *a, uint64_t base);

/* Looks at all units of the DMAR table, logs what is on, and switches interrupt remapping off. 0; -E_TIMEOUT: one does not
 * let it, which is logged. After time_init(); interrupts off. */
int vtd_quiesce(const struct acpi *acpi);
