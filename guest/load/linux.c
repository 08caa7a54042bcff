/* SPDX-License-Identifier: MIT */
/*
 * Linux: a bzImage by the 64-bit boot protocol (2.12 and later with XLF_KERNEL_64), else by the 32-bit one.
 *
 *	low memory		zero page, command line, GDT, page tables (64-bit)
 *	pref_address ...	the kernel proper; init_size bytes are its own to unpack into
 *	... initrd_addr_max	the initrd, as high as it and RAM allow
 *
 * At entry RSI holds the zero page's address; the 64-bit entry point lies 0x200 bytes into the kernel proper, the
 * 32-bit one at its start. (Documentation/arch/x86/boot.rst: THE 32-BIT / 64-BIT BOOT PROTOCOL)
 */
#include "guest/load/linux_boot.h"
#include "guest/load/load.h"
#include "lib/bits.h"
#include "lib/string.h"

struct bzimage {
	const char *name;
	struct linux_setup_header h; /* fields that the file's version does not have are zero */
	const uint8_t *code;	     /* the kernel proper, in the file */
	uint64_t code_size;
	bool long_mode;
	uint64_t alignment, address, init_size; /* where it goes; what it needs there */
	uint64_t cmdline_max, initrd_max;	/* bytes; last address + 1 */
};

bool load_linux_probe(const struct load_file *f)
{
	struct linux_setup_header h;

	if (f->size < LINUX_SETUP_AT + offsetof(struct linux_setup_header, version))
		return false;
	memcpy(&h, (const uint8_t *)f->data + LINUX_SETUP_AT, offsetof(struct linux_setup_header, version));
	return h.boot_flag == LINUX_BOOT_FLAG && h.header == LINUX_MAGIC;
}

/* Copies the header: its end is told by the jump over it (boot.rst: "the end of the header"). False: it is truncated. */
static bool copy_header(const struct load_file *f, struct linux_setup_header *h)
{
	uint64_t end = 0x202 + (uint64_t)((const uint8_t *)f->data)[0x201];

	end = min(end, LINUX_SETUP_AT + sizeof(*h));
	if (f->size < end || end < LINUX_SETUP_AT + offsetof(struct linux_setup_header, cmd_line_ptr))
		return false;
	memcpy(h, (const uint8_t *)f->data + LINUX_SETUP_AT, end - LINUX_SETUP_AT);
	return true;
}

static bool has_entry64(const struct linux_setup_header *h)
{
	return h->version >= LINUX_PROTOCOL(2, 12) && h->xloadflags & LINUX_XLF_KERNEL_64;
}

bool load_linux64_probe(const struct load_file *f)
{
	struct linux_setup_header h = { 0 };

	return load_linux_probe(f) && copy_header(f, &h) && has_entry64(&h);
}

static int read_header(struct load *l, struct bzimage *k)
{
	const struct load_file *f = &l->p->kernel;

	if (!load_linux_probe(f))
		return load_fail(l, -E_INVAL,
			"%s: is no Linux bzImage (no \"HdrS\" at 0x202): name another file or leave format = linux out",
			f->name);
	if (!copy_header(f, &k->h))
		return load_fail(
			l, -E_INVAL, "%s: its setup header is truncated: copy the file again", f->name);

	if (k->h.version < LINUX_PROTOCOL(2, 2))
		return load_fail(l, -E_NOSUP,
			"%s: speaks boot protocol %u.%02u, Lethe needs 2.02 or later: take a newer kernel",
			f->name, k->h.version >> 8, k->h.version & 0xff);
	if (!(k->h.loadflags & LINUX_LOADED_HIGH))
		return load_fail(l, -E_NOSUP,
			"%s: is a zImage, which loads below 1 MiB: build it as a bzImage", f->name);
	return 0;
}

/* syssize counts paragraphs rounded up, so the last one may be short: the file needs one byte of it. Before 2.04 the
 * field has 16 bits, too few for a bzImage, and says nothing (boot.rst, syssize). */
static uint64_t code_size_min(const struct linux_setup_header *h)
{
	if (h->version < LINUX_PROTOCOL(2, 4) || h->syssize == 0)
		return 1;
	return 16ull * (h->syssize - 1) + 1;
}

