/* SPDX-License-Identifier: MIT */
#include "tests/support/nested/nested.h"

#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/nested/backends.h"
#include "tests/support/nested/nested_internal.h"

struct nested_seen nested_seen;
struct nested_state nested;

static void leave(struct nested_vcpu *v)
{
	test_cpu_id = v->cpu;
	mmu_exit(&v->v);
	v->in = v->kicked = false;
}

/* A guest with little memory for tables is slow, but it makes progress. */
static void no_pages(void)
{
	oracle_fail("no pages: %lu of %lu in use, %lu valid", nested.mmu->pool.used, nested.mmu->pool.limit,
		nested.mmu->count.valid);
}

/* v loads another of the guest's tables as its root. */
static void switch_root(struct nested_vcpu *v)
{
	v->root = (unsigned)below(3);
	mmu_reload(&v->v);
}

static void enter(struct nested_vcpu *v)
{
	unsigned cpu = below(8) ? v->cpu : (unsigned)below(nested.c->cpus);
	int err = -E_AGAIN;

	if (nested.cpu_taken[cpu])
		return;
	nested.cpu_taken[cpu] = v->on_cpu = true;
	nested_seen.migrations += cpu != v->cpu;
	v->cpu = test_cpu_id = cpu;
	hw_load(cpu, &v->v);
	/* The handshake first, as the run loop does, or after having been served. */
	if (v->v.cpu == cpu && below(2))
		err = mmu_enter(&v->v, &v->eptp);
	if (err) {
		mmu_cpu_quiescent(cpu);
		if (!below(16))
			switch_root(v);
		err = mmu_serve(&v->v);
		if (err == -E_NOMEM)
			no_pages();
		if (below(2))
			nested_seen.reclaimed +=
				mmu_reclaim(nested.mmu, 1 + (unsigned)below(20), 1 + (unsigned)below(600));
		if (!err)
			err = mmu_enter(&v->v, &v->eptp);
	}
	v->in = !err;
	v->stuck = err ? v->stuck + 1 : 0;
	if (v->stuck > 500)
		oracle_fail("vCPU %u never enters again", v->v.index);
}

static uint64_t random_entry(void)
{
	static const unsigned rights[] = { EPT_RWX, EPT_RWX, EPT_R | EPT_W, EPT_R };
	uint64_t r = rights[below(ARRAY_SIZE(rights))];
	uint64_t t = nested.table_gfn[below(TABLES)];

	switch (below(8)) {
	case 0:
		return below(4) ? nested.table_gfn[below(TABLES)] << PAGE_SHIFT | EPT_RWX : 0;
	case 1: /* large, over the tables as a rule */
		return (below(4) * 512) << PAGE_SHIFT | EPT_PS | r;
	case 2:
		return below(RAM_PAGES) << PAGE_SHIFT | r;
	case 3:
		return (BAR + below(BAR_PAGES)) << PAGE_SHIFT | r;
	default: /* as a table, or aliased as data, or itself */
		return t << PAGE_SHIFT | EPT_RWX;
	}
}

/* Mostly one that leads somewhere. */
static uint64_t random_at(unsigned root)
{
	uint64_t at = 0;

	for (unsigned tries = 0; tries < 8; tries++) {
		at = below(3) << 27 | below(3) << 18 | below(3) << 9 | below(USED);
		if (nested_walk(nested_now(), root, at, MMU_READ) >= 0)
			break;
	}
	return at;
}

/* What a store of the guest's does once it is let through. Any frame may be one of its tables. */
static void store(uint64_t frame)
{
	uint64_t e = random_entry(), i = below(USED);

	for (unsigned t = 0; t < TABLES; t++)
		if (nested_frame_of(nested_now(), nested.table_gfn[t]) == frame) {
			uint64_t *at = (uint64_t *)pfn_to_virt(pfn(frame)) + i;

			atomic_store(at, e);
			nested_changed();
		}
	nested_seen.stores++;
}

