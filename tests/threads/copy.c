/* SPDX-License-Identifier: MIT */
/*
 * The copy of a running VM, as one makes to move it elsewhere: log what is written; copy all; again and again copy what was
 * written meanwhile; stop it, and copy the rest. Then nothing may be missing.
 */
#include <string.h>

#include "mm/space/slots_change.h"
#include "tests/threads/device.h"

void device_wait(const struct device *d, struct vm *vm, const struct mmu_ticket *t)
{
	while (!mmu_ticket_ready(vm->mmu, t)) {
		mmu_cpu_quiescent(d->cpu);
		count(rounds, 1);
		world_pause(PAUSE_US);
	}
}

static void copy_page(struct device *d, struct vm *vm, uint64_t page)
{
	uint64_t *w = words(backing_pfn(vm->place[0].backing, page));

	for (unsigned i = STAMP; i < STAMPED; i++)
		d->copy[page][i - STAMP] = atomic_load_relaxed(&w[i]);
	memcpy(d->edge[page], w, LONG_BYTES / 2);
	memcpy(d->edge[page] + LONG_BYTES / 2, (char *)w + PAGE_SIZE - LONG_BYTES / 2, LONG_BYTES / 2);
}

static void copy_dirty(struct device *d, struct vm *vm)
{
	uint64_t bitmap[RAM_PAGES / 64];
	struct mmu_ticket t;

	if (dirty_log_read_clear(vm->mmu, vm->place[0].id, 0, RAM_PAGES, bitmap, &t))
		oracle_fail("reading the log of RAM");
	device_wait(d, vm, &t);
	for (uint64_t page = 0; page < RAM_PAGES; page++)
		if (bitmap[page / 64] >> page % 64 & 1) {
			copy_page(d, vm, page);
			count(dirty, 1);
		}
}

static void copy_compare(struct device *d, struct vm *vm)
{
	for (uint64_t page = 0; page < RAM_PAGES; page++) {
		uint64_t *w = words(backing_pfn(vm->place[0].backing, page)), was[STAMPED - STAMP];
		char edge[LONG_BYTES];

		memcpy(was, d->copy[page], sizeof(was));
		memcpy(edge, d->edge[page], sizeof(edge));
		copy_page(d, vm, page);
		for (unsigned i = 0; i < STAMPED - STAMP; i++)
			if (was[i] != d->copy[page][i])
				oracle_fail(
					"the copy of VM %u lacks a store to word %u of page %lu: %lx, not %lx",
					vm->number, STAMP + i, page, was[i], w[STAMP + i]);
		if (memcmp(edge, d->edge[page], sizeof(edge)) != 0)
			oracle_fail("the copy of VM %u lacks a long store around page %lu", vm->number, page);
	}
}

/* Stops the VM: each vCPU is taken when its CPU lets go of it. / Lets it run. */
static void vm_stop(const struct device *d, struct vm *vm)
{
	for (unsigned i = 0; i < VCPUS; i++)
		while (atomic_xchg(&vm->vcpu[i].taken, 1)) {
			atomic_store(&vm->vcpu[i].kicked, 1);
			mmu_cpu_quiescent(d->cpu);
			count(rounds, 1);
			world_pause(PAUSE_US);
		}
}

static void vm_go(struct vm *vm)
{
	for (unsigned i = 0; i < VCPUS; i++)
		atomic_store(&vm->vcpu[i].taken, 0);
}

void device_copy(struct device *d)
{
	struct vm *vm = &world.vm[d->number];
	struct mmu_ticket t;

	if (slot_set_flags(vm->mmu, vm->place[0].id, SLOT_DIRTY_LOG, &t))
		oracle_fail("logging cannot be switched on");
	device_wait(d, vm, &t);
	for (uint64_t page = 0; page < RAM_PAGES; page++)
		copy_page(d, vm, page);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned n = 0; n < 6; n++) {
			device_store_long(d);
			device_store(d, vm);
			world_pause(PAUSE_US);
		}
		copy_dirty(d, vm);
	}
	vm_stop(d, vm);
	copy_dirty(d, vm);
	copy_compare(d, vm);
	vm_go(vm);
	if (slot_set_flags(vm->mmu, vm->place[0].id, 0, &t))
		oracle_fail("logging cannot be switched off");
	count(copies, 1);
}
