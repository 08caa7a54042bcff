/* SPDX-License-Identifier: MIT */
/*
 * ELF executables: the loadable segments to their physical addresses.
 *
 *	file:    | ehdr | phdr[phnum] | ... filesz bytes at offset ... |
 *	memory:  paddr -> | filesz bytes of the file | zeros up to memsz |
 *
 * Kernels that run in the higher half are linked with vaddr != paddr, and their entry point may be given either
 * way: it is taken as virtual if a segment's virtual range holds it, else as physical.
 */
#include "guest/load/elf_format.h"
#include "guest/load/load.h"
#include "lib/bits.h"
#include "lib/string.h"

/* Both classes' headers, widened to the larger. */
struct elf {
	const struct load_file *f;
	bool wide;
	uint64_t entry, phoff;
	uint16_t phnum, phentsize;
};

bool load_elf_probe(const struct load_file *f)
{
	struct elf_ident id;

	if (f->size < sizeof(id))
		return false;
	memcpy(&id, f->data, sizeof(id));
	return id.magic == ELF_MAGIC;
}

static int truncated(struct load *l, const char *what)
{
	return load_fail(l, -E_INVAL,
		"%s: is truncated: its %s lies behind the end of the file: copy it again", l->p->kernel.name,
		what);
}

static int wrong_machine(struct load *l, const char *is)
{
	return load_fail(l, -E_NOSUP, "%s: is %s: build it as an ELF executable for i386 or x86-64",
		l->p->kernel.name, is);
}

static int check_ident(struct load *l, const struct elf_ident *id, uint16_t type, uint16_t machine)
{
	if (id->data != ELF_LSB)
		return wrong_machine(l, "a big-endian ELF file");
	if (type != ELF_ET_EXEC)
		return wrong_machine(l, "an ELF file but no executable with fixed addresses");
	if (machine != (id->class == ELF_CLASS64 ? ELF_EM_X86_64 : ELF_EM_386))
		return wrong_machine(l, "an ELF file for another machine");
	return 0;
}

static int read_ehdr(struct load *l, struct elf *e)
{
	const struct load_file *f = e->f;
	struct elf_ident id;
	int err;

	if (!load_elf_probe(f))
		return load_fail(l, -E_INVAL,
			"%s: is no ELF file and its multiboot header gives no load addresses (flag bit 16): it cannot be placed; link it as ELF",
			f->name);
	memcpy(&id, f->data, sizeof(id));
	if (id.class == ELF_CLASS32) {
		struct elf32_ehdr h;

		if (f->size < sizeof(h))
			return truncated(l, "ELF header");
		memcpy(&h, f->data, sizeof(h));
		err = check_ident(l, &id, h.type, h.machine);
		*e = (struct elf){ f, false, h.entry, h.phoff, h.phnum, h.phentsize };
	} else if (id.class == ELF_CLASS64) {
		struct elf64_ehdr h;

		if (f->size < sizeof(h))
			return truncated(l, "ELF header");
		memcpy(&h, f->data, sizeof(h));
		err = check_ident(l, &id, h.type, h.machine);
		*e = (struct elf){ f, true, h.entry, h.phoff, h.phnum, h.phentsize };
	} else {
		return wrong_machine(l, "an ELF file of an unknown class");
	}
	if (err)
		return err;
	if (e->phentsize < (e->wide ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)))
		return load_fail(l, -E_INVAL,
			"%s: its program headers are of %u bytes, too few: the file is damaged", f->name,
			e->phentsize);
	if (!range_within(e->phoff, (uint64_t)e->phnum * e->phentsize, f->size))
		return truncated(l, "program header table");
	return 0;
}

static struct elf64_phdr read_phdr(const struct elf *e, unsigned i)
{
	const uint8_t *at = (const uint8_t *)e->f->data + e->phoff + (uint64_t)i * e->phentsize;
	struct elf64_phdr wide;
	struct elf32_phdr h;

	if (e->wide) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&h, at, sizeof(h));
	return (struct elf64_phdr){ .type = h.type,
		.flags = h.flags,
		.offset = h.offset,
		.vaddr = h.vaddr,
		.paddr = h.paddr,
		.filesz = h.filesz,
		.memsz = h.memsz,
		.align = h.align };
}

static int load_segment(struct load *l, const struct elf *e, const struct elf64_phdr *h)
{
	const char *name = e->f->name;
	int err;

	if (h->filesz > h->memsz)
		return load_fail(l, -E_INVAL,
			"%s: the segment at 0x%llx has more bytes in the file than in memory: the file is damaged",
			name, (unsigned long long)h->paddr);
	if (!range_within(h->offset, h->filesz, e->f->size))
		return truncated(l, "segment data");
	if (h->paddr >= LAYOUT_HIGH)
		return load_fail(l, -E_RANGE,
			"%s: a segment wants to be loaded at 0x%llx, beyond the 4 GiB that a multiboot kernel starts with: link it at a physical address below (AT() in the linker script)",
			name, (unsigned long long)h->paddr);
	err = load_claim(l, name, "a segment", h->paddr, h->memsz);
	if (!err)
		err = load_write(l, h->paddr, (const uint8_t *)e->f->data + h->offset, h->filesz);
	return err ? err : load_zero(l, h->paddr + h->filesz, h->memsz - h->filesz);
}

static bool holds(uint64_t base, uint64_t size, uint64_t at)
{
	return at >= base && at - base < size;
}

/* The entry point as a physical address: see above. */
static int find_entry(struct load *l, const struct elf *e, uint32_t *entry)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < e->phnum; i++) {
			struct elf64_phdr h = read_phdr(e, i);
			uint64_t base = pass == 0 ? h.vaddr : h.paddr;

			if (h.type != ELF_PT_LOAD || !holds(base, h.memsz, e->entry))
				continue;
			*entry = e->entry - base + h.paddr;
			return 0;
		}
	return load_fail(l, -E_INVAL,
		"%s: its entry point 0x%llx lies in none of its segments: the file is damaged", e->f->name,
		(unsigned long long)e->entry);
}

int load_elf(struct load *l, uint32_t *entry, uint64_t *end)
{
	struct elf e = { .f = &l->p->kernel };
	int err = read_ehdr(l, &e);

	if (err)
		return err;
	*end = 0;
	for (unsigned i = 0; i < e.phnum; i++) {
		struct elf64_phdr h = read_phdr(&e, i);

		if (h.type != ELF_PT_LOAD || h.memsz == 0)
			continue;
		err = load_segment(l, &e, &h);
		if (err)
			return err;
		*end = max(*end, h.paddr + h.memsz);
	}
	return find_entry(l, &e, entry);
}
