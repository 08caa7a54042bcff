/* SPDX-License-Identifier: MIT */
/*
 * Memory by the firmware: its map, a page for the other CPUs' start, and the end of the boot services.
 *
 *	GetMemoryMap --key--> ExitBootServices --stale key--> GetMemoryMap --key--> ExitBootServices ...
 *
 * The key goes stale when anything allocates between the two calls: a timer of the firmware is enough. After the
 * first refusal only these two calls are allowed, so the buffer has room to spare from the start.
 */
#include "boot/memory.h"

#include "boot/image.h"
#include "boot/memory_map.h"
#include "boot/preflight.h"
#include "lib/x86.h"

#define SLACK	    (64 * sizeof(EFI_MEMORY_DESCRIPTOR) * 2)
#define TRIES	    16
#define LOW_MEMORY  0x9ffff	/* above lie the EBDA, the VGA and ROMs */
#define STACK_REACH (128 * KiB) /* UEFI 2.3.4 promises 128 KiB of stack */

struct firmware_map {
	void *at; /* from AllocatePages: no pool call may come between map and exit */
	UINTN room, bytes, key, stride;
};

static EFI_STATUS get_map(struct firmware_map *m)
{
	UINT32 version;

	m->bytes = m->room;
	return firmware.boot->GetMemoryMap(&m->bytes, m->at, &m->key, &m->stride, &version);
}

static EFI_STATUS make_room(struct firmware_map *m)
{
	EFI_STATUS status;

	m->room = 0;
	m->at = NULL;
	status = get_map(m);
	if (status != EFI_BUFFER_TOO_SMALL)
		return EFI_ERROR(status) ? status : EFI_DEVICE_ERROR;
	m->room = m->bytes * 2 + SLACK;
	m->at = firmware_pages_raw(m->room);
	return m->at ? EFI_SUCCESS : EFI_OUT_OF_RESOURCES;
}

static struct memory_map ranges_of(struct boot_info *bi, const struct firmware_map *m)
{
	struct memory_map map = { .range = bi->range, .max = BOOT_RANGES_MAX };

	memory_map_add(&map, m->at, m->bytes, m->stride);
	return map;
}

void memory_look(struct boot_info *bi, struct preflight_facts *f, struct report *r)
{
	struct memory_map map;
	struct firmware_map m;
	EFI_STATUS status = make_room(&m);

	if (!EFI_ERROR(status))
		status = get_map(&m);
	if (EFI_ERROR(status)) {
		report_add(r, REPORT_MACHINE,
			"the firmware does not give its memory map (UEFI status 0x%lx): look for a newer version of it",
			status);
		return;
	}
	map = ranges_of(bi, &m);
	bi->nranges = map.n;
	firmware_free_pages(m.at, m.room);
	if (map.lost)
		report_add(r, REPORT_MACHINE,
			"the firmware's memory map has more than %u pieces, which is more than Lethe can hold: look for a newer version of the firmware",
			BOOT_RANGES_MAX);
	f->memory_usable = memory_map_total(&map, MEM_USABLE) + memory_map_total(&map, MEM_BOOT_SERVICES);
	f->memory_total = f->memory_usable + memory_map_total(&map, MEM_BOOT) +
			  memory_map_total(&map, MEM_ACPI_RECLAIM) + memory_map_total(&map, MEM_ACPI_NVS) +
			  memory_map_total(&map, MEM_RUNTIME_CODE) + memory_map_total(&map, MEM_RUNTIME_DATA);
}

hpa_t memory_trampoline(void)
{
	EFI_PHYSICAL_ADDRESS at = LOW_MEMORY;

	/* EfiLoaderData, which makes them MEM_BOOT. */
	if (EFI_ERROR(firmware.boot->AllocatePages(AllocateMaxAddress, EfiLoaderData, 2, &at)))
		return hpa(0);
	return hpa(at);
}

/*
 * Marks memory that Lethe still uses, in case the firmware has described it wrongly: its own image, and the tables and
 * the stack of the firmware. Page 0 is never used: address 0 stands for none.
 */
static void mark_own(struct memory_map *map)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed gdt, idt;
	uint64_t stack = (uint64_t)__builtin_frame_address(0);

	__asm__ volatile("sgdt %0" : "=m"(gdt));
	__asm__ volatile("sidt %0" : "=m"(idt));
	memory_map_mark(map, 0, PAGE_SIZE, MEM_RESERVED);
	memory_map_mark(map, image_base().v, image_bytes(), MEM_BOOT);
	memory_map_mark(map, stack - min(stack, STACK_REACH), 2 * STACK_REACH, MEM_BOOT_SERVICES);
	memory_map_mark(map, read_cr3() & PTE_ADDR, PAGE_SIZE, MEM_BOOT_SERVICES);
	memory_map_mark(map, gdt.base, gdt.limit + 1ull, MEM_BOOT_SERVICES);
	memory_map_mark(map, idt.base, idt.limit + 1ull, MEM_BOOT_SERVICES);
	memory_map_merge(map);
}

/* There was no free page below 1 MiB while the firmware ran, but what its boot services had is free now. The tables and the stack
 * that are still in use may lie there: other CPUs are started long after they were left (hv/host/smp.c). */
static void late_trampoline(struct boot_info *bi, struct memory_map *map)
{
	uint64_t at = memory_map_find_trampoline(map);

	if (!at)
		return;
	memory_map_mark(map, at, 2 * PAGE_SIZE, MEM_BOOT);
	memory_map_merge(map);
	bi->trampoline = hpa(at);
}

EFI_STATUS memory_take(struct boot_info *bi)
{
	struct memory_map map;
	struct firmware_map m;
	EFI_STATUS status = make_room(&m);

	if (EFI_ERROR(status))
		return status;
	for (int tries = 0; tries < TRIES; tries++) {
		status = get_map(&m);
		if (EFI_ERROR(status))
			return status;
		status = firmware.boot->ExitBootServices(firmware.image, m.key);
		if (status != EFI_INVALID_PARAMETER)
			break;
	}
	if (EFI_ERROR(status))
		return status;
	irq_disable();
	map = ranges_of(bi, &m);
	mark_own(&map);
	if (!bi->trampoline.v)
		late_trampoline(bi, &map);
	bi->nranges = map.n;
	return EFI_SUCCESS;
}
