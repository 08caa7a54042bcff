/* SPDX-License-Identifier: MIT */
/*
 * Which loader a file belongs to, by its header or as `format =` says.
 *
 *	"HdrS" at 0x202             Linux bzImage      linux.c
 *	0x1badb002 in the first 8K  multiboot 1        multiboot.c
 *	none: only by request       flat               flat.c
 *
 * A file without a header is never taken for a flat image unasked: it would run as garbage. What it looks like
 * is said instead.
 */
#include "guest/load/load.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "lib/x86.h"

static bool has_magic(const struct load_file *f, uint64_t at, const char *magic, size_t n)
{
	return range_within(at, n, f->size) && memcmp((const char *)f->data + at, magic, n) == 0;
}

static bool has_multiboot2(const struct load_file *f)
{
	uint64_t end = min(f->size, (uint64_t)32768);

	for (uint64_t at = 0; at + 4 <= end; at += 8)
		if (has_magic(f, at, "\xd6\x50\x52\xe8", 4))
			return true;
	return false;
}

static int refuse_unknown(struct load *l)
{
	const struct load_file *f = &l->p->kernel;

	if (has_magic(f, 0, "\x1f\x8b", 2) ||
		has_magic(f, 0,
			"\xfd"
			"7zXZ",
			5) ||
		has_magic(f, 0, "\x28\xb5\x2f\xfd", 4))
		return load_fail(l, -E_NOSUP,
			"%s: is a compressed file, not a kernel that can start: unpack it first", f->name);
	if (has_multiboot2(f))
		return load_fail(l, -E_NOSUP,
			"%s: has a multiboot 2 header only: give the kernel a multiboot 1 header (magic 0x1badb002)",
			f->name);
	if (load_elf_probe(f))
		return load_fail(l, -E_NOSUP,
			"%s: is an ELF file without a multiboot header in its first 8192 bytes: name a bzImage (for Linux: vmlinuz, not vmlinux) or a multiboot kernel",
			f->name);
	if (has_magic(f, 0x202, "HdrS", 4))
		return load_fail(l, -E_INVAL,
			"%s: has a Linux setup header but no boot signature 0xaa55 at 0x1fe, so it is damaged: copy it again",
			f->name);
	return load_fail(l, -E_INVAL,
		"%s: is neither a Linux bzImage nor a multiboot kernel: name another file, or say format = flat if it is a flat image",
		f->name);
}

static int take_files(struct load *l, enum conf_format format)
{
	const struct load_params *p = l->p;

	if (format != FORMAT_LINUX && p->initrd.data)
		return load_fail(l, -E_INVAL, "%s: initrd = is for Linux kernels and %s is none: %s",
			p->initrd.name, p->kernel.name,
			format == FORMAT_MULTIBOOT ? "say module = instead" : "take the line out");
	if (format != FORMAT_MULTIBOOT && p->module[0].data)
		return load_fail(l, -E_INVAL, "%s: module = is for multiboot kernels and %s is none: %s",
			p->module[0].name, p->kernel.name,
			format == FORMAT_LINUX ? "say initrd = instead" : "take the line out");
	return 0;
}

static enum conf_format format_of(const struct conf_vm *conf, const struct load_file *kernel)
{
	if (conf->format != FORMAT_AUTO)
		return conf->format;
	if (load_linux_probe(kernel))
		return FORMAT_LINUX;
	if (load_multiboot_probe(kernel))
		return FORMAT_MULTIBOOT;
	return FORMAT_AUTO;
}

bool guest_image_linux64(const struct conf_vm *conf, const struct load_file *kernel)
{
	return kernel->data && format_of(conf, kernel) == FORMAT_LINUX && load_linux64_probe(kernel);
}

bool guest_image_may_want_bios(const struct load_params *p, const struct vcpu_state *start)
{
	return !(start->cr0 & CR0_PE) ||
	       (format_of(p->conf, &p->kernel) == FORMAT_LINUX && !(start->cr0 & CR0_PG));
}

int guest_load(const struct load_params *p, struct vcpu_state *start, char *why, size_t n)
{
	struct load l = { .p = p, .why = why, .n = n };
	enum conf_format format;
	int err;

	if (n)
		why[0] = '\0';
	l.nrows = layout_e820(p->layout, l.row);
	if (!p->kernel.data)
		return load_fail(
			&l, -E_NOENT, "VM %s has no kernel: add kernel = FILE to its section", p->conf->name);
	if (p->kernel.size == 0)
		return load_fail(&l, -E_INVAL, "%s: is empty: copy it again", p->kernel.name);

	format = format_of(p->conf, &p->kernel);
	if (format == FORMAT_AUTO)
		return refuse_unknown(&l);
	err = take_files(&l, format);
	if (!err)
		err = load_bda(&l);
	if (err)
		return err;
	switch (format) {
	case FORMAT_LINUX:
		return load_linux(&l, start);
	case FORMAT_MULTIBOOT:
		return load_multiboot(&l, start);
	default:
		return load_flat(&l, start);
	}
}
