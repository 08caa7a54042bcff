/* SPDX-License-Identifier: MIT */
/*
 * The start of 32-bit and 64-bit code: a GDT, page tables and a stack in the guest's low memory.
 *
 *	PML4[0] -> PDPT[0..3] -> four PDs of 512 2 MiB pages each: [0, 4 GiB) one to one
 *	           PDPT[n]    -> one PD more for each GiB that `also` touches
 *
 * 2 MiB pages exist in every CPU with 64-bit mode; 1 GiB pages do not (SDM Vol. 3A 4.1.4), and six pages of
 * tables are cheap. PML4 entries beyond the first serve 512 GiB each.
 */
#include "guest/load/load.h"
#include "lib/x86.h"

#define LARGE	   (2 * MiB)
#define TABLE_SPAN (512ul * LARGE) /* what a PD maps: 1 GiB */

/* Segment descriptors (SDM Vol. 3A 3.4.5): flat, accessed, DPL 0. */
#define GDT_CODE64 0x00af9b000000ffffull /* L = 1, D = 0 */
#define GDT_CODE32 0x00cf9b000000ffffull /* L = 0, D = 1 */
#define GDT_DATA   0x00cf93000000ffffull

static const char own[] = "the start-up tables", lethe[] = "Lethe";

static int place_low(struct load *l, uint64_t size, uint64_t align, uint64_t *out)
{
	int err = load_place(l, lethe, own, size, align, LOAD_LOW_FROM, LAYOUT_EBDA, LOAD_HIGHEST, out);

	if (err == -E_NOMEM)
		load_fail(l, err,
			"%s: leaves no %llu bytes free below 1 MiB for start-up tables: link or load it above 1 MiB",
			l->p->kernel.name, (unsigned long long)size);
	return err;
}

static int write_entry(struct load *l, uint64_t table, uint64_t index, uint64_t value)
{
	return load_write(l, table + 8 * (index & 511), &value, 8);
}

static int new_table(struct load *l, uint64_t *out)
{
	int err = place_low(l, PAGE_SIZE, PAGE_SIZE, out);

	return err ? err : load_zero(l, *out, PAGE_SIZE);
}

/* A page directory that maps the GiB from base on. */
static int fill_pd(struct load *l, uint64_t pd, uint64_t base)
{
	uint64_t entry[64];

	for (unsigned i = 0; i < 512; i += ARRAY_SIZE(entry)) {
		int err;

		for (unsigned k = 0; k < ARRAY_SIZE(entry); k++)
			entry[k] = (base + (i + k) * LARGE) | PTE_PS | PTE_W | PTE_P;
		err = load_write(l, pd + 8ull * i, entry, sizeof(entry));
		if (err)
			return err;
	}
	return 0;
}

/* What the builder remembers between one GiB and the next, in rising order. */
struct builder {
	struct load *l;
	uint64_t pml4, pdpt;
	uint64_t pdpt_index; /* of PML4, that pdpt belongs to; UINT64_MAX at first */
};

static int map_gib(struct builder *b, uint64_t gib)
{
	uint64_t pd;
	int err;

	if (gib / 512 != b->pdpt_index) {
		err = new_table(b->l, &b->pdpt);
		if (!err)
			err = write_entry(b->l, b->pml4, gib / 512, b->pdpt | PTE_W | PTE_P);
		if (err)
			return err;
		b->pdpt_index = gib / 512;
	}
	err = new_table(b->l, &pd);
	if (!err)
		err = fill_pd(b->l, pd, gib * TABLE_SPAN);
	if (!err)
		err = write_entry(b->l, b->pdpt, gib, pd | PTE_W | PTE_P);
	return err;
}

static int identity_map(struct load *l, uint64_t also, uint64_t also_size, uint64_t *cr3)
{
	struct builder b = { .l = l, .pdpt_index = UINT64_MAX };
	int err = new_table(l, &b.pml4);

	for (uint64_t gib = 0; !err && gib < 4; gib++)
		err = map_gib(&b, gib);
	/* Running out of low memory for an `also` that is many GiB long ends with the sentence of place_low. */
	if (!err && also_size)
		for (uint64_t gib = max(also / GiB, (uint64_t)4); !err && gib <= (also + also_size - 1) / GiB;
			gib++)
			err = map_gib(&b, gib);
	*cr3 = b.pml4;
	return err;
}

/* Writes a GDT and points every segment register at its descriptor of it: the guest may load its selectors again before
 * it has a GDT of its own. */
static int load_gdt(struct load *l, const uint64_t *gdt, unsigned entries, uint16_t cs, uint16_t ds,
	struct vcpu_state *start)
{
	uint64_t at, size = 8ull * entries;
	int err = place_low(l, size, 16, &at);

	if (!err)
		err = load_write(l, at, gdt, size);
	if (err)
		return err;
	start->gdtr = (struct cpu_table){ .base = at, .limit = (uint32_t)(size - 1) };
	for (unsigned i = 0; i < SEGS; i++)
		start->seg[i].selector = i == SEG_CS ? cs : ds;
	return 0;
}

/* Selectors 0x10 and 0x18 are __BOOT_CS and __BOOT_DS of the Linux boot protocol. */
static int load_gdt_linux(struct load *l, uint64_t code, struct vcpu_state *start)
{
	const uint64_t gdt[] = { 0, 0, code, GDT_DATA };

	return load_gdt(l, gdt, ARRAY_SIZE(gdt), 0x10, 0x18, start);
}

int load_start_long(
	struct load *l, uint64_t entry, uint64_t also, uint64_t also_size, struct vcpu_state *start)
{
	uint64_t cr3;
	int err = identity_map(l, also, also_size, &cr3);

	if (err)
		return err;
	vcpu_state_flat64(start, entry, cr3);
	return load_gdt_linux(l, GDT_CODE64, start);
}

int load_start_flat32(struct load *l, uint32_t entry, struct vcpu_state *start)
{
	vcpu_state_flat32(start, entry);
	return load_gdt_linux(l, GDT_CODE32, start);
}

/* The stack lies where GRUB has it, or, if the image lies there, elsewhere below 1 MiB. */
static int place_stack(struct load *l, uint64_t *top)
{
	uint64_t at;
	int err = load_place(l, lethe, own, LOAD_STACK_BYTES, 16, LOAD_STACK_TOP - LOAD_STACK_BYTES,
		LOAD_STACK_TOP, LOAD_HIGHEST, &at);

	if (err == -E_NOMEM)
		err = place_low(l, LOAD_STACK_BYTES, 16, &at);
	if (!err)
		err = load_zero(l, at, LOAD_STACK_BYTES);
	*top = at + LOAD_STACK_BYTES;
	return err;
}

int load_start_multiboot(struct load *l, uint32_t entry, struct vcpu_state *start)
{
	const uint64_t gdt[] = { 0, GDT_CODE32, GDT_DATA };
	uint64_t top;
	int err = place_stack(l, &top);

	if (err)
		return err;
	vcpu_state_flat32(start, entry);
	start->regs.gpr[RSP] = top;
	return load_gdt(l, gdt, ARRAY_SIZE(gdt), 0x08, 0x10, start);
}
