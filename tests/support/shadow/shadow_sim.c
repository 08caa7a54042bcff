/* SPDX-License-Identifier: MIT */
/* The VM, and what happens next. */
#include "tests/support/shadow/shadow_sim_internal.h"

#include <string.h>

#include "tests/support/fakes/cpu_id.h"
#include "tests/support/nested/nested.h"

#define LIFE 3000u /* steps in the life of a VM, on average */

struct shadow_seen shadow_seen;
struct shadow_sim shadow_sim;

static void vcpu_step(struct shadow_vcpu *v)
{
	uint64_t what = below(64);

	if (!v->in && what > 2) {
		shadow_vcpu_enter(v);
		return;
	}
	/* A guest that flushes seldom. */
	if (shadow_sim.calm && what > 2 && below(8))
		what = 63;
	switch (what) {
	default:
		shadow_vcpu_access(v);
		break;
	case 3:
		shadow_vcpu_leave(v);
		break;
	case 4 ... 6:
		shadow_vcpu_leave(v);
		shadow_regs_change(v);
		break;
	case 7 ... 9:
		shadow_vcpu_leave(v);
		shadow_regs_invlpg(v, v->again && below(2) ? v->access.at : shadow_vcpu_address(v));
		break;
	case 0 ... 2:
		/* A vCPU is taken away, and comes back without a root. */
		if (v->in || below(100))
			break;
		mmu_vcpu_fini(&v->v);
		if (mmu_vcpu_init(&v->v, shadow_sim.mmu, (unsigned)(v - shadow_sim.vcpu),
			    (uint16_t)(1 + (v - shadow_sim.vcpu))))
			oracle_fail("shadow: vCPU");
		shadow_regs_init(v);
	}
}

static void step(void)
{
	struct shadow_vcpu *v = &shadow_sim.vcpu[below(shadow_sim.c->vcpus)];
	uint64_t what = below(96);

	if (what >= 16) {
		if (v->busy)
			return;
		v->busy = true;
		vcpu_step(v);
		if (v->on_cpu && !v->in)
			shadow_sim.cpu_taken[v->cpu] = v->on_cpu = false;
		v->busy = false;
		return;
	}
	/* A CPU that runs no vCPU: the devices'. */
	test_cpu_id = SHADOW_HW_CPUS;
	mmu_cpu_quiescent(SHADOW_HW_CPUS);
	switch (what) {
	case 0:
		if (!below(4))
			shadow_slots_change();
		break;
	case 1:
		if (!below(30))
			mmu_invalidate_all(shadow_sim.mmu);
		break;
	case 2 ... 4:
		shadow_tables_device();
		break;
	case 5:
		shadow_regs_pdpt();
		break;
	case 6:
		shadow_slots_read_log();
		break;
	case 7 ... 9:
		shadow_slots_tickets();
		break;
	default:
		shadow_seen.reclaimed +=
			mmu_reclaim(shadow_sim.mmu, 1 + (unsigned)below(20), 1 + (unsigned)below(4096));
	}
}

/* Where the MMU holds no lock, other CPUs take steps. */
static void in_between(void)
{
	unsigned cpu = test_cpu_id;

	/* (The back end reads guest memory with the lock held.) */
	if (shadow_sim.c->quiet || shadow_sim.depth == 2 || spin_is_locked(&shadow_sim.mmu->lock) || below(8))
		return;
	shadow_sim.depth++;
	shadow_model_scan();
	for (uint64_t n = below(4); n; n--)
		step();
	shadow_model_scan();
	shadow_sim.depth--;
	test_cpu_id = cpu;
	shadow_seen.nested++;
}

static void kicked(struct mmu_vcpu *v)
{
	container_of(v, struct shadow_vcpu, v)->kicked = true;
}

static void vm_create(void)
{
	const struct shadow_config *c = shadow_sim.c;
	struct mmu_params p = {
		.backend = &mmu_backend_shadow,
		.ops = &shadow_hw_ops,
		.caps = { .vpid = true, .maxphyaddr = c->maxphyaddr, .guest_no_1g = c->no_1g },
		.owner = OWNER_TABLES,
		.guest_maxphyaddr = GUEST_WIDTH,
		.vcpus = c->vcpus,
		.pool_pages = c->pool_pages,
		.indirect_pages = 64,
		.removal = c->removal,
	};

	if (mmu_create(&p, &shadow_sim.mmu))
		oracle_fail("shadow: mmu_create");
	shadow_sim.orderly = below(3);
	shadow_model_reset(shadow_sim.mmu);
	shadow_slots_init();
	shadow_tables_init();
	for (unsigned i = 0; i < PDPTS * 8; i++)
		shadow_regs_pdpt();
	for (unsigned i = 0; i < c->vcpus; i++) {
		struct shadow_vcpu *v = &shadow_sim.vcpu[i];

		memset(v, 0, sizeof(*v));
		v->cpu = i;
		if (mmu_vcpu_init(&v->v, shadow_sim.mmu, i, (uint16_t)(1 + i)))
			oracle_fail("shadow: vCPU");
		shadow_regs_init(v);
	}
	shadow_sim.calm = below(2);
	mmu_yield = in_between;
}

