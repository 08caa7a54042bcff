/* SPDX-License-Identifier: MIT */
/*
 * A device: a thread beside the vCPUs that changes places of its own in both VMs, stores into guest memory and reads it,
 * keeps pointers into it until the top of its loop, and copies a running VM (copy.c).
 */
#include <string.h>

#include "mm/map/slot_table.h"
#include "mm/mmu/internal.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/threads/device.h"

static struct device devices[DEVICES];

/* A page somewhere in a place, and what is told of it. */
struct spot {
	struct vm *vm;
	struct place *p;
	unsigned number, home;
	uint64_t page, told;
	gpa_t at;
};

static struct spot spot_in(struct vm *vm, unsigned number)
{
	struct spot s = { .vm = vm, .p = &vm->place[number], .number = number };

	s.home = number ? (unsigned)below(HOMES) : 0;
	s.page = below(number ? 16 : RAM_PAGES);
	s.at = gfn_to_gpa(gfn(HOME(number, s.home) + s.page));
	s.told = atomic_load(&s.p->told);
	return s;
}

/* The device has looked for s without going through the top of its loop since it read what was told. */
static void spot_check(const struct spot *s, int err, bool write, const uint64_t *stamp)
{
	uint64_t after = atomic_load(&s->p->told);
	enum expected x = place_expected(s->told, after, s->home, s->page);
	bool want = x == RAM || (x == ROM && !write);

	if (x != ANYTHING && want != !err)
		oracle_fail("%s of VM %u at %#lx: %d, told is %#lx", write ? "a store" : "a load",
			s->vm->number, s->at.v, err, after);
	if (!err && stamp)
		stamp_check(s->vm, s->number, *stamp, x == ANYTHING ? 0 : after, "a device");
	if (err)
		count(refused, 1);
	else
		count(stored, write);
}

static void device_load(struct vm *vm)
{
	struct spot s = spot_in(vm, (unsigned)below(PLACES));
	uint64_t stamp = 0;
	char bytes[15];
	int err = guest_read(vm->mmu, gpa(s.at.v + 8 * STAMP), &stamp, 8);

	spot_check(&s, err, false, &stamp);
	/* As an instruction is fetched; what it reads was never written since the RAM was given out. */
	s.told = atomic_load(&s.p->told);
	err = guest_read(vm->mmu, gpa(s.at.v + 8 * (STAMPED + 8)), bytes, sizeof(bytes));
	spot_check(&s, err, false, NULL);
}

void device_store(struct device *d, struct vm *vm)
{
	/* Not into the RAM of the VM that the other device copies: the copier must know what is stored. */
	unsigned number = (unsigned)below(PLACES);
	struct spot s = spot_in(vm, number || vm->number == d->number ? number : 1 + d->number);
	int err;

	if (vm->what->shadow && vm->number == d->number && below(2)) {
		shadow_device_store(vm);
		return;
	}
	d->stores++;
	err = guest_write(vm->mmu, gpa(s.at.v + 8 * (WORD_DEVICE + d->number)), &d->stores, 8);
	spot_check(&s, err, true, NULL);
}

/* As device_store(), by compare-exchange. It may find the word of another RAM than it has read. */
static void device_exchange(struct device *d, struct vm *vm)
{
	unsigned number = vm->number == d->number ? 0 : 1 + d->number;
	struct spot s = spot_in(vm, number);
	gpa_t at = gpa(s.at.v + 8 * (WORD_DEVICE + d->number));
	uint64_t was = 0;
	int err = guest_read(vm->mmu, at, &was, 8);

	spot_check(&s, err, false, NULL);
	s.told = atomic_load(&s.p->told);
	err = guest_cmpxchg(vm->mmu, at, &was, ++d->stores, 8);
	spot_check(&s, err == -E_AGAIN && number ? 0 : err, true, NULL);
}

