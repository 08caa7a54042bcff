/* SPDX-License-Identifier: MIT */
/*
 * The multiboot information: one block in low memory.
 *
 *	| multiboot_info | mmap[rows] | module[n] | strings: loader name, command line, one per module |
 *
 * Video modes are not offered: the bit stays clear, which the specification allows. A kernel that asks for text is
 * told of the text screen at 0xb8000.
 */
#include "guest/load/multiboot.h"
#include "lib/assert.h"
#include "lib/string.h"

static const char loader_name[] = "Lethe";

/* A string that is written in two parts with a blank between: "name args". */
struct text {
	const char *name, *args;
};

static uint64_t text_size(struct text t)
{
	return strlen(t.name) + (t.args[0] ? 1 + strlen(t.args) : 0) + 1;
}

struct block {
	struct load *l;
	uint64_t at, used, size;
};

/* Takes the next n bytes of the block; the caller has counted them before. */
static uint64_t block_take(struct block *b, uint64_t n)
{
	uint64_t at = b->at + b->used;

	b->used += n;
	return at;
}

static int block_text(struct block *b, struct text t, uint32_t *out)
{
	uint64_t at = block_take(b, text_size(t)), n = strlen(t.name);
	int err = load_write(b->l, at, t.name, n);

	*out = at;
	if (!err && t.args[0]) {
		err = load_write(b->l, at + n, " ", 1);
		if (!err)
			err = load_write(b->l, at + n + 1, t.args, strlen(t.args));
	}
	return err; /* the block was zeroed: the NUL is there */
}

static struct text kernel_text(const struct load *l)
{
	return (struct text){ l->p->kernel.name, l->p->conf->cmdline };
}

static struct text module_text(const struct load *l, unsigned i)
{
	return (struct text){ l->p->module[i].name, l->p->conf->module[i].args };
}

static unsigned module_count(const struct load *l)
{
	unsigned n = 0;

	while (n < CONF_MODULES_MAX && l->p->module[n].data)
		n++;
	return n;
}

static int place_block(struct load *l, unsigned modules, struct block *b)
{
	uint64_t size = sizeof(struct multiboot_info) + l->nrows * sizeof(struct multiboot_mmap) +
			modules * sizeof(struct multiboot_module) + sizeof(loader_name) +
			text_size(kernel_text(l));
	int err;

	for (unsigned i = 0; i < modules; i++)
		size += text_size(module_text(l, i));
	*b = (struct block){ .l = l, .size = size };
	err = load_place(l, l->p->kernel.name, "the multiboot information", size, 16, LOAD_LOW_FROM,
		LAYOUT_EBDA, LOAD_HIGHEST, &b->at);
	if (err == -E_NOMEM)
		return load_fail(l, err,
			"%s: leaves no %llu bytes free below 1 MiB for the multiboot information: link it at 1 MiB or above",
			l->p->kernel.name, (unsigned long long)size);
	return err ? err : load_zero(l, b->at, size);
}

static int write_mmap(struct block *b, struct multiboot_info *info)
{
	struct load *l = b->l;

	info->mmap_length = l->nrows * sizeof(struct multiboot_mmap);
	info->mmap_addr = block_take(b, info->mmap_length);
	for (unsigned i = 0; i < l->nrows; i++) {
		const struct multiboot_mmap row = { sizeof(row) - sizeof(row.size), l->row[i].base,
			l->row[i].size, l->row[i].type };
		int err = load_write(l, info->mmap_addr + i * sizeof(row), &row, sizeof(row));

		if (err)
			return err;
	}
	return 0;
}

static int write_modules(struct block *b, struct multiboot_info *info, unsigned n, const uint64_t *module)
{
	struct load *l = b->l;
	uint64_t list = block_take(b, n * sizeof(struct multiboot_module));

	info->mods_count = n;
	info->mods_addr = list;
	for (unsigned i = 0; i < n; i++) {
		struct multiboot_module m = { .start = module[i], .end = module[i] + l->p->module[i].size };
		int err = block_text(b, module_text(l, i), &m.string);

		if (!err)
			err = load_write(l, list + i * sizeof(m), &m, sizeof(m));
		if (err)
			return err;
	}
	return 0;
}

static void describe_text_screen(struct multiboot_info *info)
{
	info->flags |= MULTIBOOT_INFO_FRAMEBUFFER;
	info->framebuffer_addr = LAYOUT_VGA_TEXT;
	info->framebuffer_pitch = 160;
	info->framebuffer_width = 80;
	info->framebuffer_height = 25;
	info->framebuffer_bpp = 16;
	info->framebuffer_type = 2;
}

int multiboot_write_info(struct load *l, const struct multiboot_header *h,
	const uint64_t module[CONF_MODULES_MAX], uint32_t *out)
{
	struct multiboot_info info = {
		.flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_MODS |
			 MULTIBOOT_INFO_MMAP | MULTIBOOT_INFO_LOADER_NAME,
		.mem_lower = LAYOUT_EBDA / KiB,
		.mem_upper = load_ram_from(l, LAYOUT_BIOS_END) / KiB,
	};
	unsigned modules = module_count(l);
	uint32_t name, cmdline;
	struct block b;
	int err = place_block(l, modules, &b);

	if (err)
		return err;
	*out = block_take(&b, sizeof(info));
	if ((h->flags & MULTIBOOT_VIDEO_MODE) && h->mode_type == MULTIBOOT_MODE_TEXT)
		describe_text_screen(&info);
	err = write_mmap(&b, &info);
	if (!err)
		err = write_modules(&b, &info, modules, module);
	if (!err)
		err = block_text(&b, (struct text){ loader_name, "" }, &name);
	if (!err)
		err = block_text(&b, kernel_text(l), &cmdline);
	if (err)
		return err;
	ASSERT(b.used == b.size);
	info.boot_loader_name = name;
	info.cmdline = cmdline;
	return load_write(l, *out, &info, sizeof(info));
}
