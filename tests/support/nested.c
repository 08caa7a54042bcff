/* SPDX-License-Identifier: MIT */
#include "tests/support/nested.h"

#include <string.h>

#include "mm/backing.h"
#include "mm/ept.h"
#include "mm/indirect.h"
#include "tests/support/arena.h"
#include "tests/support/cpu_id.h"

#define OWNER_RAM    (OWNER_VM0 + 0)
#define OWNER_TABLES (OWNER_VM0 + 1)

#define RAM_PAGES   2048u /* from gfn 0; large leaves can map it */
#define BAR	    4096u /* gfn of a slot that comes and goes */
#define BAR_PAGES   16u
#define TABLES	    20u /* gfns TABLE0.. may be tables of the guest's; some of them in the BAR */
#define USED	    6u	/* entries of each that are ever used */
#define LEVELS	    4u
#define FAULT_NEEDS (LEVELS * (INDIRECT_NEW_NEEDS + INDIRECT_LINK_NEEDS) + INDIRECT_MAP_NEEDS)
#define VERSIONS    128u
#define WAITING	    16u

struct nested_seen nested_seen;

/* Everything that decides what the guest's tables say. */
struct version {
	uint64_t entry[TABLES][USED];
	struct backing *bar; /* NULL: no slot there */
	uint64_t epoch, gen; /* seen by all when nobody is in the guest from before these */
};

struct vcpu {
	struct mmu_vcpu v;
	bool in, kicked;
	uint64_t eptp;
	unsigned root; /* index of the table that it has as its root */
	bool again;    /* the last access was not the guest's own fault: it is tried again */
	uint64_t again_at;
	unsigned again_access;
	unsigned stuck;
};

static struct {
	const struct nested_config *c;
	struct arena arena;
	struct mmu *mmu;
	struct vcpu vcpu[NESTED_VCPUS];
	struct backing *ram, *bar;
	slot_id ram_id, bar_id;
	uint64_t table_gfn[TABLES];
	struct version at[VERSIONS];
	uint64_t version, oldest;
	struct {
		struct backing *b;
		struct mmu_ticket t;
	} waiting[WAITING]; /* BARs that are gone */
	/* Everybody who could write to it unseen has left when this epoch is acknowledged. */
	uint64_t tracked_since[RAM_PAGES + BAR + BAR_PAGES];
} n;

/* ---- the model ---- */

static struct version *now(void)
{
	return &n.at[n.version % VERSIONS];
}

/* Read off guest memory, as it is. */
static void note_change(void)
{
	struct version *v = &n.at[++n.version % VERSIONS];

	if (n.version - n.oldest >= VERSIONS)
		n.oldest = n.version - VERSIONS + 1;
	memset(v, 0, sizeof(*v));
	for (unsigned t = 0; t < TABLES; t++)
		guest_read(n.mmu, gpa(n.table_gfn[t] << PAGE_SHIFT), v->entry[t], sizeof(v->entry[t]));
	v->bar = n.bar;
	v->epoch = n.mmu->front.flush_epoch;
	v->gen = n.mmu->front.valid_gen;
	nested_seen.changes++;
}

static void forget_seen(void)
{
	while (n.oldest < n.version) {
		struct version *next = &n.at[(n.oldest + 1) % VERSIONS];

		if (!mmu_flushed(n.mmu, next->epoch) || !mmu_quiescent_below(n.mmu, next->gen))
			return;
		n.oldest++;
	}
}

static int table_at(uint64_t gfn)
{
	for (unsigned t = 0; t < TABLES; t++)
		if (n.table_gfn[t] == gfn)
			return (int)t;
	return -1;
}

static uint64_t frame_of(const struct version *v, uint64_t gfn)
{
	if (gfn < RAM_PAGES)
		return backing_pfn(n.ram, gfn).v;
	if (gfn - BAR < BAR_PAGES && v->bar)
		return backing_pfn(v->bar, gfn - BAR).v;
	return 0;
}

/* Where a version of the guest's tables leads for an access: the gfn, or -1. */
static int64_t model_walk(const struct version *v, unsigned root, uint64_t at, unsigned access)
{
	int t = (int)root;

	for (unsigned level = LEVELS;; level--) {
		uint64_t e, i = ept_index(at, level);

		if (t < 0 || i >= USED || !frame_of(v, n.table_gfn[t]))
			return -1;
		e = v->entry[t][i];
		if (!ept_present(e) || (access & ~e))
			return -1;
		if (ept_is_leaf(e, level))
			return (int64_t)(ept_pfn(e).v + (at & (ept_pages(level) - 1)));
		t = table_at(ept_pfn(e).v);
	}
}

