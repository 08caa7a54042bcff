/* SPDX-License-Identifier: MIT */
/* Two VMs from their creation to their end, the places in them, and the stamps in their RAM. */
#include "tests/threads/world.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "mm/mmu/internal.h"
#include "mm/shadow/shadow.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/arena.h"
#include "tests/support/shadow/shadow_hw.h"

#define WIDTH	      40
#define RAM_OWNER(n)  ((owner_t)(OWNER_VM0 + 2 * (n)))
#define POOL_OWNER(n) ((owner_t)(OWNER_VM0 + 2 * (n) + 1))
#define MAGIC	      0xa5ull
#define DEAD	      0xddddddddddddddddull
/* On both sides of 4 GiB: shadow page tables need pages below. */
#define MACHINE	      hpa(4 * GiB - 64 * MiB)
#define MACHINE_BYTES (512 * MiB)

struct world world;
static struct arena arena;

static uint64_t stamp(const struct vm *vm, unsigned place, uint64_t life)
{
	return MAGIC << 56 | (uint64_t)vm->number << 52 | (uint64_t)place << 48 | (life & BITS(31, 0));
}

void stamp_check(const struct vm *vm, unsigned number, uint64_t is, uint64_t k, const char *who)
{
	if (is == DEAD)
		oracle_fail("%s on CPU %u reaches RAM of VM %u, place %u, that was given back", who,
			this_cpu_id(), vm->number, number);
	if ((is ^ stamp(vm, number, 0)) & BITS(63, 48))
		oracle_fail("%s on CPU %u in VM %u, place %u, reaches RAM stamped %lx", who, this_cpu_id(),
			vm->number, number, is);
	if (k && (is & BITS(15, 0)) != bits_get(k, 31, 16))
		oracle_fail("%s on CPU %u in VM %u, place %u, reaches RAM of life %lx, it is told %lx", who,
			this_cpu_id(), vm->number, number, is, k);
}

enum expected place_expected(uint64_t before, uint64_t after, unsigned home, uint64_t page)
{
	if (!before || before != after)
		return ANYTHING;
	count(sure, 1);
	if (!(before & TOLD_THERE) || bits_get(before, 3, 2) != home || page >= bits_get(before, 15, 4))
		return NOTHING;
	return before & TOLD_READONLY ? ROM : RAM;
}

void place_tell(struct place *p)
{
	uint64_t k = ++p->tellings << 32 | (p->life << 16 & TOLD_LIFE) | p->pages << 4 | p->home << 2;

	p->unsaid = false;
	atomic_store(
		&p->told, k | (p->there ? TOLD_THERE : 0) | (p->flags & SLOT_READONLY ? TOLD_READONLY : 0));
}

/* Plain stores: no other thread may use this RAM, and ThreadSanitizer reports one that does. */
static void fill(const struct backing *b, uint64_t with)
{
	for (uint64_t page = 0; page < backing_pages(b); page++) {
		uint64_t *w = words(backing_pfn(b, page));

		w[STAMP] = with == DEAD ? DEAD : with | page << 32;
		for (unsigned i = STAMP + 1; i < STAMPED; i++)
			w[i] = with == DEAD ? DEAD : 0;
	}
}

static void place_add(struct vm *vm, struct place *p, uint64_t pages, unsigned flags)
{
	unsigned number = (unsigned)(p - vm->place);
	struct slot_desc d = {
		.base = gfn(HOME(number, p->home)),
		.pages = pages,
		.flags = flags,
	};
	int err = backing_alloc(pages, RAM_OWNER(vm->number), &d.backing);

	if (err)
		oracle_fail("no RAM for %lu pages: %d", pages, err);
	p->life++;
	fill(d.backing, stamp(vm, number, p->life));
	err = slot_add(vm->mmu, &d, &p->id);
	if (err)
		oracle_fail("slot_add: %d", err);
	p->there = true;
	p->flags = flags;
	p->pages = pages;
	p->backing = d.backing;
}

void owner_waits(struct owner *o, struct place *p, const struct mmu_ticket *t, struct backing *backing)
{
	for (unsigned i = 0; i < DYING; i++)
		if (!o->dying[i].of) {
			o->dying[i] = (struct dying){ p, *t, backing };
			p->tickets++;
			return;
		}
	oracle_fail("too many tickets");
}

void owner_reap(struct vm *vm, struct owner *o)
{
	for (unsigned i = 0; i < DYING; i++) {
		struct dying *d = &o->dying[i];

		if (!d->of || !mmu_ticket_ready(vm->mmu, &d->ticket))
			continue;
		d->of->tickets--;
		d->of = NULL;
		if (!d->backing)
			continue;
		fill(d->backing, DEAD);
		backing_free(d->backing);
		count(freed, 1);
	}
}

static bool room(const struct owner *o)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DYING; i++)
		n += o->dying[i].of == NULL;
	return n != 0;
}

