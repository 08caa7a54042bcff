/* SPDX-License-Identifier: MIT */
/* The multiboot loader: what a kernel finds at its entry, and that each broken image is refused with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guest/load/load.h"
#include "lib/x86.h"
#include "tests/support/rig/load_images.h"
#include "tests/support/rig/load_rig.h"

static struct image image;

static int setup(void **state)
{
	(void)state;
	image = kludge_new();
	rig_open(32 * MiB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image.data);
	rig_close();
	return 0;
}

static void use(struct image i)
{
	free(image.data);
	image = i;
}

static int load(void)
{
	rig.p.kernel = (struct load_file){ "kernel.elf", image.data, image.size };
	return rig_load();
}

static void expect_loaded(void)
{
	int err = load();

	if (err)
		fail_msg("refused: %s", rig.why);
}

static void expect_refused(int err, const char *file, const char *words)
{
	assert_int_equal(load(), err);
	if (strncmp(rig.why, file, strlen(file)) != 0 || !strstr(rig.why, words))
		fail_msg("expected \"%s: ... %s\", got: %s", file, words, rig.why);
}

static struct multiboot_info info(void)
{
	struct multiboot_info i;

	memcpy(&i, rig_at(rig.start.regs.gpr[RBX], sizeof(i)), sizeof(i));
	return i;
}

static const char *string_at(uint32_t at)
{
	return (const char *)rig_at(at, 1);
}

static void expect_bytes(uint64_t at, uint64_t n, int value)
{
	for (uint64_t i = 0; i < n; i++)
		if (*rig_at(at + i, 1) != value)
			fail_msg("byte at 0x%llx is 0x%x, not 0x%x", (unsigned long long)(at + i),
				*rig_at(at + i, 1), value);
}

static void the_cpu_starts_as_the_specification_says(void **state)
{
	(void)state;
	expect_loaded();
	assert_int_equal(rig.start.regs.gpr[RAX], 0x2badb002);
	assert_int_equal(rig.start.regs.rip, KLUDGE_LOAD + 4);
	assert_int_equal(rig.start.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	assert_false(rig.start.regs.rflags & (RFLAGS_IF | RFLAGS_VM));
	for (unsigned i = 0; i < SEGS; i++) {
		assert_int_equal(rig.start.seg[i].base, 0);
		assert_int_equal(rig.start.seg[i].limit, 0xffffffff);
	}
}

/* The descriptor that a selector names in the GDT in memory, as the CPU would load it. */
static uint64_t descriptor(uint16_t selector)
{
	assert_in_range(selector, 8, rig.start.gdtr.limit - 7);
	return rig_u64(rig.start.gdtr.base + selector);
}

static void selectors_can_be_loaded_again_from_the_gdt(void **state)
{
	(void)state;
	expect_loaded();
	assert_int_equal(rig.start.seg[SEG_CS].selector, 0x08);
	assert_int_equal(descriptor(0x08), 0x00cf9b000000ffff);
	for (unsigned i = 0; i < SEGS; i++)
		if (i != SEG_CS)
			assert_int_equal(rig.start.seg[i].selector, 0x10);
	assert_int_equal(descriptor(0x10), 0x00cf93000000ffff);
	assert_int_equal(rig_u64(rig.start.gdtr.base), 0);
}

/* What the kernel pushes before it sets a stack of its own must not land in what it reads later. */
static void the_stack_overlaps_nothing(void **state)
{
	uint64_t top, bottom, gdt, at;

	(void)state;
	expect_loaded();
	top = rig.start.regs.gpr[RSP];
	assert_int_equal(top, 0x7ff00);
	bottom = top - LOAD_STACK_BYTES;
	expect_bytes(bottom, LOAD_STACK_BYTES, 0);
	gdt = rig.start.gdtr.base;
	assert_true(gdt >= top || gdt + rig.start.gdtr.limit < bottom);
	at = rig.start.regs.gpr[RBX];
	assert_true(at >= top || at + sizeof(struct multiboot_info) <= bottom);
	assert_true(info().cmdline >= top || info().cmdline < bottom);
}