static void check_hit(struct vcpu *v, uint64_t at, unsigned access, uint64_t e, unsigned level)
{
	uint64_t f = ept_pfn(e).v + (at & (ept_pages(level) - 1));

	nested_seen.hits++;
	nested_seen.large += level > 1;
	forget_seen();
	for (uint64_t k = n.oldest; k <= n.version; k++) {
		const struct version *m = &n.at[k % VERSIONS];
		int64_t gfn = model_walk(m, v->root, at, access);

		if (gfn < 0 || frame_of(m, (uint64_t)gfn) != f)
			continue;
		if ((access & MMU_WRITE) && indirect_tracked(n.mmu, (gfn_t){ (uint64_t)gfn }) &&
			mmu_flushed(n.mmu, n.tracked_since[gfn]))
			oracle_fail("vCPU %u writes to gfn %#lx, a table, unseen", v->v.index, gfn);
		return;
	}
	oracle_fail("vCPU %u reaches frame %#lx at %#lx (access %u), which its tables do not say", v->v.index,
		f, at, access);
}

/* ---- the back end ---- */

/* `rights`: what the guest's entries above leave. Two that link the same table with different ones get two pages. */
static role_t role(unsigned level, uint64_t rights)
{
	return (role_t){ level | (uint32_t)(rights & EPT_RWX) << 4 };
}

/* The page made from the guest's table in `at`. May ask for a flush. MMU lock held. */
static struct spage *page_for(gfn_t at, role_t role, bool *flush)
{
	struct spage *p = indirect_find(n.mmu, at, role);

	if (p) {
		nested_seen.shared += chain_count(p->parents) > 1;
		return p;
	}
	p = indirect_new(n.mmu, at, role, flush);
	/* Whoever may still write through what was taken away before: asked to leave by now, too. */
	n.tracked_since[at.v] = n.mmu->front.flush_epoch + *flush;
	return p;
}

static bool entry_at(gfn_t table, unsigned i, uint64_t *e)
{
	return !guest_read(n.mmu, gpa(table.v << PAGE_SHIFT | i * 8), e, 8) && ept_present(*e);
}

/* A leaf for `at` into entry i of p. */
static void map(struct spage *p, uint64_t at, uint64_t guest, unsigned guest_level, bool *flush)
{
	unsigned level = role_level(p->role), i = ept_index(at, level);
	uint64_t g = ept_pfn(guest).v + (at & (ept_pages(guest_level) - 1) & ~(ept_pages(level) - 1));
	const struct slot *s = slots_find_locked(n.mmu, (gfn_t){ g });
	uint64_t e = (guest & EPT_RWX) | MT_WB << EPT_MT_AT | (level > 1 ? EPT_PS : 0);

	if (!s)
		return;
	e |= backing_pfn(s->backing, s->backing_page + g - s->base).v << PAGE_SHIFT;
	*flush |= indirect_map(n.mmu, p, i, (gfn_t){ g }, e);
}

static bool link_to(struct spage *p, unsigned i, struct spage *child)
{
	bool there = spage_table(p)[i] &&
		     ept_pfn(spage_table(p)[i]).v == hpa_to_pfn(virt_to_hpa(spage_table(child))).v;

	return !there && indirect_link(n.mmu, p, i, child, EPT_RWX);
}

static bool large_ok(uint64_t g, unsigned level)
{
	return g + ept_pages(level) <= RAM_PAGES && !(backing_pfn(n.ram, g).v & (ept_pages(level) - 1)) &&
	       indirect_large_allowed(n.mmu, (gfn_t){ g }, level);
}

/* A large leaf of the guest's, e, in small pieces: tables below p that map linearly, down to the piece that `at` is in. */
static void split(struct spage *p, uint64_t at, uint64_t e, unsigned guest_level, bool *flush)
{
	for (;;) {
		unsigned level = role_level(p->role);
		uint64_t off = at & (ept_pages(guest_level) - 1) & ~(ept_pages(level) - 1);
		gfn_t base = { ept_pfn(e).v + off };
		role_t linear = { role(level - 1, e).v | ROLE_DIRECT };
		struct spage *child;

		if (level == 1 || large_ok(base.v, level)) {
			map(p, at, e, guest_level, flush);
			return;
		}
		child = indirect_find(n.mmu, base, linear);
		if (!child)
			child = indirect_new(n.mmu, base, linear, flush);
		*flush |= link_to(p, ept_index(at, level), child);
		nested_seen.split++;
		p = child;
	}
}

