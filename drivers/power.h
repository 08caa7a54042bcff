/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine. Safe from any CPU; the others should be stopped before, and VMX left (a CPU in VMX root operation
 * blocks INIT, which firmware may raise: SDM Vol. 3C 23.8).
 */
#pragma once

#include "drivers/acpi/acpi.h"

/* Maps what is needed later. `firmware`: UEFI's ResetSystem as hv/ reaches it (may be NULL; returns if there is none).
 * hostmap active. */
void power_init(const struct acpi *acpi, void (*firmware)(void));
/* Writes out the log's sinks, then switches off by ACPI S5; then the ports of emulators that were recognised; then
 * firmware; then halts with words. */
void power_off(void) __noreturn;

/* What S5 writes to a PM1 control register that reads `now`: the sleep type, and (second step) sleep enable. Pure. */
uint16_t power_pm1(uint16_t now, uint8_t sleep_type, bool enable);
