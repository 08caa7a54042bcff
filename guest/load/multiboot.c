/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 kernels: ELF, or any file whose header gives its load addresses ("a.out kludge").
 *
 *	below 0x9fc00	information structure, memory map, module list, strings: one block
 *	load_addr ...	the kernel, where it says
 *	behind it	the modules, each on a page boundary
 *
 * The kernel starts in 32-bit protected mode, paging off, with 0x2badb002 in EAX and the block's address in EBX.
 * Command lines begin with the file's name, as GRUB Legacy's and QEMU's do and kernels that have main() expect.
 */
#include "guest/load/load.h"
#include "guest/load/multiboot.h"
#include "guest/load/multiboot_format.h"
#include "lib/string.h"

/* The caller knows that the file is long enough. */
static uint32_t word_at(const struct load_file *f, uint64_t at)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)f->data + at, sizeof(v));
	return v;
}

/* The first valid header of the file; fields that lie behind the file's end are 0. */
static bool multiboot_find(const struct load_file *f, struct multiboot_header *out, uint64_t *offset)
{
	uint64_t end = min(f->size, (uint64_t)MULTIBOOT_SEARCH);

	for (uint64_t at = 0; at + MULTIBOOT_HEADER_SHORT <= end; at += 4) {
		if (word_at(f, at) != MULTIBOOT_MAGIC)
			continue;
		if (word_at(f, at) + word_at(f, at + 4) + word_at(f, at + 8) != 0)
			continue;
		memset(out, 0, sizeof(*out));
		memcpy(out, (const uint8_t *)f->data + at, min(sizeof(*out), f->size - at));
		*offset = at;
		return true;
	}
	return false;
}

bool load_multiboot_probe(const struct load_file *f)
{
	struct multiboot_header h;
	uint64_t at;

	return multiboot_find(f, &h, &at);
}

static int bad_addresses(struct load *l, const char *what)
{
	return load_fail(l, -E_INVAL,
		"%s: its multiboot header's addresses make no sense (%s): mend the header", l->p->kernel.name,
		what);
}

/* The address fields say: the file from load_addr's place on goes to load_addr, up to load_end_addr (0: all of the
 * file), then zeros up to bss_end_addr (0: none). */
static int load_kludge(
	struct load *l, const struct multiboot_header *h, uint64_t offset, uint32_t *entry, uint64_t *end)
{
	const struct load_file *f = &l->p->kernel;
	uint64_t from, bytes, total;
	int err;

	if (f->size - offset < MULTIBOOT_HEADER_KLUDGE)
		return load_fail(
			l, -E_INVAL, "%s: is truncated in its multiboot header: copy it again", f->name);
	if (h->load_addr > h->header_addr || h->header_addr - h->load_addr > offset)
		return bad_addresses(l, "load_addr and header_addr");
	from = offset - (h->header_addr - h->load_addr);
	bytes = f->size - from;
	if (h->load_end_addr) {
		if (h->load_end_addr <= h->load_addr)
			return bad_addresses(l, "load_end_addr is not above load_addr");
		if (h->load_end_addr - h->load_addr > bytes)
			return load_fail(l, -E_INVAL,
				"%s: is truncated: its header speaks of %u bytes to load and the file has %llu: copy it again",
				f->name, h->load_end_addr - h->load_addr, (unsigned long long)bytes);
		bytes = h->load_end_addr - h->load_addr;
	}
	total = bytes;
	if (h->bss_end_addr) {
		if (h->bss_end_addr < h->load_addr || h->bss_end_addr - h->load_addr < bytes)
			return bad_addresses(l, "bss_end_addr lies below the end of the data");
		total = h->bss_end_addr - h->load_addr;
	}
	if (h->entry_addr < h->load_addr || h->entry_addr - h->load_addr >= total)
		return bad_addresses(l, "entry_addr lies outside of the image");

	err = load_claim(l, f->name, "the image", h->load_addr, total);
	if (!err)
		err = load_write(l, h->load_addr, (const uint8_t *)f->data + from, bytes);
	if (!err)
		err = load_zero(l, h->load_addr + bytes, total - bytes);
	*entry = h->entry_addr;
	*end = h->load_addr + total;
	return err;
}

static int load_modules(struct load *l, uint64_t from, uint64_t at[CONF_MODULES_MAX])
{
	for (unsigned i = 0; i < CONF_MODULES_MAX; i++) {
		const struct load_file *f = &l->p->module[i];
		int err;

		at[i] = 0;
		if (!f->data || f->size == 0)
			continue;
		err = load_place(l, f->name, "the module", f->size, PAGE_SIZE,
			max(from, (uint64_t)LAYOUT_BIOS_END), LAYOUT_LOW_MAX, LOAD_LOWEST, &at[i]);
		if (err == -E_NOMEM)
			return load_fail(l, err,
				"%s: the module (%llu MiB) does not fit into the guest's RAM (%llu MiB) behind the kernel: raise memory =",
				f->name, mib_up(f->size), (unsigned long long)(l->p->layout->memory / MiB));
		if (!err)
			err = load_write(l, at[i], f->data, f->size);
		if (err)
			return err;
	}
	return 0;
}

int load_multiboot(struct load *l, struct vcpu_state *start)
{
	const struct load_file *f = &l->p->kernel;
	uint64_t offset, end = 0, module[CONF_MODULES_MAX];
	struct multiboot_header h;
	uint32_t entry = 0, info = 0;
	int err;

	if (!multiboot_find(f, &h, &offset))
		return load_fail(l, -E_INVAL,
			"%s: has no multiboot header (0x1badb002) in its first 8192 bytes: name another file or leave format = multiboot out",
			f->name);
	if (h.flags & MULTIBOOT_MANDATORY & ~MULTIBOOT_KNOWN)
		return load_fail(l, -E_NOSUP,
			"%s: its multiboot header demands features that Lethe does not know (flags 0x%x): clear these bits",
			f->name, h.flags & MULTIBOOT_MANDATORY & ~MULTIBOOT_KNOWN);

	if (h.flags & MULTIBOOT_AOUT_KLUDGE)
		err = load_kludge(l, &h, offset, &entry, &end);
	else
		err = load_elf(l, &entry, &end);
	if (!err)
		err = load_modules(l, end, module);
	if (!err)
		err = multiboot_write_info(l, &h, module, &info);
	if (!err)
		err = load_start_multiboot(l, entry, start);
	if (err)
		return err;
	start->regs.gpr[RAX] = MULTIBOOT_BOOTED;
	start->regs.gpr[RBX] = info;
	return 0;
}
