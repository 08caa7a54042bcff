/* SPDX-License-Identifier: MIT */
/*
 * The images that lethe.conf names: found, and read into memory that hv/ takes over.
 *
 *	conf.vm[].kernel, initrd, module[]  --files_find-->  bi->file[] with sizes   --files_load-->  with data
 *	                                         |                                        |
 *	                                    what is wrong with file i: problem[i], which takes out all VMs that name it
 */
#include "boot/files.h"

#include "boot/firmware.h"
#include "boot/screen.h"
#include "boot/volume.h"
#include "guest/conf/conf.h"
#include "lib/string.h"

#define CHUNK (2 * MiB) /* read at once; the progress moves on after each */

static const char *problem[BOOT_FILES_MAX]; /* NULL: none */

/* Spells a path with '/' throughout, so that names can be compared byte by byte. */
static void spell(char *path)
{
	for (; *path; path++)
		if (*path == '\\')
			*path = '/';
}

static void spell_all(struct conf_vm *vm)
{
	spell(vm->kernel);
	spell(vm->initrd);
	for (unsigned i = 0; i < vm->nmodules; i++)
		spell(vm->module[i].path);
}

static int find(const struct boot_info *bi, const char *path)
{
	for (unsigned i = 0; i < bi->nfiles; i++)
		if (!strcmp(bi->file[i].path, path))
			return (int)i;
	return -1;
}

static const char *look_up(const char *path, uint64_t *size)
{
	struct file f;
	EFI_STATUS status = file_open(path, &f);

	if (EFI_ERROR(status))
		return firmware_words(status);
	*size = f.size;
	file_close(&f);
	return f.size ? NULL : "the file is empty";
}

static void note_file(struct boot_info *bi, const char *path)
{
	struct boot_file *f;

	if (!*path || find(bi, path) >= 0 || bi->nfiles == BOOT_FILES_MAX)
		return;
	f = &bi->file[bi->nfiles];
	str_copy(f->path, sizeof(f->path), path);
	problem[bi->nfiles] = look_up(path, &f->size);
	bi->nfiles++;
}

/* The next file of a VM: *what names its part. NULL after the last. */
static const char *vm_file(const struct conf_vm *vm, unsigned i, const char **what)
{
	*what = i == 0 ? "kernel" : i == 1 ? "initrd" : "module";
	if (i >= 2 + vm->nmodules)
		return NULL;
	return i == 0 ? vm->kernel : i == 1 ? vm->initrd : vm->module[i - 2].path;
}

static const char *file_problem(const struct boot_info *bi, const char *path)
{
	int at = *path ? find(bi, path) : 0;

	return !*path ? NULL : at < 0 ? "there are more than 64 files" : problem[at];
}

static bool vm_is_good(const struct boot_info *bi, const struct conf_vm *vm)
{
	const char *what, *path;

	for (unsigned i = 0; (path = vm_file(vm, i, &what)); i++)
		if (file_problem(bi, path))
			return false;
	return true;
}

static void report_vm(const struct boot_info *bi, const struct conf_vm *vm, bool others, struct report *r)
{
	const char *what, *path, *why;

	for (unsigned i = 0; (path = vm_file(vm, i, &what)); i++) {
		why = file_problem(bi, path);
		if (why)
			report_add(r, others ? REPORT_LEFT_OUT : REPORT_CONFIG,
				"vm %s: %s = %s: %s (paths start in %s)", vm->name, what, path, why,
				volume_folder());
	}
}

/* Reports what is wrong with each bad file, and removes the VMs that name one. The other VMs are started. */
static void drop_bad_vms(struct conf *c, const struct boot_info *bi, struct report *r)
{
	unsigned good = 0, kept = 0;

	for (unsigned i = 0; i < c->nvms; i++)
		good += vm_is_good(bi, &c->vm[i]);
	if (good == c->nvms)
		return;
	for (unsigned i = 0; i < c->nvms; i++)
		report_vm(bi, &c->vm[i], good > 0, r);
	for (unsigned i = 0; i < c->nvms; i++) {
		if (!vm_is_good(bi, &c->vm[i]))
			continue;
		if (kept != i)
			c->vm[kept] = c->vm[i];
		kept++;
	}
	c->nvms = kept;
}

static bool is_used(const struct conf *c, const char *name)
{
	const char *what, *path;

	for (unsigned v = 0; v < c->nvms; v++)
		for (unsigned i = 0; (path = vm_file(&c->vm[v], i, &what)); i++)
			if (!strcmp(path, name))
				return true;
	return false;
}

/* Forgets files that no VM names any more. */
static void drop_unused(const struct conf *c, struct boot_info *bi)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < bi->nfiles; i++) {
		if (!is_used(c, bi->file[i].path)) {
			if (bi->file[i].data)
				firmware_free_pages(bi->file[i].data, bi->file[i].size);
			continue;
		}
		problem[kept] = problem[i];
		bi->file[kept++] = bi->file[i];
	}
	bi->nfiles = kept;
}

void files_find(struct conf *c, struct boot_info *bi, struct report *r, uint64_t *bytes)
{
	const char *what, *path;

	for (unsigned v = 0; v < c->nvms; v++) {
		spell_all(&c->vm[v]);
		for (unsigned i = 0; (path = vm_file(&c->vm[v], i, &what)); i++)
			note_file(bi, path);
	}
	drop_bad_vms(c, bi, r);
	drop_unused(c, bi);
	*bytes = 0;
	for (unsigned i = 0; i < bi->nfiles; i++)
		*bytes += min(bi->file[i].size, 64 * 1024 * GiB);
}

static EFI_STATUS read_chunks(struct file *f, const char *name, uint8_t *to)
{
	for (uint64_t done = 0; done < f->size;) {
		uint64_t part = min(CHUNK, f->size - done);
		EFI_STATUS status = file_read(f, to + done, part);

		if (EFI_ERROR(status)) {
			screen_progress_end();
			return status;
		}
		done += part;
		screen_progress(name, done - part, done, f->size);
	}
	return EFI_SUCCESS;
}

static EFI_STATUS load(struct boot_file *b)
{
	struct file f;
	EFI_STATUS status = file_open(b->path, &f);

	if (EFI_ERROR(status))
		return status;
	b->size = f.size;
	b->data = f.size ? firmware_pages_raw(f.size) : NULL;
	status = b->data ? read_chunks(&f, b->path, (uint8_t *)b->data) : EFI_OUT_OF_RESOURCES;
	if (EFI_ERROR(status) && b->data) {
		firmware_free_pages(b->data, f.size);
		b->data = NULL;
	}
	file_close(&f);
	return status;
}

void files_load(struct conf *c, struct boot_info *bi, struct report *r)
{
	for (unsigned i = 0; i < bi->nfiles; i++) {
		EFI_STATUS status = load(&bi->file[i]);

		problem[i] = EFI_ERROR(status) ? firmware_words(status) : NULL;
	}
	drop_bad_vms(c, bi, r);
	drop_unused(c, bi);
}
