/* SPDX-License-Identifier: MIT */
#include "hv/vmx/vmx_cpu.h"

#include "lib/log.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/host/frames.h"

struct vmx_controls vmx;

int vmx_init(void)
{
	struct vmx_msrs m;
	struct vmx_reasons why;
	char text[400];
	int err;

	if (!(cpuid(1, 0).ecx & BIT(5))) {
		log_error("this CPU has no VMX");
		return -E_NOSUP;
	}
	vmx_msrs_read(&m);
	err = vmx_controls_choose(&m, &vmx, &why);
	for (unsigned i = 0; i < why.n; i++)
		log_error("this CPU's VMX lacks what Lethe needs: %s", why.missing[i]);
	for (unsigned i = 0; i < why.ndegraded; i++)
		log_info("VMX: %s", why.degraded[i]);
	vmx_controls_describe(&vmx, text, sizeof(text));
	log_info("VMX: %s", text);
	return err;
}

void *vmx_region_alloc(void)
{
	uint32_t *region = frame_alloc_zeroed(OWNER_LETHE);

	if (region)
		*region = vmx.revision;
	return region;
}

/* SDM Vol. 3C 23.7: locked without the VMX bit is final until a reset; unlocked we set and lock it. */
static bool allowed_by_firmware(void)
{
	uint64_t v = rdmsr(MSR_FEATURE_CONTROL);

	if (!(v & FEATURE_CONTROL_LOCK)) {
		wrmsr(MSR_FEATURE_CONTROL, v | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
		v = rdmsr(MSR_FEATURE_CONTROL);
	}
	return v & FEATURE_CONTROL_VMX;
}

int vmx_enter_root(struct cpu *c)
{
	void *region;

	if (!(cpuid(1, 0).ecx & BIT(5)) || !allowed_by_firmware()) {
		log_error("CPU %u: firmware has locked VMX off on it", c->id);
		return -E_NOSUP;
	}
	region = vmx_region_alloc();
	if (!region)
		return -E_NOMEM;
	c->vmxon_region = virt_to_hpa(region);
	write_cr0((read_cr0() | vmx.cr0_fixed0) & vmx.cr0_fixed1);
	write_cr4(((read_cr4() | CR4_VMXE) | vmx.cr4_fixed0) & vmx.cr4_fixed1);
	if (!vmxon(c->vmxon_region)) {
		log_error("CPU %u: VMXON failed", c->id);
		return -E_NOSUP;
	}
	if (vmx.xsaves)
		wrmsr(MSR_XSS,
			0); /* guests have no supervisor components: XSAVES saves none of firmware's either */
	/* Neither VMXON nor VM transitions need drop translations that an earlier hypervisor left (28.3.3). */
	if (vmx.ept)
		invept(INV_ALL, 0);
	if (vmx.vpid)
		invvpid(INV_ALL, 0);
	TRACE(TRACE_BOOT, "CPU %lu in VMX root mode", c->id, 0, 0);
	return 0;
}
