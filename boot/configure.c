/* SPDX-License-Identifier: MIT */
/* What to run: options, lethe.conf, or a kernel that lies beside Lethe. */
#include "boot/files.h"

#include "boot/choice.h"
#include "boot/firmware.h"
#include "boot/screen.h"
#include "boot/volume.h"
#include "guest/conf/conf.h"
#include "lib/bits.h"
#include "lib/string.h"

#define CONF_FILE     "lethe.conf"
#define CONF_SIZE_MAX (256 * KiB) /* 16 VMs with all there is to say need less */

static void parse(const char *path, const char *text, size_t n, struct conf *c, struct report *r)
{
	static struct conf_errors errors;

	if (!conf_parse(path, text, n, c, &errors))
		return;
	for (unsigned i = 0; i < min(errors.n, (unsigned)CONF_ERRORS_MAX); i++)
		report_add(r, REPORT_CONFIG, "%s", errors.text[i]);
	if (errors.n > CONF_ERRORS_MAX)
		report_add(r, REPORT_CONFIG, "%s: and %u mistakes more", path, errors.n - CONF_ERRORS_MAX);
	c->nvms = 0;
}

/* EFI_NOT_FOUND only if there is no such file; anything else has been dealt with. */
static EFI_STATUS read_conf(const char *path, struct conf *c, struct report *r)
{
	struct file f;
	EFI_STATUS status = file_open(path, &f);
	char *text;

	if (status == EFI_NOT_FOUND)
		return status;
	if (EFI_ERROR(status)) {
		report_add(r, REPORT_CONFIG, "%s: %s", path, firmware_words(status));
		return status;
	}
	if (f.size > CONF_SIZE_MAX) {
		report_add(r, REPORT_CONFIG, "%s: has %lu bytes: expected a text of at most %lu", path,
			f.size, CONF_SIZE_MAX);
		file_close(&f);
		return EFI_SUCCESS;
	}
	text = firmware_pages(f.size + 1);
	status = text ? file_read(&f, text, f.size) : EFI_OUT_OF_RESOURCES;
	if (EFI_ERROR(status))
		report_add(r, REPORT_CONFIG, "%s: %s", path, firmware_words(status));
	else
		parse(path, text, f.size, c, r);
	if (text)
		firmware_free_pages(text, f.size + 1);
	file_close(&f);
	return EFI_SUCCESS;
}

static void default_vm(struct conf *c, const char *kernel, const char *initrd, uint64_t usable)
{
	conf_default_vm(c, kernel, initrd);
	c->vm[0].memory = min(c->vm[0].memory, align_down(usable / 2, 2 * MiB));
}

struct sight {
	struct choice choice;
	int pass;
};

static void see(void *to, const char *name)
{
	struct sight *s = to;

	choice_see(&s->choice, s->pass, name);
}

/* No lethe.conf: is there a kernel? */
static void choose(struct conf *c, uint64_t usable, struct report *r)
{
	struct sight s = { .pass = 1 };
	EFI_STATUS status = volume_list(see, &s);

	if (EFI_ERROR(status)) {
		report_add(r, REPORT_CONFIG, "the folder %s cannot be read: %s", volume_folder(),
			firmware_words(status));
		return;
	}
	if (!s.choice.kernel[0]) {
		report_add(r, REPORT_CONFIG,
			"in the folder %s there is neither " CONF_FILE
			" nor a kernel (vmlinuz*, bzImage*): put one of them there",
			volume_folder());
		return;
	}
	s.pass = 2;
	volume_list(see, &s);
	default_vm(c, s.choice.kernel, s.choice.initrd, usable);
	say("No " CONF_FILE ": starting %s%s%s%s", s.choice.kernel,
		s.choice.initrd[0] ? " with " : " without an initrd", s.choice.initrd,
		s.choice.kernels > 1 ? ", the newest of several kernels" : "");
}

void files_configure(struct conf *c, const struct options *o, uint64_t usable, struct report *r)
{
	conf_defaults(c);
	if (o->wrong[0]) {
		report_add(r, REPORT_CONFIG, "load options: %s", o->wrong);
		return;
	}
	if (o->kernel[0]) {
		default_vm(c, o->kernel, o->initrd, usable);
		if (o->has_cmdline)
			str_copy(c->vm[0].cmdline, sizeof(c->vm[0].cmdline), o->cmdline);
		return;
	}
	if (o->conf[0]) {
		if (read_conf(o->conf, c, r) == EFI_NOT_FOUND)
			report_add(r, REPORT_CONFIG, "load options: conf=%s: not found (paths start in %s)",
				o->conf, volume_folder());
		return;
	}
	if (read_conf(CONF_FILE, c, r) == EFI_NOT_FOUND)
		choose(c, usable, r);
}