bool place_change(struct vm *vm, struct place *p, struct owner *o)
{
	static const uint64_t pages[] = { 1, 7, 7, 40, 40, 512 };
	unsigned log = vm->what->removal == MMU_REMOVAL_BULK ? 0 : SLOT_DIRTY_LOG, home;
	struct backing *dead = NULL;
	struct mmu_ticket t;
	int err;

	if (!room(o))
		return false;
	atomic_store(&p->told, 0);
	p->unsaid = true;
	count(changes, 1);
	if (!p->there) {
		p->home = (unsigned)below(HOMES);
		place_add(vm, p, pages[below(ARRAY_SIZE(pages))],
			(below(4) ? 0 : SLOT_READONLY) | (below(4) ? 0 : log));
		return true;
	}
	switch (below(3)) {
	case 0:
		err = slot_delete(vm->mmu, p->id, &t);
		p->there = false;
		dead = p->backing;
		break;
	case 1:
		home = (p->home + 1) % HOMES;
		err = slot_move(vm->mmu, p->id, gfn(HOME(p - vm->place, home)), &t);
		p->home = home;
		break;
	default:
		p->flags ^= below(2) && log ? log : SLOT_READONLY;
		err = slot_set_flags(vm->mmu, p->id, p->flags, &t);
	}
	if (err)
		oracle_fail("a change of VM %u, place %lu: %d", vm->number, p - vm->place, err);
	owner_waits(o, p, &t, dead);
	return true;
}

void world_pause(unsigned us)
{
	struct timespec t = { 0, 1000l * us };

	if (us)
		nanosleep(&t, NULL);
	else
		sched_yield();
}

void world_relax(void)
{
	static _Thread_local unsigned tries;

	cpu_relax_alone();
	if (++tries % 8 == 0)
		sched_yield();
}

static void kicked(struct mmu_vcpu *v)
{
	atomic_store(&container_of(v, struct vcpu, v)->kicked, 1);
}

/* Where the MMU may be overtaken, let it be. */
static void yield(void)
{
	if (!below(16))
		world_pause(below(16) ? 0 : 20);
}

static void vm_start(unsigned n, const struct world_vm *what)
{
	struct vm *vm = &world.vm[n];
	struct mmu_params params = {
		.backend = what->shadow ? &mmu_backend_shadow : &mmu_backend_ept,
		.ops = what->shadow ? &shadow_hw_ops : &hw_ops,
		.indirect_pages = what->shadow ? 64 : 0,
		.caps = what->caps,
		.owner = POOL_OWNER(n),
		.guest_maxphyaddr = WIDTH,
		.vcpus = VMS * VCPUS,
		.pool_pages = what->pool_pages,
		.vm = (uint16_t)n,
		.removal = what->removal,
		.freeing = what->freeing,
	};

	vm->what = what;
	vm->number = n;
	if (mmu_create(&params, &vm->mmu))
		oracle_fail("mmu_create");
	for (unsigned i = 0; i < VCPUS; i++) {
		unsigned index = n * VCPUS + i; /* so that each has a PML buffer of its own in hw_pml[] */

		vm->vcpu[i].vm = vm;
		vm->vcpu[i].number = i;
		if (mmu_vcpu_init(&vm->vcpu[i].v, vm->mmu, index, (uint16_t)(1 + index)))
			oracle_fail("mmu_vcpu_init");
	}
	place_add(vm, &vm->place[0], RAM_PAGES, 0);
	for (unsigned p = 0; p < PLACES; p++)
		place_tell(&vm->place[p]);
	if (what->shadow)
		shadow_start(vm);
}

void world_start(const struct world_vm what[VMS], uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	world.seed = seed;
	oracle_begin(seed, kicked, oracle_debug(seed));
	arena_open(&arena, MACHINE, MACHINE_BYTES);
	arena_start(&arena);
	shadow_hw_reset(MACHINE, MACHINE_BYTES, what[0].caps.maxphyaddr);
	for (unsigned i = 0; i < VMS; i++)
		vm_start(i, &what[i]);
	mmu_yield = yield;
}

static void vm_end(struct vm *vm)
{
	struct mmu *mmu = vm->mmu;

	for (unsigned i = 0; i < VCPUS; i++)
		mmu_vcpu_fini(&vm->vcpu[i].v);
	for (unsigned i = 0; i < VCPUS; i++)
		owner_reap(vm, &vm->vcpu[i].owner);
	for (unsigned i = 1; i < PLACES; i++)
		if (vm->place[i].tickets)
			oracle_fail("VM %u, place %u: a ticket is not ready though no vCPU is left",
				vm->number, i);
	while (mmu_reclaim_waiting(mmu))
		if (!mmu_reclaim(mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES) && mmu_reclaim_waiting(mmu) &&
			!mmu->drain.partial)
			oracle_fail("%lu pages are never given back", mmu->front.debt);
	if (mmu->pool.used != mmu->count.valid)
		oracle_fail("%lu pages in use, but %lu valid", mmu->pool.used, mmu->count.valid);
	mmu_destroy(mmu);
	for (unsigned i = 0; i < PLACES; i++)
		if (vm->place[i].there)
			backing_free(vm->place[i].backing);
	if (frames_owned(RAM_OWNER(vm->number)) || frames_owned(POOL_OWNER(vm->number)))
		oracle_fail("memory of VM %u leaks", vm->number);
}

void world_end(void)
{
	mmu_yield = NULL;
	for (unsigned i = 0; i < VMS; i++)
		vm_end(&world.vm[i]);
	mmu_debug = 0;
	arena_close(&arena);
}

void world_seen(struct seen *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned t = 0; t < CPUS + DEVICES; t++)
		for (unsigned i = 0; i < sizeof(*out) / sizeof(uint64_t); i++)
			((uint64_t *)out)[i] += atomic_load_relaxed((uint64_t *)&world.seen[t] + i);
}