/* Builds what one access needs. MMU lock held, pages are available, nothing waits for a flush. False: it is a fault of
 * the guest's. */
static bool build(struct spage *p, uint64_t at, unsigned access, bool *flush)
{
	uint64_t rights = EPT_RWX;

	for (unsigned level = LEVELS;; level--) {
		unsigned i = ept_index(at, level);
		struct spage *child;
		uint64_t e;

		if (!entry_at(p->gfn, i, &e) || (access & ~e))
			return false;
		if (ept_is_leaf(e, level)) {
			split(p, at, (e & ~EPT_RWX) | (e & rights), level, flush);
			return true;
		}
		if (table_at(ept_pfn(e).v) < 0)
			return false; /* not one that the model looks at */
		rights &= e;
		child = page_for((gfn_t){ ept_pfn(e).v }, role(level - 1, rights), flush);
		nested_seen.self += child->gfn.v == p->gfn.v;
		/* Protected only now: others may be writing to it still. Next time. */
		if (*flush)
			return true;
		*flush |= link_to(p, i, child);
		p = child;
	}
}

/* False: the guest's own fault. */
static bool fault(struct vcpu *v, uint64_t at, unsigned access)
{
	struct mmu *mmu = n.mmu;
	bool flush = false, ok = true;

	if (pool_wants_more(&mmu->pool))
		pool_grow(mmu);
	mmu_lock(mmu);
	if (!mmu_make_available(mmu, FAULT_NEEDS, gfn(0)) && v->v.root &&
		v->v.root_gen == mmu->front.valid_gen && !(v->v.requests & MMU_REQ_RELOAD) &&
		mmu_flushed(mmu, mmu->front.flush_epoch))
		ok = build(v->v.root, at, access, &flush);
	if (flush)
		mmu_flush_request(mmu, true);
	mmu_unlock(mmu);
	return ok;
}

/* The page made from the table that the guest has as its root. 0 or -E_AGAIN. */
static int load_root(struct vcpu *v)
{
	struct mmu *mmu = n.mmu;
	bool flush = false;
	int err = -E_AGAIN;

	mmu_lock(mmu);
	if (!mmu_make_available(mmu, INDIRECT_NEW_NEEDS, gfn(0)) &&
		mmu_quiescent_below(mmu, mmu->front.valid_gen)) {
		struct spage *p = page_for((gfn_t){ n.table_gfn[v->root] }, role(LEVELS, EPT_RWX), &flush);

		if (p != v->v.root)
			mmu_load_root(&v->v, p);
		err = 0;
	}
	if (flush) {
		mmu_flush_request(mmu, true);
		err = -E_AGAIN;
	}
	mmu_unlock(mmu);
	return err;
}

/* ---- vCPUs ---- */

static void leave(struct vcpu *v)
{
	test_cpu_id = v->v.index;
	mmu_exit(&v->v);
	v->in = v->kicked = false;
}

static void enter(struct vcpu *v)
{
	unsigned cpu = v->v.index;
	int err;

	test_cpu_id = cpu;
	mmu_cpu_quiescent(cpu);
	hw_load(cpu, &v->v);
	if (!below(16))
		v->root = (unsigned)below(3);
	err = mmu_serve(&v->v);
	if (!err)
		err = load_root(v);
	if (!err)
		mmu_make_ready(&v->v, cpu);
	if (below(2))
		nested_seen.reclaimed +=
			mmu_reclaim(n.mmu, 1 + (unsigned)below(20), 1 + (unsigned)below(600));
	if (!err)
		err = mmu_enter(&v->v, &v->eptp);
	v->in = !err;
	v->stuck = err ? v->stuck + 1 : 0;
	if (v->stuck > 500)
		oracle_fail("vCPU %u never enters again", cpu);
}

static uint64_t random_entry(void)
{
	static const unsigned rights[] = { EPT_RWX, EPT_RWX, EPT_R | EPT_W, EPT_R };
	uint64_t r = rights[below(ARRAY_SIZE(rights))];
	uint64_t t = n.table_gfn[below(TABLES)];

	switch (below(8)) {
	case 0:
		return below(4) ? n.table_gfn[below(TABLES)] << PAGE_SHIFT | EPT_RWX : 0;
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
		if (model_walk(now(), root, at, MMU_READ) >= 0)
			break;
	}
	return at;
}

