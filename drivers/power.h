/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine: off, or started again. Both write the console out first and neither returns. Safe from any
 * CPU; the others should be stopped before.
 */
#pragma once

#include "drivers/acpi.h"

/* `firmware`: UEFI's ResetSystem as hv/ reaches it (may be NULL): the last means of reset, and of power-off. */
void power_init(const struct acpi *acpi, void (*firmware)(bool power_off));
/* ACPI S5; then firmware; then the debug ports of emulators that were recognised; then halts with words. */
void power_off(void) __noreturn;
/* ACPI reset register; 0xCF9; keyboard controller; firmware; then halts with words. */
void power_reset(void) __noreturn;