/* What the CPU says of an access that has found no translation. */
static uint32_t access_bits(unsigned access)
{
	return (uint32_t)((access & MMU_WRITE ? PF_WRITE : 0) | (access & MMU_EXEC ? PF_FETCH : 0));
}

/* And what it would say if it walked the guest's own tables. (Whatever is present can be read.) */
static uint32_t error_code(unsigned root, uint64_t at, unsigned access)
{
	return (uint32_t)(nested_walk(nested_now(), root, at, MMU_READ) >= 0 ? PF_PRESENT : 0) |
	       access_bits(access);
}

static void access_memory(struct nested_vcpu *v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_READ | MMU_WRITE, MMU_READ, MMU_EXEC };
	bool again = v->again && below(16);
	uint64_t at = again ? v->again_at : random_at(v->root), e, version;
	unsigned access = again ? v->again_access : kinds[below(ARRAY_SIZE(kinds))], level;
	struct mmu_fault f;
	enum mmu_verdict verdict;
	int64_t target;

	test_cpu_id = v->cpu;
	if (v->kicked && below(2)) {
		leave(v);
		return;
	}
	if (hw_access(v->cpu, v->eptp, at, access, &e, &level) == HW_HIT) {
		nested_check_hit(v, at, access, e, level);
		v->again = false;
		if (access & MMU_WRITE)
			store(ept_pfn(e).v + (at & (level_pages(level) - 1)));
		return;
	}
	leave(v);
	nested_seen.faults++;
	v->again = false;
	v->again_at = at;
	v->again_access = access;
	target = nested_walk(nested_now(), v->root, at, access);
	/* A store into one of its tables: done for it. */
	if (target >= 0 && (access & MMU_WRITE) &&
		indirect_tracked(nested.mmu, (gfn_t){ (uint64_t)target })) {
		uint64_t value = random_entry(), begun = nested_change_begin();

		guest_write(nested.mmu, gpa((uint64_t)target << PAGE_SHIFT | below(USED) * 8), &value, 8);
		nested_change_end(begun);
		nested_seen.traps++;
		return;
	}
	version = nested.version;
	f = (struct mmu_fault){
		.gva = gva(at << PAGE_SHIFT), .error = access_bits(access), .access = access
	};
	verdict = mmu_fault(&v->v, &f);
	if (verdict == MMU_NO_MEMORY)
		no_pages();
	v->again = verdict == MMU_RESUME;
	if (v->again)
		return;
	if (target >= 0 && version == nested.version && !nested.changing)
		oracle_fail("the guest gets a fault at %#lx that is not its own", at);
	if (version == nested.version && !nested.changing && v->v.inject != error_code(v->root, at, access))
		oracle_fail("the guest gets error code %x at %#lx", v->v.inject, at);
	nested_seen.guest_faults++;
}

/* ---- devices ---- */

static void device_store(void)
{
	uint64_t value[4] = { random_entry(), random_entry(), 0, random_entry() };
	uint64_t g = nested.table_gfn[below(TABLES)] << PAGE_SHIFT | below(3) * 8;
	uint64_t begun = nested_change_begin();

	test_cpu_id = ORACLE_CPUS;
	if (below(2)) {
		guest_write(nested.mmu, gpa(g), value, 8 * (1 + below(3)));
	} else {
		uint64_t old;

		if (!guest_read(nested.mmu, gpa(g), &old, 8))
			guest_cmpxchg(nested.mmu, gpa(g), &old, value[0], 8);
	}
	nested_change_end(begun);
	nested_seen.device_stores++;
}

