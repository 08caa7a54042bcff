/* SPDX-License-Identifier: MIT */
/* The firmware for boot/: GNU-EFI's headers, the two tables, and small services. */
#pragma once

#include <efi.h>

#include "lib/types.h"

struct preflight_facts;
struct boot_info;

extern struct firmware {
	EFI_HANDLE image; /* Lethe's own */
	EFI_SYSTEM_TABLE *table;
	EFI_BOOT_SERVICES *boot;
	EFI_LOADED_IMAGE_PROTOCOL *loaded; /* of image; NULL if the firmware will not say */
} firmware;

/* Keeps the tables, and stops the firmware's watchdog, which would reset a machine that loads large files. */
void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
/* Its version, and whether Secure Boot is on, for the report. */
void firmware_look(struct preflight_facts *f);
/* True if Lethe was started from the UEFI shell, which keeps what it printed on the screen. */
bool firmware_has_shell(void);
/* True if the firmware starts a boot option of its list (Boot####, UEFI 3.1.3), false if it starts the default file of a
 * disk because no option was left, as it does last of all (3.4.3). */
bool firmware_boots_option(void);
/* Keeps a number until the next reset, from one start of Lethe to the next: that of the page that a refusal showed. */
void firmware_mark_refused(uint64_t page);
/* The number kept, or 0. */
uint64_t firmware_marked_refused(void);
/* Words for the statuses that reading files can meet (UEFI appendix D). */
const char *firmware_words(EFI_STATUS status);
/* The RSDP's address: that of ACPI 2.0, else of 1.0, else 0 (UEFI 4.6). */
hpa_t firmware_rsdp(void);
/* The machine's clock (UEFI 8.3), seconds since 1970, UTC; 0 if it has none that can be read. */
uint64_t firmware_time(void);
/* ResetSystem (UEFI 8.5.1), callable after ExitBootServices where the runtime regions are mapped. */
void firmware_reset(bool power_off);
/* bi->fb: the screen's current mode as linear memory (UEFI 12.9); format FB_NONE if there is none, or if what firmware says of
 * it cannot be, which is said (video.c). Uses the memory map of memory_look(). */
void firmware_video(struct boot_info *bi);
/* n bytes of EfiLoaderData in whole pages, or NULL; zeroed, or as they come. */
void *firmware_pages(uint64_t n);
void *firmware_pages_raw(uint64_t n);
void firmware_free_pages(const void *at, uint64_t n);
