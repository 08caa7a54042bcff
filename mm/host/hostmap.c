/* SPDX-License-Identifier: MIT */
/* The hypervisor's own address space: what is mapped where, with which rights. */
#include "mm/host/hostmap.h"

#include "lib/assert.h"
#include "lib/log.h"
#include "mm/host/hostmap_internal.h"

#define IDENTITY_END	   BIT(47) /* of the lower half, whatever the number of levels */
#define EFI_MEMORY_RUNTIME BIT(63) /* UEFI 7.2: needs a mapping when runtime services are called */

struct spinlock hostmap_lock = SPINLOCK_INIT;
struct host_tables hostmap_main;
static struct host_tables runtime_map;
static bool active;
static hpa_t exec_page; /* of hostmap_identity_exec(); 0: none */

/* The end of a range, whatever nonsense the firmware's map says of its length. */
static uint64_t range_end(const struct mem_range *r)
{
	uint64_t most = (BIT(52) - min(r->base.v, BIT(52))) / PAGE_SIZE;

	return r->base.v + min(r->pages, most) * PAGE_SIZE;
}

/* Rights of a range in the direct map; false if it is not in it. */
static bool direct_rights(enum mem_type t, uint64_t *bits)
{
	*bits = t == MEM_ACPI_RECLAIM ? MAP_R : MAP_RW;
	return t == MEM_USABLE || t == MEM_BOOT || t == MEM_BOOT_SERVICES || t == MEM_ACPI_RECLAIM;
}

/* RAM from 1 MiB on, and what boot/ has below. Neighbours of the same rights are mapped together, so that large
 * pages span their borders. */
static int map_direct(const struct boot_info *bi)
{
	uint64_t start = 0, end = 0, bits = 0;
	int err = 0;

	for (unsigned i = 0; i <= bi->nranges && !err; i++) {
		const struct mem_range *r = &bi->range[i];
		uint64_t b = 0, from = 0, to = 0;

		if (i < bi->nranges && direct_rights(r->type, &b)) {
			from = r->type == MEM_BOOT ? r->base.v : max(r->base.v, MiB);
			to = min(range_end(r), DIRECT_MAP_BYTES);
		}
		if (from < to && from == end && b == bits) {
			end = to;
			continue;
		}
		if (i < bi->nranges && from >= to)
			continue;
		if (start < end)
			err = host_tables_map(
				&hostmap_main, DIRECT_MAP_BASE + start, hpa(start), end - start, bits);
		start = from;
		end = to;
		bits = b;
	}
	return err;
}

/* Calls fn for the parts of a range that the image's sections leave: [from, to), never the null page. */
static int for_each_part(
	const struct boot_info *bi, const struct mem_range *r, int (*fn)(uint64_t from, uint64_t bytes))
{
	uint64_t at = max(r->base.v, PAGE_SIZE), end = min(range_end(r), IDENTITY_END);
	int err = 0;

	while (at < end && !err) {
		uint64_t stop = end, next = 0;

		for (unsigned i = 0; i < bi->nsections; i++) {
			uint64_t s = bi->section[i].base.v, e = s + bi->section[i].pages * PAGE_SIZE;

			if (s <= at && at < e)
				next = e;
			else if (s > at)
				stop = min(stop, s);
		}
		if (next) { /* at lies in a section */
			at = next;
			continue;
		}
		err = fn(at, stop - at);
		at = stop;
	}
	return err;
}

static int for_each_boot_part(
	const struct boot_info *bi, enum mem_type kind, int (*fn)(uint64_t from, uint64_t bytes))
{
	int err = 0;

	for (unsigned i = 0; i < bi->nranges && !err; i++)
		if (bi->range[i].type == kind)
			err = for_each_part(bi, &bi->range[i], fn);
	return err;
}

static int map_boot_part(uint64_t from, uint64_t bytes)
{
	return host_tables_map(&hostmap_main, from, hpa(from), bytes, MAP_RW);
}

static int unmap_boot_part(uint64_t from, uint64_t bytes)
{
	return host_tables_unmap(&hostmap_main, from, bytes);
}

static int map_section(const struct image_section *s)
{
	uint64_t at = s->base.v, bytes = s->pages * PAGE_SIZE;
	uint64_t bits = (s->exec ? 0 : PTE_NX) | (s->write ? PTE_W : 0);
	int err;

	if (s->write && s->exec) {
		log_error("the image's section at %#lx is writable and executable", at);
		return -E_NOSUP;
	}
	if (at < PAGE_SIZE || !range_within(at, bytes, IDENTITY_END) || !is_aligned(at, PAGE_SIZE)) {
		log_error("the image's section at %#lx lies where it cannot be mapped", at);
		return -E_NOSUP;
	}
	err = host_tables_map(&hostmap_main, at, s->base, bytes, bits);
	if (!err)
		err = host_tables_map(&runtime_map, at, s->base, bytes, bits);
	/* The same pages in the direct map: code and constants are not writable by that way either. */
	if (!err && !s->write && range_within(at, bytes, DIRECT_MAP_BYTES))
		err = host_tables_map(&hostmap_main, DIRECT_MAP_BASE + at, s->base, bytes, MAP_R);
	return err;
}

