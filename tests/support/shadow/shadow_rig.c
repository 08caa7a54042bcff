/* SPDX-License-Identifier: MIT */
#include "tests/support/shadow/shadow_rig.h"

#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)

struct shadow_rig shadow_rig;

void shadow_rig_start(unsigned vcpus, const struct mmu_params *with)
{
	const hpa_t ram = hpa(4 * GiB - 64 * MiB);
	struct mmu_params p = with ? *with : (struct mmu_params){ 0 };
	slot_id id;

	memset(&shadow_rig, 0, sizeof(shadow_rig));
	mmu_yield = NULL;
	oracle_begin(1, NULL, MMU_DEBUG_ALL);
	arena_open(&shadow_rig.arena, ram, 192 * MiB);
	arena_start(&shadow_rig.arena);
	p.backend = &mmu_backend_shadow;
	p.ops = &shadow_hw_ops;
	p.owner = OWNER_TABLES;
	p.guest_maxphyaddr = SHADOW_RIG_WIDTH;
	p.vcpus = shadow_rig.vcpus = vcpus;
	p.indirect_pages = 64;
	p.caps.vpid = true;
	p.caps.maxphyaddr = p.caps.maxphyaddr ? p.caps.maxphyaddr : 40;
	shadow_hw_reset(ram, 192 * MiB, p.caps.maxphyaddr);
	if (mmu_create(&p, &shadow_rig.mmu))
		oracle_fail("shadow rig: mmu_create");
	shadow_rig.ram = shadow_rig_slot(0, SHADOW_RIG_RAM, 0, &id);
	test_cpu_id = 0;
	for (unsigned i = 0; i < vcpus; i++)
		if (mmu_vcpu_init(&shadow_rig.v[i], shadow_rig.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("shadow rig: vCPU");
}

void shadow_rig_stop(void)
{
	struct mmu *mmu = shadow_rig.mmu;

	mmu_yield = NULL;
	for (unsigned i = 0; i < shadow_rig.vcpus; i++) {
		shadow_rig_leave(i);
		mmu_vcpu_fini(&shadow_rig.v[i]);
	}
	for (unsigned c = 0; c < CPUS_MAX; c++)
		mmu_cpu_idle(c);
	for (unsigned n = 0; mmu_reclaim_waiting(mmu); n++) {
		mmu_reclaim(mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
		if (n > 100000)
			oracle_fail("shadow rig: %lu pages are never given back", mmu->front.debt);
	}
	if (mmu->pool.used != mmu->count.valid)
		oracle_fail("shadow rig: %lu pages in use, %lu valid", mmu->pool.used, mmu->count.valid);
	mmu_destroy(mmu);
	for (unsigned n = 0; n < ARRAY_SIZE(shadow_rig.owned) && shadow_rig.owned[n]; n++)
		backing_free(shadow_rig.owned[n]);
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("shadow rig: memory leaks");
	test_cpu_id = 0;
	mmu_debug = 0;
	arena_close(&shadow_rig.arena);
}

struct backing *shadow_rig_memory(uint64_t pages)
{
	unsigned n = 0;

	while (n < ARRAY_SIZE(shadow_rig.owned) && shadow_rig.owned[n])
		n++;
	if (n == ARRAY_SIZE(shadow_rig.owned) || backing_alloc(pages, OWNER_RAM, &shadow_rig.owned[n]))
		oracle_fail("shadow rig: no memory");
	return shadow_rig.owned[n];
}

struct backing *shadow_rig_slot(uint64_t at, uint64_t pages, unsigned flags, slot_id *id)
{
	struct slot_desc d = {
		.base = gfn(at), .pages = pages, .flags = flags, .backing = shadow_rig_memory(pages)
	};

	if (slot_add(shadow_rig.mmu, &d, id))
		oracle_fail("shadow rig: slot at %#lx", at);
	return d.backing;
}

void shadow_rig_entry(uint64_t at, unsigned i, uint64_t e)
{
	if (guest_write(shadow_rig.mmu, gpa(at << PAGE_SHIFT | i * 8), &e, 8))
		oracle_fail("shadow rig: no table at %#lx", at);
}

void shadow_rig_entry32(uint64_t at, unsigned i, uint32_t e)
{
	if (guest_write(shadow_rig.mmu, gpa(at << PAGE_SHIFT | i * 4), &e, 4))
		oracle_fail("shadow rig: no table at %#lx", at);
}

uint64_t shadow_rig_frame(uint64_t at)
{
	return backing_pfn(shadow_rig.ram, at).v;
}

static uint64_t *word(uint64_t at, unsigned i)
{
	return (uint64_t *)pfn_to_virt(pfn(shadow_rig_frame(at))) + i;
}

void shadow_rig_poke(uint64_t at, unsigned i, uint64_t e)
{
	atomic_store(word(at, i), e);
}

uint64_t shadow_rig_read(uint64_t at, unsigned i)
{
	return atomic_load(word(at, i));
}

void shadow_rig_leave(unsigned i)
{
	test_cpu_id = i;
	if (shadow_rig.in[i])
		mmu_exit(&shadow_rig.v[i]);
	shadow_rig.in[i] = false;
}

int shadow_rig_enter(unsigned i)
{
	uint64_t pointer;
	int err;

	if (shadow_rig.in[i])
		return 0;
	test_cpu_id = i;
	mmu_cpu_quiescent(i);
	err = mmu_serve(&shadow_rig.v[i]);
	if (!err)
		err = mmu_enter(&shadow_rig.v[i], &pointer);
	if (err)
		return err;
	shadow_rig.in[i] = true;
	shadow_hw_enter(&shadow_rig.hw[i], &shadow_rig.v[i], pointer);
	return 0;
}

void shadow_rig_load(unsigned i)
{
	struct paging_regs *r = &shadow_rig.v[i].regs;

	shadow_rig_leave(i);
	if (r->cr0 & CR0_PG && r->cr4 & CR4_PAE && !(r->efer & EFER_LMA) &&
		guest_read(shadow_rig.mmu, gpa(r->cr3 & BITS(31, 5)), r->pdpte, sizeof(r->pdpte)))
		oracle_fail("shadow rig: no PDPTEs");
	shadow_load(&shadow_rig.v[i]);
}

void shadow_rig_mode(unsigned i, enum shadow_mode mode, uint64_t cr3)
{
	struct paging_regs *r = &shadow_rig.v[i].regs;

	shadow_rig_leave(i);
	*r = (struct paging_regs){ .cr0 = CR0_PE | CR0_WP | (mode == SHADOW_OFF ? 0 : CR0_PG),
		.cr3 = cr3,
		.cr4 = (mode >= SHADOW_PAE ? CR4_PAE : 0) | (mode == SHADOW_32_PSE ? CR4_PSE : 0) |
		       (mode == SHADOW_5 ? CR4_LA57 : 0),
		.efer = EFER_NXE | (mode >= SHADOW_4 ? EFER_LMA | EFER_LME : 0),
		.rflags = RFLAGS_ONE };
	shadow_rig_load(i);
}

void shadow_rig_invlpg(unsigned i, uint64_t at)
{
	shadow_rig_leave(i);
	shadow_invlpg(&shadow_rig.v[i], gva(at));
}

void shadow_rig_must_enter(unsigned i)
{
	int err = -E_AGAIN;

	/* Others are asked to leave; they come back when they are used. */
	for (unsigned tries = 0; tries < 50 && (err = shadow_rig_enter(i)) == -E_AGAIN; tries++)
		for (unsigned o = 0; o < shadow_rig.vcpus; o++)
			if (o != i)
				shadow_rig_leave(o);
	if (err)
		oracle_fail("shadow rig: vCPU %u cannot enter: %d", i, err);
}

struct shadow_rig_result shadow_rig_access(unsigned i, uint64_t at, unsigned kind, unsigned cpl)
{
	struct mmu_vcpu *v = &shadow_rig.v[i];
	struct shadow_hw_access a = {
		.at = at, .kind = kind, .user = cpl == 3, .ac = v->regs.rflags & RFLAGS_AC
	};
	struct shadow_rig_result r = { .verdict = MMU_RESUME };
	struct shadow_hw_result out;

	for (; r.faults < 100; r.faults++) {
		shadow_rig_must_enter(i);
		v->regs.cpl = cpl;
		if (shadow_hw_access(i, &shadow_rig.hw[i], &a, &out)) {
			r.address = out.address;
			return r;
		}
		shadow_rig_leave(i);
		r.verdict = shadow_fault(v, gva(at), out.error);
		r.error = v->inject;
		if (r.verdict != MMU_RESUME)
			return r;
	}
	oracle_fail("shadow rig: vCPU %u faults for ever at %#lx", i, at);
}

bool shadow_rig_store(unsigned i, uint64_t at, uint64_t value, unsigned bytes)
{
	struct shadow_rig_result r = shadow_rig_access(i, at, MMU_WRITE, 0);

	if (r.verdict == MMU_TABLE) {
		if (guest_write(shadow_rig.mmu, shadow_rig.v[i].fault_at, &value, bytes))
			oracle_fail("shadow rig: a store to %#lx is refused", at);
		return false;
	}
	if (r.verdict != MMU_RESUME)
		oracle_fail("shadow rig: a store to %#lx: verdict %d, error %#x", at, r.verdict, r.error);
	if (bytes == 8)
		atomic_store((uint64_t *)hpa_to_virt(hpa(r.address)), value);
	else
		atomic_store((uint32_t *)hpa_to_virt(hpa(r.address)), (uint32_t)value);
	return true;
}

void shadow_rig_check(unsigned i, uint64_t at, unsigned kind, unsigned cpl)
{
	struct paging_regs regs = shadow_rig.v[i].regs;
	struct shadow_rig_result r;
	struct guest_walk w;
	int err;

	regs.cpl = cpl;
	err = guest_walk_record(shadow_rig.mmu, &regs, gva(at), kind | WALK_PEEK, &w);
	r = shadow_rig_access(i, at, kind, cpl);
	if (!err && r.verdict == MMU_RESUME &&
		r.address == (shadow_rig_frame(w.out.v >> PAGE_SHIFT) << PAGE_SHIFT | (w.out.v & PAGE_MASK)))
		return;
	if (!err && r.verdict == MMU_TABLE && kind == MMU_WRITE && shadow_rig.v[i].fault_at.v == w.out.v)
		return;
	if (err == -E_FAULT && r.verdict == MMU_INJECT && r.error == w.error_code)
		return;
	oracle_fail(
		"shadow rig: vCPU %u at %#lx, access %u, CPL %u, CR0 %#lx, CR4 %#lx, EFER %#lx, AC %u: verdict %d, host %#lx, error %#x; the walk: %d, guest %#lx, error %#x",
		i, at, kind, cpl, regs.cr0, regs.cr4, regs.efer, !!(regs.rflags & RFLAGS_AC), r.verdict,
		r.address, r.error, err, err ? 0 : w.out.v, err ? w.error_code : 0);
}

uint64_t shadow_rig_path(const uint64_t *gfns, unsigned levels, const unsigned *index)
{
	uint64_t at = 0;

	for (unsigned n = 0; n < levels; n++) {
		shadow_rig_entry(gfns[n], index[n], gfns[n + 1] << PAGE_SHIFT | PTE_P | PTE_W | PTE_U);
		at = at << 9 | index[n];
	}
	return sign_extend(at << PAGE_SHIFT, 12 + 9 * levels);
}
