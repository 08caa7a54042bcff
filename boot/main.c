/* SPDX-License-Identifier: MIT */
/*
 * efi_main: from the firmware to hv_main. The whole way on one page:
 *
 *	look	read the CPU's capabilities, lethe.conf, the sizes of its files, the memory map
 *	judge	report every blocker at once, in words, and return to the firmware; nothing has been changed until here
 *	load	the files
 *	take	screen, ACPI, two pages for the other CPUs; then ExitBootServices, after which nothing of UEFI is called
 *	go	call hv_main, which never returns
 */
#include "boot/files.h"
#include "boot/firmware.h"
#include "boot/image.h"
#include "boot/memory.h"
#include "boot/options.h"
#include "boot/preflight.h"
#include "boot/refuse.h"
#include "boot/screen.h"
#include "boot/volume.h"
#include <version.h>
#include "lib/x86.h"

/* What outlives the boot services: in EfiLoaderData, so that the memory map says MEM_BOOT. */
struct handover {
	struct boot_info info;
	struct conf conf;
};

static struct options options;
static struct report report;
static struct preflight_facts facts;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table); /* called by GNU-EFI's start-up code */

static void look(struct boot_info *bi, struct conf *conf)
{
	uint64_t start;

	preflight_look(&facts);
	firmware_look(&facts);
	memory_look(bi, &facts, &report);

	start = rdtsc();
	if (firmware.loaded)
		options_parse(firmware.loaded->LoadOptions, firmware.loaded->LoadOptionsSize / 2, &options);
	volume_open(); /* the first use of a file says it if this failed */
	files_configure(conf, &options, facts.memory_usable, &report);
	files_find(conf, bi, &report, &facts.memory_files);
	bi->tsc_files += rdtsc() - start;

	facts.configured = conf->nvms > 0;
	for (unsigned i = 0; i < conf->nvms; i++)
		facts.memory_guests += conf->vm[i].memory;
	preflight_check(&facts, &report);
}

/* The VMs that are left out although others start. */
static void show_left_out(void)
{
	for (unsigned i = 0; i < report.kept; i++)
		if (report.line[i].kind == REPORT_LEFT_OUT)
			say("Left out: %s", report.line[i].text);
}

static EFI_STATUS go_back(EFI_STATUS status)
{
	/* Exit, not return: GNU-EFI's start-up code does not preserve all registers of the firmware's ABI. */
	firmware.boot->Exit(firmware.image, status, 0, NULL);
	return status;
}

enum outcome { GO, REFUSE, REPORTED };

static enum outcome prepare(struct boot_info *bi, struct conf *conf)
{
	uint64_t start;

	look(bi, conf);
	if (report_blocks(&report))
		return REFUSE;
	if (options.report) {
		say("Lethe can start on this machine.");
		report_write(&report, &facts, bi);
		return REPORTED;
	}
	start = rdtsc();
	files_load(conf, bi, &report);
	show_left_out();
	bi->tsc_files += rdtsc() - start;

	bi->conf = conf;
	bi->reset = firmware_reset;
	bi->rsdp = firmware_rsdp();
	firmware_video(bi);
	image_sections(bi);
	bi->trampoline = memory_trampoline();
	return report_blocks(&report) ? REFUSE : GO;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	uint64_t start = rdtsc();
	struct handover *h;
	EFI_STATUS status;

	firmware_init(image, table);
	say("Lethe " LETHE_VERSION);
	h = firmware_pages(sizeof(*h));
	if (!h) {
		say("Lethe cannot start on this machine:");
		say("  - not even %lu KiB of memory are free: add memory to the machine", sizeof(*h) / KiB);
		return go_back(EFI_OUT_OF_RESOURCES);
	}
	h->info.tsc_start = start;
	h->info.unix_time = firmware_time();
	switch (prepare(&h->info, &h->conf)) {
	case GO:
		break;
	case REFUSE:
		refuse(&report, &facts, &h->info, !options.nowait);
		firmware_free_pages(h, sizeof(*h)); /* the firmware keeps what a program leaves allocated */
		return go_back(EFI_UNSUPPORTED);
	case REPORTED:
		firmware_free_pages(h, sizeof(*h));
		return go_back(EFI_SUCCESS);
	}
	status = memory_take(&h->info);
	if (EFI_ERROR(status)) {
		say("Lethe cannot start on this machine:");
		say("  - the firmware does not end its boot services (UEFI status 0x%lx): switch the machine off and on, and look for a newer firmware",
			status);
		return go_back(status);
	}
	hv_main(&h->info);
}