/* What a store of the guest's does once it is let through. Any frame may be one of its tables. */
static void store(uint64_t frame)
{
	uint64_t e = random_entry(), i = below(USED);

	for (unsigned t = 0; t < TABLES; t++)
		if (frame_of(now(), n.table_gfn[t]) == frame) {
			uint64_t *at = (uint64_t *)pfn_to_virt(pfn(frame)) + i;

			atomic_store(at, e);
			note_change();
		}
	nested_seen.stores++;
}

static void access_memory(struct vcpu *v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_READ | MMU_WRITE, MMU_READ };
	bool again = v->again && below(16);
	uint64_t at = again ? v->again_at : random_at(v->root), e;
	unsigned access = again ? v->again_access : kinds[below(ARRAY_SIZE(kinds))], level;
	int64_t target;

	test_cpu_id = v->v.index;
	if (v->kicked && below(2)) {
		leave(v);
		return;
	}
	if (hw_access(v->v.index, v->eptp, at, access, &e, &level) == HW_HIT) {
		check_hit(v, at, access, e, level);
		v->again = false;
		if (access & MMU_WRITE)
			store(ept_pfn(e).v + (at & (ept_pages(level) - 1)));
		return;
	}
	leave(v);
	nested_seen.faults++;
	v->again = false;
	v->again_at = at;
	v->again_access = access;
	target = model_walk(now(), v->root, at, access);
	/* A store into one of its tables: done for it. */
	if (target >= 0 && (access & MMU_WRITE) && indirect_tracked(n.mmu, (gfn_t){ (uint64_t)target })) {
		uint64_t value = random_entry();

		guest_write(n.mmu, gpa((uint64_t)target << PAGE_SHIFT | below(USED) * 8), &value, 8);
		note_change();
		nested_seen.traps++;
		return;
	}
	v->again = fault(v, at, access);
	if (v->again)
		return;
	if (target >= 0)
		oracle_fail("the guest gets a fault at %#lx that is not its own", at);
	nested_seen.guest_faults++;
}

/* ---- devices, at CPU ORACLE_CPUS - 1's expense when its vCPU is out ---- */

static void device_store(void)
{
	uint64_t value[4] = { random_entry(), random_entry(), 0, random_entry() };
	uint64_t g = n.table_gfn[below(TABLES)] << PAGE_SHIFT | below(3) * 8;

	if (below(2)) {
		guest_write(n.mmu, gpa(g), value, 8 * (1 + below(3)));
	} else {
		uint64_t old;

		if (!guest_read(n.mmu, gpa(g), &old, 8))
			guest_cmpxchg(n.mmu, gpa(g), &old, value[0], 8);
	}
	note_change();
	nested_seen.device_stores++;
}

static void bar(void)
{
	struct slot_desc d = { .base = gfn(BAR), .pages = BAR_PAGES };
	unsigned w = 0;

	while (w < WAITING && n.waiting[w].b)
		w++;
	if (w == WAITING)
		return;
	if (n.bar) {
		n.waiting[w].b = n.bar;
		n.bar = NULL;
		if (slot_delete(n.mmu, n.bar_id, &n.waiting[w].t))
			oracle_fail("nested: slot_delete");
	} else {
		if (backing_alloc(BAR_PAGES, OWNER_RAM, &n.bar))
			oracle_fail("nested: RAM");
		d.backing = n.bar;
		if (slot_add(n.mmu, &d, &n.bar_id))
			oracle_fail("nested: slot_add");
	}
	note_change();
}

static void tickets(void)
{
	for (unsigned w = 0; w < WAITING; w++) {
		if (!n.waiting[w].b || !mmu_ticket_ready(n.mmu, &n.waiting[w].t))
			continue;
		/* Whoever sees a version with it in from now on is wrong. */
		for (uint64_t k = n.version; k > n.oldest; k--)
			if (n.at[(k - 1) % VERSIONS].bar == n.waiting[w].b) {
				n.oldest = k;
				break;
			}
		backing_free(n.waiting[w].b);
		n.waiting[w].b = NULL;
	}
}

static void step(void)
{
	struct vcpu *v = &n.vcpu[below(n.c->vcpus)];

	switch (below(64)) {
	default:
		if (v->in)
			access_memory(v);
		else
			enter(v);
		break;
	case 0:
		if (!v->in && !below(8))
			bar();
		break;
	case 1:
		if (!v->in)
			device_store();
		break;
	case 5:
		if (v->in)
			leave(v);
		break;
	case 6 ... 7:
		mmu_cpu_quiescent(ORACLE_CPUS); /* the devices' */
		tickets();
		break;
	case 8:
		if (!below(20))
			mmu_invalidate_all(n.mmu);
		break;
	case 9 ... 11:
		test_cpu_id = ORACLE_CPUS;
		nested_seen.reclaimed += mmu_reclaim(n.mmu, 16, 4096);
	}
}

