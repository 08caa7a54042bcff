/* SPDX-License-Identifier: MIT */
#include "tests/support/rig/rig.h"

#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/nested/backends.h"

struct rig rig;
static const struct arena *given;

static struct {
	struct backing *b;
	slot_id id;
	bool used;
} slots[SLOTS_MAX];

static void kicked(struct mmu_vcpu *v)
{
	rig.kicked[v->index] = true;
}

struct mmu_caps rig_caps(void)
{
	return (struct mmu_caps){ .ept = true,
		.ept_2m = true,
		.ept_1g = true,
		.ept_ad = true,
		.ept_wb = true,
		.vpid = true,
		.pschange_mc_no = true,
		.maxphyaddr = 39 };
}

void rig_start_with(const struct mmu_params *p, uint64_t ram, bool debug)
{
	memset(&rig, 0, sizeof(rig));
	memset(slots, 0, sizeof(slots));
	rig.params = *p;
	if (!p->backend)
		rig.params.backend = p->indirect_pages ? &backend_mixed : &mmu_backend_ept;
	rig.params.ops = &hw_ops;
	rig.params.owner = RIG_TABLES;
	if (!rig.params.guest_maxphyaddr)
		rig.params.guest_maxphyaddr = 40;
	oracle_begin(1, kicked, debug ? MMU_DEBUG_ALL : 0);
	test_cpu_id = 0;
	if (given) {
		rig.arena = *given;
	} else {
		arena_open(&rig.arena, hpa(4 * GiB), ram);
		arena_start(&rig.arena);
	}
	if (mmu_create(&rig.params, &rig.mmu))
		oracle_fail("rig: mmu_create");
	for (unsigned i = 0; i < p->vcpus; i++)
		if (mmu_vcpu_init(&rig.v[i], rig.mmu, i, (uint16_t)(1 + i % (ORACLE_VPIDS - 1))))
			oracle_fail("rig: mmu_vcpu_init");
}

void rig_start(unsigned vcpus)
{
	rig_start_with(&(struct mmu_params){ .vcpus = vcpus, .caps = rig_caps() }, 256 * MiB, true);
}

void rig_use_arena(const struct arena *a)
{
	given = a;
}

void rig_stop(void)
{
	for (unsigned i = 0; i < rig.params.vcpus; i++) {
		if (rig.in[i])
			rig_exit(i);
		mmu_vcpu_fini(&rig.v[i]);
	}
	mmu_destroy(rig.mmu);
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (slots[i].used)
			backing_free(slots[i].b);
	if (frames_owned(RIG_RAM) || frames_owned(RIG_TABLES))
		oracle_fail("rig: %lu pages of RAM and %lu of tables leak", frames_owned(RIG_RAM),
			frames_owned(RIG_TABLES));
	if (!given)
		arena_close(&rig.arena);
	test_cpu_id = 0;
	mmu_debug = 0;
}

slot_id rig_slot(uint64_t at, uint64_t pages, unsigned flags)
{
	struct slot_desc d = { .base = gfn(at), .pages = pages, .flags = flags };

	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		int err;

		if (slots[i].used)
			continue;
		err = backing_alloc(pages, RIG_RAM, &d.backing);
		if (!err)
			err = slot_add(rig.mmu, &d, &slots[i].id);
		if (err)
			oracle_fail("rig: slot of %lu pages at %#lx: %d", pages, at, err);
		slots[i].b = d.backing;
		slots[i].used = true;
		return slots[i].id;
	}
	oracle_fail("rig: too many slots");
}

struct backing *rig_backing(slot_id id)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (slots[i].used && slots[i].id == id)
			return slots[i].b;
	return NULL;
}

void rig_forget(slot_id id)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (slots[i].used && slots[i].id == id) {
			backing_free(slots[i].b);
			slots[i].used = false;
		}
}

void rig_own(struct backing *b)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (!slots[i].used) {
			slots[i].b = b;
			slots[i].id = SLOTS_MAX;
			slots[i].used = true;
			return;
		}
	oracle_fail("rig: too many slots");
}

void rig_disown(struct backing *b)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (slots[i].used && slots[i].b == b)
			slots[i].used = false;
}

int rig_enter(unsigned i)
{
	int err;

	test_cpu_id = i % ORACLE_CPUS;
	mmu_cpu_quiescent(test_cpu_id);
	hw_load(test_cpu_id, &rig.v[i]);
	err = mmu_serve(&rig.v[i]);
	if (!err)
		err = mmu_enter(&rig.v[i], &rig.eptp[i]);
	rig.in[i] = !err;
	return err;
}

void rig_exit(unsigned i)
{
	test_cpu_id = i % ORACLE_CPUS;
	mmu_exit(&rig.v[i]);
	rig.in[i] = rig.kicked[i] = false;
}

enum mmu_verdict rig_access(unsigned i, uint64_t g, unsigned access, uint64_t *frame)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		enum mmu_verdict d;
		enum hw_result r;
		unsigned level;
		uint64_t e;
		int err;

		if (!rig.in[i])
			oracle_fail("rig: vCPU %u is not in the guest", i);
		r = hw_access(i % ORACLE_CPUS, rig.eptp[i], g, access, &e, &level);
		if (r == HW_HIT) {
			if (frame)
				*frame = ((e & BITS(51, 12)) >> 12) + (g & ((1ull << 9 * (level - 1)) - 1));
			return MMU_RESUME;
		}
		rig_exit(i);
		d = r == HW_PML_FULL	? MMU_RESUME
		    : r == HW_MISCONFIG ? mmu_misconfig(&rig.v[i], gpa(g << 12))
					: mmu_violation(&rig.v[i], gpa(g << 12), access);
		if (d != MMU_RESUME)
			return d;
		err = rig_enter(i);
		if (err == -E_AGAIN)
			err = rig_enter(i);
		if (err)
			oracle_fail("rig: vCPU %u cannot enter again: %d", i, err);
	}
	oracle_fail("rig: vCPU %u faults for ever at gfn %#lx", i, g);
}

bool rig_leaf(uint64_t g, uint64_t *entry, unsigned *level)
{
	*entry = 0;
	return rig.mmu->root && hw_peek(ept_pointer(rig.mmu, rig.mmu->root), g, entry, level);
}

uint64_t rig_drain(void)
{
	uint64_t n = 0;

	/* A batch may free nothing and still get on, inside a page. */
	for (unsigned i = 0; mmu_reclaim_waiting(rig.mmu) && i < 1000000; i++)
		n += mmu_reclaim(rig.mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
	return n;
}

void rig_quiesce(void)
{
	for (unsigned c = 0; c < CPUS_MAX; c++)
		if (mmu_host_cpu[c].busy)
			mmu_cpu_quiescent(c);
}

struct mmu_stats rig_stats(void)
{
	struct mmu_stats st;

	mmu_stats(rig.mmu, &st);
	return st;
}