static void an_image_at_the_stack_s_place_moves_the_stack(void **state)
{
	struct multiboot_header *h = kludge_header(image);
	uint64_t top;

	(void)state;
	h->header_addr = 0x7f010;
	h->load_addr = 0x7f000;
	h->bss_end_addr = 0x80000;
	h->entry_addr = 0x7f004;
	multiboot_sum(h);
	expect_loaded();
	top = rig.start.regs.gpr[RSP];
	assert_true(top <= 0x7f000 || top - LOAD_STACK_BYTES >= 0x80000);
	assert_in_range(top, LOAD_LOW_FROM + LOAD_STACK_BYTES, LAYOUT_EBDA);
	assert_int_equal(rig.start.regs.rip, 0x7f004);
}

static void header_addresses_place_file_and_zeros(void **state)
{
	(void)state;
	memset(rig.ram + KLUDGE_LOAD, 0xcc, 256);
	expect_loaded();
	assert_memory_equal(rig_at(KLUDGE_LOAD, 64), image.data, 64);
	expect_bytes(KLUDGE_LOAD + 64, 64, 0);
	expect_bytes(KLUDGE_LOAD + 128, 128, 0xcc);
}

static void load_end_addr_cuts_the_file(void **state)
{
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	h->load_end_addr = KLUDGE_LOAD + 60;
	h->bss_end_addr = 0;
	memset(rig.ram + KLUDGE_LOAD, 0xcc, 256);
	expect_loaded();
	assert_memory_equal(rig_at(KLUDGE_LOAD, 60), image.data, 60);
	expect_bytes(KLUDGE_LOAD + 60, 68, 0xcc);
}

static void load_addr_may_begin_inside_the_file(void **state)
{
	(void)state;
	kludge_header(image)->load_addr = KLUDGE_LOAD + 16; /* the header is the first byte loaded */
	kludge_header(image)->entry_addr = KLUDGE_LOAD + 48;
	memset(rig.ram + KLUDGE_LOAD, 0xcc, 16);
	expect_loaded();
	expect_bytes(KLUDGE_LOAD, 16, 0xcc);
	assert_memory_equal(rig_at(KLUDGE_LOAD + 16, 48), image.data + 16, 48);
}

static void senseless_addresses_are_refused(void **state)
{
	const struct multiboot_header good = *kludge_header(image);
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	h->load_addr = h->header_addr + 1;
	expect_refused(-E_INVAL, "kernel.elf", "load_addr and header_addr");
	h->load_addr = h->header_addr - 17; /* one byte before the file */
	expect_refused(-E_INVAL, "kernel.elf", "load_addr and header_addr");
	*h = good;
	h->load_end_addr = h->load_addr;
	expect_refused(-E_INVAL, "kernel.elf", "load_end_addr");
	h->load_end_addr = h->load_addr + 65;
	expect_refused(-E_INVAL, "kernel.elf", "is truncated");
	*h = good;
	h->bss_end_addr = h->load_addr + 63;
	expect_refused(-E_INVAL, "kernel.elf", "bss_end_addr");
	*h = good;
	h->entry_addr = h->bss_end_addr;
	expect_refused(-E_INVAL, "kernel.elf", "entry_addr");
	h->entry_addr = h->load_addr - 1;
	expect_refused(-E_INVAL, "kernel.elf", "entry_addr");
	*h = good;
	h->bss_end_addr = UINT32_MAX;
	expect_refused(-E_RANGE, "kernel.elf", "not all RAM");
}

static void nothing_but_ram_is_loaded_into(void **state)
{
	static const uint32_t bad[] = { 0x9fbc0 + 16, 0x9fc00, 0xa0000, 0xb8000, 0xe0000, 0xfff80 + 16,
		32 * MiB - 64, 32 * MiB, 0xc0000000, 0xfec00000, 0xffffff80 };
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		h->load_addr = bad[i];
		h->header_addr = bad[i] + 16;
		h->entry_addr = bad[i];
		h->bss_end_addr = bad[i] + 0x7f;
		expect_refused(-E_RANGE, "kernel.elf", "not all RAM");
	}
	h->load_addr = h->entry_addr = 32 * MiB - 128;
	h->header_addr = h->load_addr + 16;
	h->bss_end_addr = 32 * MiB;
	expect_loaded();
}

