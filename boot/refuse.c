/* SPDX-License-Identifier: MIT */
/* Going back to the firmware. */
#include "boot/refuse.h"

#include "boot/firmware.h"
#include "boot/machine.h"
#include "boot/screen.h"
#include "boot/volume.h"
#include <version.h>
#include "lib/printf.h"
#include "lib/string.h"

#define READING_SECONDS 10

/* The file's text, with the line ends that every editor knows. */
struct paper {
	char text[160 * KiB];
	size_t n;
};

static void paper_line(void *to, const char *text)
{
	struct paper *p = to;
	size_t n = strlen(text);

	if (n + 2 > sizeof(p->text) - p->n)
		return;
	memcpy(p->text + p->n, text, n);
	memcpy(p->text + p->n + n, "\r\n", 2);
	p->n += n + 2;
}

void report_write(const struct report *r, const struct preflight_facts *f, struct boot_info *bi)
{
	struct paper *paper = firmware_pages(sizeof(*paper));
	EFI_STATUS status;

	if (!paper) {
		say("(" REPORT_FILE " could not be written: no memory)");
		return;
	}
	report_show(r, paper_line, paper);
	if (!report_blocks(r))
		paper_line(paper, "Lethe can start on this machine.");
	paper_line(paper, "");
	paper_line(paper, "Lethe " LETHE_VERSION " found:");
	preflight_describe(f, paper_line, paper);
	bi->rsdp = firmware_rsdp();
	firmware_video(bi);
	machine_describe(machine_look(bi, f), paper_line, paper);
	status = file_write(REPORT_FILE, paper->text, paper->n);
	firmware_free_pages(paper, sizeof(*paper));
	if (EFI_ERROR(status))
		say("(" REPORT_FILE " could not be written: %s)", firmware_words(status));
	else
		say("The same, and all that was found, is in %s%s" REPORT_FILE, volume_folder(),
			volume_folder()[1] ? "\\" : "");
}

/* FNV-1a over the lines of a page (to: the number so far). */
static void page_number_line(void *to, const char *text)
{
	uint64_t *number = to;

	for (; *text; text++)
		*number = (*number ^ (uint8_t)*text) * 0x100000001b3;
}

/*
 * When the last boot option has failed, firmware starts the default file of each disk (UEFI 3.4.3), and so a Lethe that
 * has just refused. Started from the shell or by its own boot option, or with something else to say, Lethe shows the page.
 */
static bool shown_already(uint64_t page)
{
	return firmware_marked_refused() == page && !firmware_boots_option() && !firmware_has_shell();
}

void refuse(const struct report *r, const struct preflight_facts *f, struct boot_info *bi, bool wait)
{
	uint64_t page = 0xcbf29ce484222325;

	report_show(r, page_number_line, &page);
	if (shown_already(page)) {
		say("The firmware has started Lethe again. It still cannot start; " REPORT_FILE " says why.");
		return;
	}
	firmware_mark_refused(page);
	screen_clear();
	report_show(r, screen_line, NULL);
	screen_line(NULL, "");
	say("Found: %s%s%s", f->brand, f->hypervisor ? ", in a virtual machine of " : "",
		f->hypervisor_vendor);
	report_write(r, f, bi);
	if (wait && !firmware_has_shell())
		screen_wait(READING_SECONDS);
}
