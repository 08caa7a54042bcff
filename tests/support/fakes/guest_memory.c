/* SPDX-License-Identifier: MIT */
#include "tests/support/fakes/guest_memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mm/space/slots_change.h"

struct guest_memory guest_memory;

static void no_kick(struct mmu_vcpu *v)
{
}
static void no_invept(uint64_t eptp)
{
}
static void no_invvpid(uint16_t vpid)
{
}

static const struct mmu_cpu_ops ops = {
	.kick = no_kick, .invept_single = no_invept, .invvpid_single = no_invvpid
};

void guest_memory_open(uint64_t machine_bytes, unsigned vcpus)
{
	const struct mmu_params p = { .backend = &mmu_backend_ept,
		.ops = &ops,
		.owner = OWNER_VM0 + 1,
		.guest_maxphyaddr = 39,
		.vcpus = vcpus,
		.caps = { .ept = true,
			.ept_2m = true,
			.ept_wb = true,
			.pschange_mc_no = true,
			.maxphyaddr = 39 } };

	memset(&guest_memory, 0, sizeof(guest_memory));
	arena_open(&guest_memory.arena, hpa(4 * GiB), machine_bytes);
	arena_start(&guest_memory.arena);
	assert_int_equal(mmu_create(&p, &guest_memory.mmu), 0);
}

void guest_memory_add(uint64_t base, uint64_t end)
{
	struct slot_desc d = { .base = gpa_to_gfn(gpa(base)), .pages = (end - base) / PAGE_SIZE };
	slot_id id;

	assert_true(guest_memory.n < GUEST_MEMORY_SLOTS);
	assert_int_equal(backing_alloc(d.pages, OWNER_VM0, &d.backing), 0);
	guest_memory.backing[guest_memory.n++] = d.backing;
	assert_int_equal(slot_add(guest_memory.mmu, &d, &id), 0);
}

void guest_memory_destroy_mmu(void)
{
	mmu_destroy(guest_memory.mmu);
	guest_memory.mmu = NULL;
}

void guest_memory_close(void)
{
	if (guest_memory.mmu)
		guest_memory_destroy_mmu();
	while (guest_memory.n)
		backing_free(guest_memory.backing[--guest_memory.n]);
	arena_close(&guest_memory.arena);
}