static void elf_segments_go_to_their_physical_addresses(void **state)
{
	const uint32_t up[] = { 0, 0xc0000000 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(up); i++) {
		use(elf32_new(up[i]));
		memset(rig.ram + 0x100000, 0xcc, 0x4000);
		expect_loaded();
		assert_int_equal(rig.start.regs.rip, 0x100010);
		assert_memory_equal(rig_at(0x100000, 0x100), image.data + 0x200, 0x100);
		expect_bytes(0x100100, 0x1f00, 0xcc);
		expect_bytes(0x102000, 0x80, 0x22);
		expect_bytes(0x102080, 0xf80, 0);
		expect_bytes(0x103000, 0x1000, 0xcc);
	}
}

static void elf64_starts_in_32_bit_mode(void **state)
{
	(void)state;
	use(elf64_new(0xffffffff80000000));
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x100010);
	assert_false(rig.start.cr0 & CR0_PG);
	expect_bytes(0x102000, 0x80, 0x22);

	/* The same kernel with its entry point given as a physical address. */
	((struct elf64_ehdr *)image.data)->entry = 0x100020;
	expect_loaded();
	assert_int_equal(rig.start.regs.rip, 0x100020);
	elf64_segment(image, 1)->paddr = 0x100000000;
	expect_refused(-E_RANGE, "kernel.elf", "link it at a physical address below");
}

static void broken_elf_is_refused(void **state)
{
	struct elf32_ehdr *h;
	struct elf32_phdr *s;

	(void)state;
	use(elf32_new(0));
	h = elf32_header(image);
	s = elf32_segment(image, 1);
	h->ident.class = 3;
	expect_refused(-E_NOSUP, "kernel.elf", "unknown class");
	h->ident.class = ELF_CLASS32;
	h->ident.data = 2;
	expect_refused(-E_NOSUP, "kernel.elf", "big-endian");
	h->ident.data = ELF_LSB;
	h->type = 3;
	expect_refused(-E_NOSUP, "kernel.elf", "no executable");
	h->type = ELF_ET_EXEC;
	h->machine = 40;
	expect_refused(-E_NOSUP, "kernel.elf", "another machine");
	h->machine = ELF_EM_386;
	h->phentsize = 31;
	expect_refused(-E_INVAL, "kernel.elf", "31 bytes, too few");
	h->phentsize = 32;
	h->phnum = 65535;
	expect_refused(-E_INVAL, "kernel.elf", "program header table");
	h->phnum = 2;
	h->phoff = UINT32_MAX;
	expect_refused(-E_INVAL, "kernel.elf", "program header table");
	h->phoff = 52;
	h->entry = 0x100100;
	expect_refused(-E_INVAL, "kernel.elf", "entry point 0x100100");
	h->entry = 0x100010;
	h->ident.magic++;
	expect_refused(-E_INVAL, "kernel.elf", "is no ELF file");
	h->ident.magic--;

	s->filesz = 0x1001;
	expect_refused(-E_INVAL, "kernel.elf", "more bytes in the file than in memory");
	s->filesz = 0x101;
	expect_refused(-E_INVAL, "kernel.elf", "segment data lies behind the end");
	s->filesz = 0x80;
	s->offset = UINT32_MAX;
	expect_refused(-E_INVAL, "kernel.elf", "segment data lies behind the end");
	s->offset = 0x300;
	s->paddr = 0x1000ff;
	expect_refused(-E_EXIST, "kernel.elf", "overlaps a segment of kernel.elf (0x100000-0x1000ff)");
	s->paddr = 0x9f000;
	expect_refused(-E_RANGE, "kernel.elf", "not all RAM");
	s->memsz = UINT32_MAX;
	s->paddr = 0x100000;
	expect_refused(-E_RANGE, "kernel.elf", "not all RAM");
	s->memsz = 0; /* nothing to load, wherever it says */
	s->filesz = 0;
	s->paddr = 0xfffffff0;
	expect_loaded();
}