static void bar(void)
{
	struct slot_desc d = { .base = gfn(BAR), .pages = BAR_PAGES };
	uint64_t begun;
	unsigned w = 0;

	while (w < WAITING && nested.waiting[w].b)
		w++;
	if (w == WAITING || nested.changing_map)
		return;
	nested.changing_map = true;
	begun = nested_change_begin();
	if (nested.bar) {
		struct backing *b = nested.bar;

		nested.bar = NULL;
		if (slot_delete(nested.mmu, nested.bar_id, &nested.waiting[w].t))
			oracle_fail("nested: slot_delete");
		nested.waiting[w].b = b;
	} else {
		if (backing_alloc(BAR_PAGES, OWNER_RAM, &nested.bar))
			oracle_fail("nested: RAM");
		d.backing = nested.bar;
		if (slot_add(nested.mmu, &d, &nested.bar_id))
			oracle_fail("nested: slot_add");
	}
	nested_change_end(begun);
	nested.changing_map = false;
}

static void tickets(void)
{
	for (unsigned w = 0; w < WAITING; w++) {
		if (!nested.waiting[w].b || !mmu_ticket_ready(nested.mmu, &nested.waiting[w].t))
			continue;
		/* From now on no vCPU may see a version that has it. */
		for (uint64_t k = nested.version; k > nested.oldest; k--)
			if (nested.at[(k - 1) % VERSIONS].bar == nested.waiting[w].b) {
				nested.oldest = k;
				break;
			}
		backing_free(nested.waiting[w].b);
		nested.waiting[w].b = NULL;
	}
}

static void step(void)
{
	struct nested_vcpu *v = &nested.vcpu[below(nested.c->vcpus)];
	bool was_in = v->in;

	if (v->busy)
		return;
	v->busy = true;
	switch (below(64)) {
	default:
		if (v->in)
			access_memory(v);
		else
			enter(v);
		break;
	case 0:
		if (!below(16))
			bar();
		break;
	case 1:
		device_store();
		break;
	case 5:
		if (was_in)
			leave(v);
		break;
	case 12:
		/* A vCPU is taken away, and comes back without a root. */
		if (!v->in && !below(20)) {
			mmu_vcpu_fini(&v->v);
			if (mmu_vcpu_init(&v->v, nested.mmu, (unsigned)(v - nested.vcpu),
				    (uint16_t)(1 + (v - nested.vcpu))))
				oracle_fail("nested: vCPU");
		}
		break;
	case 6 ... 7:
		mmu_cpu_quiescent(ORACLE_CPUS); /* the devices' */
		tickets();
		break;
	case 8:
		if (!below(20))
			mmu_invalidate_all(nested.mmu);
		break;
	case 9 ... 11:
		test_cpu_id = ORACLE_CPUS;
		nested_seen.reclaimed += mmu_reclaim(nested.mmu, 16, 4096);
	}
	if (v->on_cpu && !v->in)
		nested.cpu_taken[v->cpu] = v->on_cpu = false;
	v->busy = false;
}

/* Where the MMU holds no lock, other CPUs take steps. */
static void in_between(void)
{
	unsigned cpu = test_cpu_id;

	if (nested.quiet || nested.nested == 2 || below(16))
		return;
	nested.nested++;
	/* What is stored by now may be read by now. */
	if (nested.changing)
		nested_changed();
	for (uint64_t n = below(4); n; n--)
		step();
	nested.nested--;
	test_cpu_id = cpu;
	nested_seen.nested++;
}

static void kicked(struct mmu_vcpu *v)
{
	container_of(v, struct nested_vcpu, v)->kicked = true;
}

