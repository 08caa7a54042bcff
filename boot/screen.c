/* SPDX-License-Identifier: MIT */
/* Text on the firmware's console. OVMF and most servers show it on the serial port too. */
#include "boot/screen.h"

#include "boot/firmware.h"
#include "boot/text.h"
#include "lib/printf.h"
#include "lib/string.h"

#define LINE_SIZE	512
#define TENTHS		10
#define TENTH_OF_SECOND 100000 /* microseconds */

static void put(const char *text)
{
	uint16_t wide[LINE_SIZE];

	text_to_ucs2(wide, LINE_SIZE, text);
	firmware.table->ConOut->OutputString(firmware.table->ConOut, wide);
}

static size_t columns(void)
{
	SIMPLE_TEXT_OUTPUT_INTERFACE *out = firmware.table->ConOut;
	UINTN wide, high;

	if (EFI_ERROR(out->QueryMode(out, (UINTN)out->Mode->Mode, &wide, &high)) || wide < 40 ||
		wide >= LINE_SIZE)
		return 79;
	return wide - 1; /* the console moves on by itself after the last cell */
}

void screen_line(void *to, const char *text)
{
	size_t width = columns(), indent = str_starts(text, "  - ") ? 4 : 0, margin = 0;
	char line[LINE_SIZE];

	do {
		size_t n = text_wrap(text, width - margin);

		n = min(n, sizeof(line) - 8);
		memset(line, ' ', margin);
		memcpy(line + margin, text, n);
		memcpy(line + margin + n, "\r\n", 3);
		put(line);
		for (text += n; *text == ' ';)
			text++;
		margin = indent;
	} while (*text);
}

void say(const char *fmt, ...)
{
	char text[LINE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	screen_line(NULL, text);
}

void screen_clear(void)
{
	firmware.table->ConOut->ClearScreen(firmware.table->ConOut);
}

/* Whole percent; 100 only at the end. */
static unsigned percent(uint64_t done, uint64_t total)
{
	return done >= total ? 100
			     : (unsigned)(total < 100 ? done * 100 / total : min(done / (total / 100), 99ul));
}

void screen_progress(const char *name, uint64_t before, uint64_t done, uint64_t total)
{
	char text[LINE_SIZE], size[32];

	/* The firmware's console is slow, and a log of it would hold every step: so the line is rewritten at each
	 * tenth. */
	if (before && percent(before, total) / 10 == percent(done, total) / 10)
		return;
	if (total < MiB)
		fmt_snprintf(size, sizeof(size), "%lu KiB", (total + KiB - 1) / KiB);
	else
		fmt_snprintf(size, sizeof(size), "%lu.%lu MiB", total / MiB, total % MiB * 10 / MiB);
	fmt_snprintf(text, sizeof(text), "\r  %-24s %12s  %3u%%%s", name, size, percent(done, total),
		done == total ? "\r\n" : "");
	put(text);
}

void screen_progress_end(void)
{
	put("\r\n");
}

void screen_wait(unsigned seconds)
{
	SIMPLE_INPUT_INTERFACE *in = firmware.table->ConIn;
	EFI_INPUT_KEY key;

	if (!in)
		return;
	while (!EFI_ERROR(in->ReadKeyStroke(in, &key)))
		; /* keys typed before there was anything to read */
	for (unsigned left = seconds; left; left--) {
		char text[64];

		fmt_snprintf(text, sizeof(text), "\rPress a key to go back to the firmware (%u s) ", left);
		put(text);
		for (int i = 0; i < TENTHS; i++) {
			if (!EFI_ERROR(in->ReadKeyStroke(in, &key))) {
				put("\r\n");
				return;
			}
			firmware.boot->Stall(TENTH_OF_SECOND);
		}
	}
	put("\r\n");
}
