/* SPDX-License-Identifier: MIT */
/* The machine's memory: looked at before the decision to start, taken over at the end. */
#pragma once

#include "boot/firmware.h"
#include "lib/boot_info.h"

struct preflight_facts;
struct report;

/* Fills in memory_total and memory_usable; a map that Lethe cannot hold is reported. bi->range holds
 * the map of this moment, until memory_take(). */
void memory_look(struct boot_info *bi, struct preflight_facts *f, struct report *r);
/* Two pages below 1 MiB, where a CPU starts after a SIPI; 0 if none are free: memory_take() looks again then, among what the boot
 * services leave. */
hpa_t memory_trampoline(void);
/*
 * Ends the boot services (UEFI 7.4.6): from here on the machine is Lethe's, and interrupts are off. Fills in
 * bi->range from the very map that the firmware agreed to. If the firmware refuses, it may have stopped halfway:
 * nothing but a reset is left then.
 */
EFI_STATUS memory_take(struct boot_info *bi);