static void vm_destroy(void)
{
	struct mmu *mmu = shadow_sim.mmu;

	mmu_yield = NULL;
	for (unsigned i = 0; i < shadow_sim.c->vcpus; i++) {
		struct shadow_vcpu *v = &shadow_sim.vcpu[i];

		if (v->in)
			shadow_vcpu_leave(v);
		mmu_vcpu_fini(&v->v);
	}
	memset(shadow_sim.cpu_taken, 0, sizeof(shadow_sim.cpu_taken));
	for (unsigned c = 0; c < CPUS_MAX; c++)
		mmu_cpu_idle(c);
	shadow_slots_tickets();
	/* A batch may free nothing and still get on, inside a page. */
	for (unsigned n = 0; mmu_reclaim_waiting(mmu); n++) {
		mmu_reclaim(mmu, MMU_BATCH_PAGES, MMU_BATCH_ENTRIES);
		if (n > 10000)
			oracle_fail("%lu pages are never given back", mmu->front.debt);
	}
	if (mmu->pool.used != mmu->count.valid)
		oracle_fail("%lu pages in use, %lu valid", mmu->pool.used, mmu->count.valid);
	shadow_seen.evictions += mmu->stats.evictions;
	shadow_seen.bumps += mmu->stats.bumps;
	mmu_destroy(mmu);
	shadow_slots_fini();
	if (frames_owned(OWNER_RAM) || frames_owned(OWNER_TABLES))
		oracle_fail("the VM's memory leaks: %lu frames of RAM, %lu of tables",
			frames_owned(OWNER_RAM), frames_owned(OWNER_TABLES));
}

/* RAM below 4 GiB, and above. */
#define RAM_AT	  (4 * GiB - 64 * MiB)
#define RAM_BYTES (192 * MiB)

static void ram_start(struct arena *a)
{
	arena_open(a, hpa(RAM_AT), RAM_BYTES);
	arena_start(a);
}

static void machine_start(const struct shadow_config *c, uint64_t seed)
{
	memset(&shadow_sim, 0, sizeof(shadow_sim));
	shadow_sim.c = c;
	mmu_yield = NULL;
	oracle_begin(seed, kicked, oracle_debug(seed));
	shadow_hw_reset(hpa(RAM_AT), RAM_BYTES, c->maxphyaddr);
}

void shadow_run(const struct shadow_config *c, uint64_t seed, unsigned steps)
{
	struct arena ram;

	machine_start(c, seed);
	ram_start(&ram);
	vm_create();
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (!below(32))
			nested_audit(shadow_sim.mmu);
		if (!below(LIFE)) {
			/* Another VM gets the same frames and the same VPIDs. */
			vm_destroy();
			vm_create();
		}
	}
	vm_destroy();
	test_cpu_id = 0;
	arena_close(&ram);
}

void shadow_run_bytes(const struct shadow_config *c, const uint8_t *data, size_t size)
{
	static struct arena ram; /* stays, since a new one is slow; all of it is given back each time */

	machine_start(c, 1);
	if (!ram.mem)
		ram_start(&ram);
	vm_create();
	oracle_bytes(data, size);
	while (oracle_bytes_left())
		step();
	oracle_bytes(NULL, 0);
	nested_audit(shadow_sim.mmu);
	vm_destroy();
	test_cpu_id = 0;
}

const struct shadow_config shadow_configs[] = {
	{ .name = "shadow, one vCPU, alone",
		.vcpus = 1,
		.modes = SHADOW_ALL_MODES,
		.maxphyaddr = 40,
		.quiet = true },
	{ .name = "shadow, bulk", .vcpus = 3, .modes = SHADOW_ALL_MODES, .maxphyaddr = 40 },
	{ .name = "shadow, 4-level, targeted",
		.vcpus = 3,
		.modes = BIT(SHADOW_4),
		.maxphyaddr = 46,
		.removal = MMU_REMOVAL_TARGETED },
	{ .name = "shadow, 32-bit and PAE",
		.vcpus = 2,
		.modes = BIT(SHADOW_32) | BIT(SHADOW_32_PSE) | BIT(SHADOW_PAE) | BIT(SHADOW_OFF),
		.maxphyaddr = 36,
		.no_1g = true },
	{ .name = "shadow, MAXPHYADDR 52, small pool",
		.vcpus = 3,
		.modes = SHADOW_ALL_MODES,
		.maxphyaddr = 52,
		.pool_pages = 150,
		.removal = MMU_REMOVAL_AUTO },
	{ .name = "shadow, tables in two modes",
		.vcpus = 2,
		.modes = SHADOW_ALL_MODES,
		.maxphyaddr = 40,
		.mixed = true },
	/* Not among those that hold: a frame at several gfns has a record for each (mm/mmu/records.h). */
	{ .name = "shadow, aliases", .vcpus = 2, .modes = SHADOW_ALL_MODES, .maxphyaddr = 40, .alias = true },
};
const unsigned shadow_nconfigs = ARRAY_SIZE(shadow_configs) - 1;