static int map_runtime(const struct mem_range *r)
{
	uint64_t bits = MAP_RW;

	if (r->type == MEM_RUNTIME_CODE)
		bits = PTE_W;
	else if (r->type == MEM_MMIO && (r->attributes & EFI_MEMORY_RUNTIME))
		bits = MAP_RW | MAP_UC;
	else if (r->type != MEM_RUNTIME_DATA && !(r->attributes & EFI_MEMORY_RUNTIME))
		return 0;
	if (r->base.v < PAGE_SIZE || range_end(r) > IDENTITY_END)
		return 0; /* cannot be reached at its own address: no firmware has it there */
	return host_tables_map(&runtime_map, r->base.v, r->base, r->pages * PAGE_SIZE, bits);
}

static int build(const struct boot_info *bi)
{
	uint64_t *top, *runtime_top;
	int err;

	err = map_direct(bi);
	if (!err && bi->trampoline.v)
		err = host_tables_map(
			&hostmap_main, DIRECT_MAP_BASE + bi->trampoline.v, bi->trampoline, PAGE_SIZE, MAP_RW);
	if (!err)
		err = for_each_boot_part(bi, MEM_BOOT, map_boot_part);
	if (!err)
		err = for_each_boot_part(bi, MEM_BOOT_SERVICES, map_boot_part);
	for (unsigned i = 0; i < bi->nsections && !err; i++)
		err = map_section(&bi->section[i]);
	for (unsigned i = 0; i < bi->nranges && !err; i++)
		err = map_runtime(&bi->range[i]);
	if (!err)
		err = host_tables_reserve(&hostmap_main, MMIO_BASE);
	if (!err)
		err = host_tables_reserve(&hostmap_main, STACKS_BASE);
	if (err)
		return err;
	/* The upper half is one and the same in both. */
	top = hpa_to_virt(hostmap_main.root);
	runtime_top = hpa_to_virt(runtime_map.root);
	for (unsigned i = 256; i < 512; i++)
		runtime_top[i] = top[i];
	return 0;
}

int hostmap_init_for(const struct boot_info *bi, struct hostmap_cpu cpu)
{
	unsigned levels = cpu.la57 ? 5 : 4;
	int err;

	hostmap_lock = (struct spinlock)SPINLOCK_INIT;
	active = false;
	exec_page = hpa(0);
	hostmap_windows_reset();
	err = host_tables_init(&hostmap_main, levels, cpu.pages_1g);
	if (!err)
		err = host_tables_init(&runtime_map, levels, cpu.pages_1g);
	return err ? err : build(bi);
}

int hostmap_init(const struct boot_info *bi)
{
	struct hostmap_cpu cpu = { .la57 = read_cr4() & CR4_LA57,
		.pages_1g = cpuid_or_zero(0x80000001, 0).edx & BIT(26) };

	return hostmap_init_for(bi, cpu);
}

hpa_t hostmap_root(void)
{
	return hostmap_main.root;
}

hpa_t hostmap_runtime_root(void)
{
	return runtime_map.root;
}

void hostmap_activated(void)
{
	direct_map_base = DIRECT_MAP_BASE;
	active = true;
}

void hostmap_drop_boot(const struct boot_info *bi, enum mem_type kind)
{
	int err;

	ASSERT(kind == MEM_BOOT || kind == MEM_BOOT_SERVICES);
	spin_lock(&hostmap_lock);
	err = for_each_boot_part(bi, kind, unmap_boot_part);
	spin_unlock(&hostmap_lock);
	if (err)
		panic("no memory to split a page of the boot memory");
	if (active)
		write_cr3(read_cr3());
}

void hostmap_flush(uint64_t va)
{
	if (active)
		invlpg((void *)va);
}

int hostmap_identity_exec(hpa_t at, bool on)
{
	uint64_t alias = DIRECT_MAP_BASE + at.v;
	struct host_leaf leaf;
	int err = -E_INVAL;

	if (!is_aligned(at.v, PAGE_SIZE) || at.v < PAGE_SIZE || at.v >= 4 * GiB)
		return -E_INVAL;
	spin_lock(&hostmap_lock);
	if (on ? !exec_page.v && host_tables_find(&hostmap_main, alias, &leaf) && (*leaf.entry & PTE_W)
	       : exec_page.v == at.v) {
		/* At no time both: writable goes before executable comes, and the other way round. */
		err = on ? host_tables_map(&hostmap_main, alias, at, PAGE_SIZE, MAP_R)
			 : host_tables_unmap(&hostmap_main, at.v, PAGE_SIZE);
		hostmap_flush(on ? alias : at.v);
		if (!err)
			err = on ? host_tables_map(&hostmap_main, at.v, at, PAGE_SIZE, MAP_RX)
				 : host_tables_map(&hostmap_main, alias, at, PAGE_SIZE, MAP_RW);
		hostmap_flush(on ? at.v : alias);
		exec_page = on ? at : hpa(0);
	}
	spin_unlock(&hostmap_lock);
	return err;
}