static void too_many_elf_segments_are_refused(void **state)
{
	struct elf64_phdr s = { ELF_PT_LOAD, 5, 0x200, 0, 0, 16, 16, 1 };
	unsigned n = 100;

	(void)state;
	use(elf64_new(0));
	image.data = realloc(image.data, 0x400 + n * sizeof(s));
	image.size = 0x400 + n * sizeof(s);
	((struct elf64_ehdr *)image.data)->phoff = 0x400;
	((struct elf64_ehdr *)image.data)->phnum = n;
	for (unsigned i = 0; i < n; i++) {
		s.vaddr = s.paddr = 0x100000 + i * 16;
		memcpy(image.data + 0x400 + i * sizeof(s), &s, sizeof(s));
	}
	expect_refused(-E_NOSUP, "kernel.elf", "more pieces to load");
}

static void truncated_elf_is_refused(void **state)
{
	(void)state;
	use(elf64_new(0));
	rig.conf.format = FORMAT_MULTIBOOT;
	for (uint64_t size = image.size - 0x81; size > 0; size -= size / 5 + 1) {
		image_cut(&image, size);
		assert_int_equal(load(), -E_INVAL);
		assert_non_null(strstr(rig.why, "kernel.elf: "));
	}
}

static void the_information_says_what_the_guest_has(void **state)
{
	struct multiboot_info i;

	(void)state;
	strcpy(rig.conf.cmdline, "-v 3");
	expect_loaded();
	i = info();
	assert_int_equal(i.flags, MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_MODS |
					  MULTIBOOT_INFO_MMAP | MULTIBOOT_INFO_LOADER_NAME);
	assert_int_equal(i.mem_lower, 639);
	assert_int_equal(i.mem_upper, 31 * 1024);
	assert_string_equal(string_at(i.cmdline), "kernel.elf -v 3");
	assert_string_equal(string_at(i.boot_loader_name), "Lethe");
	assert_int_equal(i.mods_count, 0);
	assert_int_equal(i.mmap_length, rig.nrows * 24);
	for (unsigned k = 0; k < rig.nrows; k++) {
		struct multiboot_mmap row;

		memcpy(&row, rig_at(i.mmap_addr + 24 * k, 24), 24);
		assert_int_equal(row.size, 20);
		assert_int_equal(row.base, rig.row[k].base);
		assert_int_equal(row.length, rig.row[k].size);
		assert_int_equal(row.type, rig.row[k].type);
	}
	rig.conf.cmdline[0] = '\0';
	expect_loaded();
	assert_string_equal(string_at(info().cmdline), "kernel.elf");
}

static void modules_follow_the_kernel_on_page_boundaries(void **state)
{
	struct multiboot_module m[3];
	static uint8_t big[4097];

	(void)state;
	memset(big, 0x5a, sizeof(big));
	rig.p.module[0] = (struct load_file){ "a", big, sizeof(big) };
	rig.p.module[1] = (struct load_file){ "empty", "", 0 };
	rig.p.module[2] = (struct load_file){ "c", "module c", 8 };
	strcpy(rig.conf.module[0].args, "one two");
	expect_loaded();
	assert_int_equal(info().mods_count, 3);
	memcpy(m, rig_at(info().mods_addr, sizeof(m)), sizeof(m));
	assert_int_equal(m[0].start, 0x101000);
	assert_int_equal(m[0].end, 0x102001);
	expect_bytes(m[0].start, sizeof(big), 0x5a);
	assert_string_equal(string_at(m[0].string), "a one two");
	assert_int_equal(m[1].start, m[1].end);
	assert_string_equal(string_at(m[1].string), "empty");
	assert_int_equal(m[2].start, 0x103000);
	assert_memory_equal(rig_at(m[2].start, 8), "module c", 8);
	assert_string_equal(string_at(m[2].string), "c");
}

static void a_module_larger_than_memory_is_refused(void **state)
{
	struct image big = image_new(31 * MiB);

	(void)state;
	rig.p.module[0] = (struct load_file){ "a", big.data, big.size };
	expect_refused(-E_NOMEM, "a", "does not fit into the guest's RAM (32 MiB)");
	free(big.data);
}

