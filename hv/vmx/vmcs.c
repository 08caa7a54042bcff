/* SPDX-License-Identifier: MIT */
#include "hv/vmx/vmcs.h"

#include "hv/host/panic.h"
#include "hv/vmx/vmx.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/atomic.h"
#include "lib/bits.h"
#include "mm/host/frames.h"

/* VPIDs in use (atomic): bit n is VPID n + 1, since VPID 0 is the host's. One that was given back is taken again; the
 * translations that a CPU holds under it are dropped when its new vCPU first comes to that CPU (mm/mmu/tags.c). */
#define VPIDS 4096u
static uint64_t vpids[VPIDS / 64];

#ifdef LETHE_DEBUG
static const struct vmcs *current[CPUS_MAX];

static void vmcs_set_current(const struct vmcs *m)
{
	current[this_cpu_id()] = m;
}

void vmcs_assert_current(const struct vmcs *m)
{
	ASSERT(current[this_cpu_id()] == m);
}

unsigned vmcs_vpids_used(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VPIDS; i++)
		n += !!(atomic_load(&vpids[i / 64]) & BIT(i % 64));
	return n;
}
#else
static void vmcs_set_current(const struct vmcs *m)
{
}
#endif

/* Returns 0 if all are in use. */
static uint16_t vpid_take(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vpids); i++) {
		uint64_t used = atomic_load(&vpids[i]);

		while (~used) {
			unsigned bit = bit_lowest(~used);

			if (atomic_cmpxchg(&vpids[i], &used, used | BIT(bit)))
				return (uint16_t)(i * 64 + bit + 1);
		}
	}
	return 0;
}

static void vpid_give_back(uint16_t vpid)
{
	if (vpid)
		atomic_fetch_and(&vpids[(vpid - 1) / 64], ~BIT((vpid - 1) % 64));
}

int vmcs_create(struct vmcs *m)
{
	uint16_t vpid = vmx.vpid ? vpid_take() : 0;
	void *region;

	if (vmx.vpid && !vpid)
		return -E_NOMEM;
	region = vmx_region_alloc();
	if (!region) {
		vpid_give_back(vpid);
		return -E_NOMEM;
	}
	*m = (struct vmcs){ .region = virt_to_hpa(region), .vpid = vpid };
	return 0;
}

void vmcs_destroy(struct vmcs *m)
{
	if (!m->region.v)
		return;
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(m->region));
	vpid_give_back(m->vpid);
}

void vmcs_load(struct vmcs *m)
{
	/* Brings a fresh region into the state that VMPTRLD expects (SDM Vol. 3C 24.11.3). */
	if (!m->filled && !vmclear(m->region))
		panic("VMCLEAR of the VMCS at %#lx failed", m->region.v);
	if (!vmptrld(m->region))
		panic("VMPTRLD of the VMCS at %#lx failed", m->region.v);
	vmcs_set_current(m);
}

void vmcs_leave(struct vmcs *m)
{
	vmclear(m->region);
	vmcs_set_current(NULL);
}

void vmcs_field_failed(uint32_t field)
{
	panic("VMREAD or VMWRITE of field %#x failed", field);
}
