/* SPDX-License-Identifier: MIT */
#include "hv/vmx/entry_check.h"

#include "hv/vmx/vmcs.h"
#include "hv/vmx/vmx_cpu.h"

const char *entry_check(const struct vmcs *m, const struct vcpu_state *s)
{
	struct entry_state e = {
		.s = *s,
		.debugctl = vmcs_read(m, VMCS_GUEST_DEBUGCTL),
		.pat = vmcs_read(m, VMCS_GUEST_PAT),
		.pending_debug = vmcs_read(m, VMCS_GUEST_PENDING_DEBUG),
		.link = vmcs_read(m, VMCS_LINK),
		.sysenter_esp = vmcs_read(m, VMCS_GUEST_SYSENTER_ESP),
		.sysenter_eip = vmcs_read(m, VMCS_GUEST_SYSENTER_EIP),
		.cr0_fixed0 = vmx.cr0_fixed0,
		.cr0_fixed1 = vmx.cr0_fixed1,
		.cr4_fixed0 = vmx.cr4_fixed0,
		.cr4_fixed1 = vmx.cr4_fixed1,
		.interruptibility = (uint32_t)vmcs_read(m, VMCS_GUEST_INTERRUPTIBILITY),
		.activity = (uint32_t)vmcs_read(m, VMCS_GUEST_ACTIVITY),
		.event_info = (uint32_t)vmcs_read(m, VMCS_ENTRY_INTR_INFO),
		.maxphyaddr = cpu_phys_bits(),
		.ia32e = vmcs_read(m, VMCS_ENTRY) & ENTRY_IA32E, /* exits write it, too (27.2) */
		.unrestricted = vmx.unrestricted,
		.ept = vmx.ept,
		.virtual_nmis = vmx.virtual_nmis,
		.gdtr_limit = (uint32_t)vmcs_read(m, VMCS_GUEST_GDTR_LIMIT),
		.idtr_limit = (uint32_t)vmcs_read(m, VMCS_GUEST_IDTR_LIMIT),
	};

	e.s.cr0 = vmcs_read(m, VMCS_GUEST_CR0);
	e.s.cr3 = vmcs_read(m, VMCS_GUEST_CR3);
	e.s.cr4 = vmcs_read(m, VMCS_GUEST_CR4);
	e.s.efer = vmcs_read(m, VMCS_GUEST_EFER);
	for (unsigned i = 0; vmx.ept && i < 4; i++)
		e.pdpte[i] = vmcs_read(m, VMCS_GUEST_PDPTE0 + 2 * i);
	return entry_check_rules(&e);
}