static void features_that_are_demanded_but_unknown_are_refused(void **state)
{
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	h->flags |= 1u << 3;
	multiboot_sum(h);
	expect_refused(-E_NOSUP, "kernel.elf", "flags 0x8");
	h->flags = MULTIBOOT_AOUT_KLUDGE | 7 | 1u << 20; /* 31:16 may be ignored */
	multiboot_sum(h);
	expect_loaded();
}

static void only_a_text_screen_is_offered(void **state)
{
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	h->flags |= MULTIBOOT_VIDEO_MODE;
	multiboot_sum(h);
	h->mode_type = 0; /* graphics */
	expect_loaded();
	assert_false(info().flags & MULTIBOOT_INFO_FRAMEBUFFER);
	h->mode_type = MULTIBOOT_MODE_TEXT;
	expect_loaded();
	assert_true(info().flags & MULTIBOOT_INFO_FRAMEBUFFER);
	assert_int_equal(info().framebuffer_addr, 0xb8000);
	assert_int_equal(info().framebuffer_type, 2);
}

static void the_information_keeps_out_of_a_kernel_in_low_memory(void **state)
{
	struct multiboot_header *h = kludge_header(image);

	(void)state;
	h->load_addr = 0x1000;
	h->header_addr = 0x1010;
	h->entry_addr = 0x1000;
	h->bss_end_addr = 0x9f000;
	expect_loaded();
	assert_in_range(rig.start.regs.gpr[RBX], 0x9f000, 0x9fc00);
	h->bss_end_addr = 0x9fbf0;
	expect_refused(-E_NOMEM, "kernel.elf", "below 1 MiB for the multiboot information");
}

static void the_header_is_searched_in_8_kib_only(void **state)
{
	struct image late = image_new(16384);
	struct multiboot_header h = { .magic = MULTIBOOT_MAGIC };

	(void)state;
	multiboot_sum(&h);
	memcpy(late.data + 8192 - 12, &h, 12);
	use(late);
	assert_int_equal(load(), -E_INVAL);
	assert_non_null(strstr(rig.why, "is no ELF file")); /* it was found */
	memset(late.data + 8192 - 12, 0, 12);
	memcpy(late.data + 8192 - 8, &h, 12);
	expect_refused(-E_INVAL, "kernel.elf", "neither");
	rig.conf.format = FORMAT_MULTIBOOT;
	expect_refused(-E_INVAL, "kernel.elf", "no multiboot header");
}

static void a_wrong_checksum_is_no_header(void **state)
{
	(void)state;
	kludge_header(image)->checksum++;
	expect_refused(-E_INVAL, "kernel.elf", "neither");
}

static void an_initrd_is_not_for_multiboot(void **state)
{
	(void)state;
	rig.p.initrd = (struct load_file){ "initrd.img", "x", 1 };
	expect_refused(-E_INVAL, "initrd.img", "say module = instead");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_cpu_starts_as_the_specification_says),
		TEST(selectors_can_be_loaded_again_from_the_gdt),
		TEST(the_stack_overlaps_nothing),
		TEST(an_image_at_the_stack_s_place_moves_the_stack),
		TEST(header_addresses_place_file_and_zeros),
		TEST(load_end_addr_cuts_the_file),
		TEST(load_addr_may_begin_inside_the_file),
		TEST(senseless_addresses_are_refused),
		TEST(nothing_but_ram_is_loaded_into),
		TEST(elf_segments_go_to_their_physical_addresses),
		TEST(elf64_starts_in_32_bit_mode),
		TEST(broken_elf_is_refused),
		TEST(too_many_elf_segments_are_refused),
		TEST(truncated_elf_is_refused),
		TEST(the_information_says_what_the_guest_has),
		TEST(modules_follow_the_kernel_on_page_boundaries),
		TEST(a_module_larger_than_memory_is_refused),
		TEST(features_that_are_demanded_but_unknown_are_refused),
		TEST(only_a_text_screen_is_offered),
		TEST(the_information_keeps_out_of_a_kernel_in_low_memory),
		TEST(the_header_is_searched_in_8_kib_only),
		TEST(a_wrong_checksum_is_no_header),
		TEST(an_initrd_is_not_for_multiboot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