static void kicked(struct mmu_vcpu *v)
{
	container_of(v, struct vcpu, v)->kicked = true;
}

static void start(void)
{
	struct mmu_params p = {
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
		.vcpus = n.c->vcpus,
		.pool_pages = n.c->pool_pages,
		.indirect_pages = 64,
		.removal = n.c->removal,
	};
	struct slot_desc d = { .base = gfn(0), .pages = RAM_PAGES };

	if (mmu_create(&p, &n.mmu) || backing_alloc(RAM_PAGES, OWNER_RAM, &n.ram))
		oracle_fail("nested: no memory");
	d.backing = n.ram;
	if (slot_add(n.mmu, &d, &n.ram_id))
		oracle_fail("nested: slot_add");
	bar();
	for (unsigned t = 0; t < TABLES; t++)
		n.table_gfn[t] = t % 5 == 4 ? BAR + t / 5 : 5 + t * 60;
	/* Something to begin with: each links the next few. */
	for (unsigned t = 0; t < TABLES; t++)
		for (unsigned i = 0; i < 4; i++) {
			uint64_t e = n.table_gfn[(t + 1 + i) % TABLES] << PAGE_SHIFT | EPT_RWX;

			guest_write(n.mmu, gpa(n.table_gfn[t] << PAGE_SHIFT | i * 8), &e, 8);
		}
	note_change();
	n.oldest = n.version;
	for (unsigned i = 0; i < n.c->vcpus; i++)
		if (mmu_vcpu_init(&n.vcpu[i].v, n.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("nested: vCPU");
}

static void finish(void)
{
	struct mmu_stats st;

	for (unsigned i = 0; i < n.c->vcpus; i++) {
		if (n.vcpu[i].in)
			leave(&n.vcpu[i]);
		mmu_vcpu_fini(&n.vcpu[i].v);
	}
	for (unsigned c = 0; c < CPUS_MAX; c++)
		mmu_cpu_idle(c);
	nested_audit(n.mmu);
	tickets();
	while (mmu_reclaim_waiting(n.mmu))
		if (!mmu_reclaim(n.mmu, 16, 4096) && !n.mmu->partial && mmu_reclaim_waiting(n.mmu))
			oracle_fail("%lu pages are never given back", n.mmu->front.debt);
	if (n.mmu->pool.used != n.mmu->nvalid)
		oracle_fail("%lu pages in use, %lu valid", n.mmu->pool.used, n.mmu->nvalid);
	mmu_stats(n.mmu, &st);
	/* Twice the live set, and what each vCPU may have asked for at that moment. */
	if (st.pages_peak > 2 * st.pages_live_peak + NESTED_VCPUS * FAULT_NEEDS)
		oracle_fail("%lu pages in use, the live set is %lu", st.pages_peak, st.pages_live_peak);
	nested_seen.evictions += st.evictions;
	nested_seen.bumps += st.bumps;
	mmu_destroy(n.mmu);
	backing_free(n.ram);
	if (n.bar)
		backing_free(n.bar);
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("the VM's memory leaks");
}

void nested_run(const struct nested_config *c, uint64_t seed, unsigned steps)
{
	memset(&n, 0, sizeof(n));
	n.c = c;
	oracle_seed(seed);
	oracle_mtrr_wb();
	hw_reset();
	hw_kick = kicked;
	mmu_debug = true;
	mmu_yield = NULL;
	memset(mmu_host_cpu, 0, sizeof(mmu_host_cpu));
	arena_open(&n.arena, hpa(4 * GiB), 128 * MiB);
	arena_start(&n.arena);
	start();
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (!below(32))
			nested_audit(n.mmu);
	}
	finish();
	test_cpu_id = 0;
	arena_close(&n.arena);
}

const struct nested_config nested_configs[] = {
	{ .name = "indirect, bulk", .vcpus = 3 },
	{ .name = "indirect, one vCPU, targeted", .vcpus = 1, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "indirect, targeted", .vcpus = 4, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "indirect, small pool", .vcpus = 3, .pool_pages = 100, .removal = MMU_REMOVAL_AUTO },
};
const unsigned nested_nconfigs = ARRAY_SIZE(nested_configs);