static int find_code(struct load *l, struct bzimage *k)
{
	const struct load_file *f = &l->p->kernel;
	uint64_t sects = k->h.setup_sects ? k->h.setup_sects : LINUX_DEFAULT_SETUP_SECTS;
	uint64_t setup = (sects + 1) * 512, need = setup + code_size_min(&k->h);

	if (f->size < need)
		return load_fail(l, -E_INVAL,
			"%s: is truncated: its header speaks of at least %llu bytes and the file has %llu: copy it again",
			f->name, (unsigned long long)need, (unsigned long long)f->size);
	k->code = (const uint8_t *)f->data + setup;
	k->code_size = f->size - setup;
	return 0;
}

/* What the file's version of the protocol does not say has its default from boot.rst. */
static int read_needs(struct load *l, struct bzimage *k)
{
	const struct linux_setup_header *h = &k->h;

	k->long_mode = has_entry64(h);
	if (k->long_mode && k->code_size <= LINUX_ENTRY64)
		return load_fail(l, -E_INVAL,
			"%s: its 64-bit entry point lies behind the end of the file: copy it again", k->name);
	k->cmdline_max = h->version >= LINUX_PROTOCOL(2, 6) && h->cmdline_size ? h->cmdline_size : 255;
	k->initrd_max = (h->version >= LINUX_PROTOCOL(2, 3) && h->initrd_addr_max ? h->initrd_addr_max
										  : 0x37ffffffull) +
			1;

	k->alignment = PAGE_SIZE;
	if (h->version >= LINUX_PROTOCOL(2, 5) && h->relocatable_kernel) {
		k->alignment = h->kernel_alignment;
		if (!is_pow2(k->alignment))
			return load_fail(l, -E_INVAL,
				"%s: asks for an alignment of 0x%llx, which is no power of two: the file is damaged",
				k->name, (unsigned long long)k->alignment);
		k->alignment = max(k->alignment, (uint64_t)PAGE_SIZE);
	}
	/* Before 2.10 a kernel does not say how much room it unpacks into: four times its size has been enough for
	 * gzip's best; the initrd, at the far end of RAM, stays clear of that. */
	k->init_size = 4 * k->code_size;
	k->address = LAYOUT_BIOS_END;
	if (h->version >= LINUX_PROTOCOL(2, 10)) {
		k->address = h->pref_address;
		k->init_size = max((uint64_t)h->init_size, k->code_size);
	}
	return 0;
}

/* boot.rst, init_size: a relocatable kernel runs at the load address rounded up to its alignment, but never below
 * pref_address; any other runs at pref_address and nowhere else. */
static int place_kernel(struct load *l, struct bzimage *k)
{
	static const char what[] = "the kernel";
	uint64_t from = max(k->address, (uint64_t)LAYOUT_BIOS_END);
	int err;

	if (!k->h.relocatable_kernel || k->h.version < LINUX_PROTOCOL(2, 5)) {
		if (k->address >= LAYOUT_LOW_MAX)
			return load_fail(l, -E_RANGE,
				"%s: wants to be loaded at 0x%llx, beyond the RAM below 4 GiB: take a relocatable kernel",
				k->name, (unsigned long long)k->address);
		return load_claim(l, k->name, what, k->address, k->init_size);
	}
	err = load_place(
		l, k->name, what, k->init_size, k->alignment, from, LAYOUT_LOW_MAX, LOAD_LOWEST, &k->address);
	if (err == -E_NOMEM)
		load_fail(l, err,
			"%s: needs %llu MiB of RAM from 0x%llx on to unpack itself and this guest has %llu MiB there: raise memory =",
			k->name, mib_up(k->init_size), (unsigned long long)from,
			(unsigned long long)(load_ram_from(l, from) / MiB));
	return err;
}

static int place_initrd(struct load *l, const struct bzimage *k, uint64_t *at)
{
	const struct load_file *f = &l->p->initrd;
	static const char what[] = "the initrd";
	int err = -E_NOMEM;

	*at = 0;
	if (!f->data || f->size == 0)
		return 0;
	if (f->size <= UINT32_MAX)
		err = load_place(l, f->name, what, f->size, PAGE_SIZE, LAYOUT_BIOS_END, k->initrd_max,
			LOAD_HIGHEST, at);
	if (err == -E_NOMEM && (k->h.xloadflags & LINUX_XLF_CAN_BE_LOADED_ABOVE_4G) && k->long_mode)
		err = load_place(
			l, f->name, what, f->size, PAGE_SIZE, LAYOUT_HIGH, UINT64_MAX, LOAD_HIGHEST, at);
	if (err == -E_NOMEM)
		return load_fail(l, err,
			"%s: the initrd (%llu MiB) does not fit into the guest's RAM (%llu MiB) beside the kernel: raise memory = or make it smaller",
			f->name, mib_up(f->size), (unsigned long long)(l->p->layout->memory / MiB));
	return err ? err : load_write(l, *at, f->data, f->size);
}