/* The end of a page and the beginning of the next, in RAM that only this device stores so. */
void device_store_long(struct device *d)
{
	struct vm *vm = &world.vm[d->number];
	uint64_t page = below(RAM_PAGES - 1);
	char bytes[LONG_BYTES];

	memset(bytes, (int)++d->stores, sizeof(bytes));
	if (guest_write(vm->mmu, gpa((page + 1) * PAGE_SIZE - LONG_BYTES / 2), bytes, sizeof(bytes)))
		oracle_fail("a store into RAM was refused");
}

/* A pointer into guest memory: good until the top of the loop, whatever happens to the slot. */
static void device_hold(struct vm *vm)
{
	struct spot s = spot_in(vm, (unsigned)below(PLACES));
	struct slot found;
	uint64_t *w;

	if (!slots_find(&vm->mmu->slots, gpa_to_gfn(s.at), &found))
		return;
	w = words(backing_pfn(found.backing, found.backing_page + gpa_to_gfn(s.at).v - found.base));
	for (unsigned n = 0; n < 4; n++) {
		stamp_check(vm, s.number, atomic_load_relaxed(&w[STAMP]), 0, "a device's pointer");
		world_pause((unsigned)below(100));
	}
	count(held, 1);
}

static void device_read_log(struct device *d, struct vm *vm)
{
	struct place *p = &vm->place[1 + d->number];
	uint64_t bitmap[512 / 64] = { 0 };
	struct mmu_ticket t;
	int err;

	if (!p->there || !(p->flags & SLOT_DIRTY_LOG))
		return;
	err = dirty_log_read_clear(vm->mmu, p->id, 0, p->pages, bitmap, &t);
	if (err)
		oracle_fail("reading a log: %d", err);
}

static void device_round(struct device *d)
{
	struct vm *vm = &world.vm[below(VMS)];
	struct mmu_stats st;

	for (unsigned i = 0; i < VMS; i++) {
		struct place *p = &world.vm[i].place[1 + d->number];

		owner_reap(&world.vm[i], &d->owner[i]);
		if (p->unsaid && !p->tickets)
			place_tell(p);
	}
	switch (below(32)) {
	case 0 ... 3:
		place_change(vm, &vm->place[1 + d->number], &d->owner[vm->number]);
		break;
	case 4 ... 9:
		device_store(d, vm);
		break;
	case 10:
		device_store_long(d);
		break;
	case 29:
		device_exchange(d, vm);
		break;
	case 11 ... 16:
		device_load(vm);
		break;
	case 17 ... 20:
		device_hold(vm);
		break;
	case 21 ... 24:
		count(reclaimed, mmu_reclaim(vm->mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES));
		break;
	case 25 ... 26:
		device_read_log(d, vm);
		break;
	case 27:
		mmu_invalidate_all(vm->mmu);
		mmu_stats(vm->mmu, &st);
		if (st.pages_live > st.pages_peak)
			oracle_fail("%lu pages are valid, never more than %lu in use", st.pages_live,
				st.pages_peak);
		break;
	case 28:
		if (!below(8))
			device_copy(d);
		break;
	default:
		mmu_cpu_idle(d->cpu);
		world_pause(4 * PAUSE_US);
	}
}

void *device_thread(void *number)
{
	struct device *d = &devices[(uintptr_t)number];

	memset(d, 0, sizeof(*d));
	d->number = (unsigned)(uintptr_t)number;
	d->cpu = test_cpu_id = CPUS + d->number;
	oracle_seed(world.seed + 1 + d->cpu);
	while (!atomic_load_relaxed(&world.stop)) {
		mmu_cpu_quiescent(d->cpu);
		count(rounds, 1);
		device_round(d);
		world_pause(PAUSE_US);
	}
	for (unsigned i = 0; i < VMS; i++)
		for (unsigned n = 0; n < DYING; n++)
			if (d->owner[i].dying[n].of) {
				device_wait(d, &world.vm[i], &d->owner[i].dying[n].ticket);
				owner_reap(&world.vm[i], &d->owner[i]);
			}
	mmu_cpu_idle(d->cpu);
	return NULL;
}
