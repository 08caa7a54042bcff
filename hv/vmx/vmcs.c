/* SPDX-License-Identifier: MIT */
#include "hv/vmx/vmcs.h"

#include "hv/host/panic.h"
#include "hv/vmx/vmx.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/atomic.h"
#include "mm/host/frames.h"

static uint16_t next_vpid = 1; /* VPID 0 is the host's (atomic) */

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
#else
static void vmcs_set_current(const struct vmcs *m)
{
}
#endif

int vmcs_create(struct vmcs *m)
{
	void *region = vmx_region_alloc();

	if (!region)
		return -E_NOMEM;
	*m = (struct vmcs){ .region = virt_to_hpa(region),
		.vpid = vmx.vpid ? atomic_fetch_add(&next_vpid, 1) : 0 };
	return 0;
}

void vmcs_destroy(struct vmcs *m)
{
	if (m->region.v)
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(m->region));
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