/* Names the display that the platform has: VGA text, 80 by 25, as after mode 3 of a VGA BIOS. */
static void describe_screen(struct linux_screen_info *s)
{
	s->orig_video_mode = 3;
	s->orig_video_cols = 80;
	s->orig_video_lines = 25;
	s->orig_video_ega_bx = 3; /* colour, 256 KiB */
	s->orig_video_isvga = 1;
	s->orig_video_points = 16;
}

/* The addresses of what lies around the kernel. */
struct placed {
	uint64_t zero_page, cmdline, initrd;
};

static int write_zero_page(struct load *l, const struct bzimage *k, const struct placed *at)
{
	struct linux_boot_params zp = { .hdr = k->h };
	uint64_t initrd_size = at->initrd ? l->p->initrd.size : 0;
	int err;

	describe_screen(&zp.screen_info);
	zp.acpi_rsdp_addr = l->p->rsdp;
	zp.hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	zp.hdr.vid_mode = LINUX_VID_MODE_NORMAL;
	zp.hdr.code32_start = k->address;
	zp.hdr.cmd_line_ptr = at->cmdline;
	zp.hdr.ramdisk_image = at->initrd;
	zp.hdr.ramdisk_size = initrd_size;
	zp.ext_ramdisk_image = at->initrd >> 32;
	zp.ext_ramdisk_size = initrd_size >> 32;
	zp.hdr.setup_data = 0;
	zp.e820_entries = l->nrows;
	err = load_zero(l, at->zero_page, PAGE_SIZE);
	if (!err)
		err = load_write(l, at->zero_page, &zp, sizeof(zp));
	for (unsigned i = 0; !err && i < l->nrows; i++) {
		const struct linux_e820 row = { l->row[i].base, l->row[i].size, l->row[i].type };

		err = load_write(l, at->zero_page + LINUX_E820_AT + i * sizeof(row), &row, sizeof(row));
	}
	return err;
}

static int place_params(struct load *l, const struct bzimage *k, struct placed *at)
{
	const char *cmdline = l->p->conf->cmdline;
	uint64_t len = strnlen(cmdline, CONF_CMDLINE_MAX - 1);
	int err;

	if (len > k->cmdline_max)
		return load_fail(l, -E_RANGE,
			"%s: takes a command line of %llu characters and cmdline = has %llu: shorten it",
			k->name, (unsigned long long)k->cmdline_max, (unsigned long long)len);
	/* The BIOS area and what a guest's firmware would own are not RAM rows; from 0x1000 to the EBDA all is free,
	 * since the kernel never lies below 1 MiB. */
	err = load_place(l, k->name, "the zero page", PAGE_SIZE, PAGE_SIZE, LOAD_LOW_FROM, LAYOUT_EBDA,
		LOAD_HIGHEST, &at->zero_page);
	if (!err)
		err = load_place(l, k->name, "the command line", len + 1, 16, LOAD_LOW_FROM, LAYOUT_EBDA,
			LOAD_HIGHEST, &at->cmdline);
	if (err == -E_NOMEM)
		return load_fail(l, err,
			"%s: wants so much memory below 1 MiB that its parameters have no room there: the file is damaged",
			k->name);
	if (!err)
		err = load_write(l, at->cmdline, cmdline, len);
	return err ? err : load_zero(l, at->cmdline + len, 1);
}

static int start_state(
	struct load *l, const struct bzimage *k, const struct placed *at, struct vcpu_state *start)
{
	int err;

	if (k->long_mode)
		err = load_start_long(
			l, k->address + LINUX_ENTRY64, at->initrd, at->initrd ? l->p->initrd.size : 0, start);
	else
		err = load_start_flat32(l, k->address, start);
	start->regs.gpr[RSI] = at->zero_page;
	return err;
}

int load_linux(struct load *l, struct vcpu_state *start)
{
	struct bzimage k = { .name = l->p->kernel.name };
	struct placed at = { 0 };
	int err;

	err = read_header(l, &k);
	if (!err)
		err = find_code(l, &k);
	if (!err)
		err = read_needs(l, &k);
	if (!err)
		err = place_kernel(l, &k);
	if (!err)
		err = load_write(l, k.address, k.code, k.code_size);
	if (!err)
		err = place_params(l, &k, &at);
	if (!err)
		err = place_initrd(l, &k, &at.initrd);
	if (!err)
		err = write_zero_page(l, &k, &at);
	return err ? err : start_state(l, &k, &at, start);
}