static void start(void)
{
	struct mmu_params p = {
		.backend = &backend_nested,
		.ops = &hw_ops,
		.caps = { .ept = true,
			.ept_2m = true,
			.ept_wb = true,
			.ept_ad = true,
			.vpid = true,
			.maxphyaddr = 39,
			.pschange_mc_no = true },
		.owner = OWNER_TABLES,
		.guest_maxphyaddr = 40,
		.vcpus = nested.c->vcpus,
		.pool_pages = nested.c->pool_pages,
		.indirect_pages = 64,
		.removal = nested.c->removal,
	};
	struct slot_desc d = { .base = gfn(0), .pages = RAM_PAGES };

	if (mmu_create(&p, &nested.mmu) || backing_alloc(RAM_PAGES, OWNER_RAM, &nested.ram))
		oracle_fail("nested: no memory");
	d.backing = nested.ram;
	if (slot_add(nested.mmu, &d, &nested.ram_id))
		oracle_fail("nested: slot_add");
	bar();
	for (unsigned t = 0; t < TABLES; t++)
		nested.table_gfn[t] = t % 5 == 4 ? BAR + t / 5 : 5 + t * 60;
	/* Something to begin with: each links the next few. */
	for (unsigned t = 0; t < TABLES; t++)
		for (unsigned i = 0; i < 4; i++) {
			uint64_t e = nested.table_gfn[(t + 1 + i) % TABLES] << PAGE_SHIFT | EPT_RWX;

			guest_write(nested.mmu, gpa(nested.table_gfn[t] << PAGE_SHIFT | i * 8), &e, 8);
		}
	nested_changed();
	nested.oldest = nested.version;
	for (unsigned i = 0; i < nested.c->vcpus; i++) {
		nested.vcpu[i].cpu = i % nested.c->cpus;
		if (mmu_vcpu_init(&nested.vcpu[i].v, nested.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("nested: vCPU");
	}
}

static void finish(void)
{
	struct mmu_stats st;

	for (unsigned i = 0; i < nested.c->vcpus; i++) {
		if (nested.vcpu[i].in)
			leave(&nested.vcpu[i]);
		mmu_vcpu_fini(&nested.vcpu[i].v);
	}
	for (unsigned c = 0; c < CPUS_MAX; c++)
		mmu_cpu_idle(c);
	nested_audit(nested.mmu);
	tickets();
	while (mmu_reclaim_waiting(nested.mmu))
		if (!mmu_reclaim(nested.mmu, 16, 4096) && !nested.mmu->drain.partial &&
			mmu_reclaim_waiting(nested.mmu))
			oracle_fail("%lu pages are never given back", nested.mmu->front.debt);
	if (nested.mmu->pool.used != nested.mmu->count.valid)
		oracle_fail("%lu pages in use, %lu valid", nested.mmu->pool.used, nested.mmu->count.valid);
	mmu_stats(nested.mmu, &st);
	/* Twice the live set, and what each vCPU may have asked for at that moment. */
	if (st.pages_peak > 2 * st.pages_live_peak + NESTED_VCPUS * FAULT_NEEDS)
		oracle_fail("%lu pages in use, the live set is %lu", st.pages_peak, st.pages_live_peak);
	nested_seen.evictions += st.evictions;
	nested_seen.bumps += st.bumps;
	mmu_destroy(nested.mmu);
	backing_free(nested.ram);
	if (nested.bar)
		backing_free(nested.bar);
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("the VM's memory leaks");
}

void nested_run(const struct nested_config *c, uint64_t seed, unsigned steps)
{
	memset(&nested, 0, sizeof(nested));
	nested.c = c;
	oracle_begin(seed, kicked, oracle_debug(seed));
	arena_open(&nested.arena, hpa(4 * GiB), 128 * MiB);
	arena_start(&nested.arena);
	mmu_yield = NULL;
	start();
	mmu_yield = in_between;
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (!below(32))
			nested_audit(nested.mmu);
	}
	mmu_yield = NULL;
	finish();
	test_cpu_id = 0;
	arena_close(&nested.arena);
}

const struct nested_config nested_configs[] = {
	{ .name = "indirect, bulk", .vcpus = 3, .cpus = 3 },
	{ .name = "indirect, one vCPU, targeted", .vcpus = 1, .cpus = 2, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "indirect, targeted", .vcpus = 4, .cpus = 4, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "indirect, small pool",
		.vcpus = 3,
		.cpus = 3,
		.pool_pages = 100,
		.removal = MMU_REMOVAL_AUTO },
	{ .name = "indirect, more vCPUs than CPUs", .vcpus = 4, .cpus = 2, .removal = MMU_REMOVAL_AUTO },
};
const unsigned nested_nconfigs = ARRAY_SIZE(nested_configs);
