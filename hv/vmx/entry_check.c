/* SPDX-License-Identifier: MIT */
#include "hv/vmx/entry_check.h"

#include "hv/exit/exit.h"
#include "hv/vmx/vmx_cpu.h"

const char *entry_check(struct vcpu *v)
{
	struct entry_state e = {
		.debugctl = vmread(VMCS_GUEST_DEBUGCTL),
		.pat = vmread(VMCS_GUEST_PAT),
		.pending_debug = vmread(VMCS_GUEST_PENDING_DEBUG),
		.link = vmread(VMCS_LINK),
		.sysenter_esp = vmread(VMCS_GUEST_SYSENTER_ESP),
		.sysenter_eip = vmread(VMCS_GUEST_SYSENTER_EIP),
		.cr0_fixed0 = vmx.cr0_fixed0,
		.cr0_fixed1 = vmx.cr0_fixed1,
		.cr4_fixed0 = vmx.cr4_fixed0,
		.cr4_fixed1 = vmx.cr4_fixed1,
		.interruptibility = (uint32_t)vmread(VMCS_GUEST_INTERRUPTIBILITY),
		.activity = (uint32_t)vmread(VMCS_GUEST_ACTIVITY),
		.event_info = (uint32_t)vmread(VMCS_ENTRY_INTR_INFO),
		.maxphyaddr = cpuid(0x80000008, 0).eax & 0xff,
		.ia32e = vmread(VMCS_ENTRY) & ENTRY_IA32E, /* exits write it, too (27.2) */
		.unrestricted = vmx.unrestricted,
		.ept = vmx.ept,
		.virtual_nmis = vmx.virtual_nmis,
		.gdtr_limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT),
		.idtr_limit = (uint32_t)vmread(VMCS_GUEST_IDTR_LIMIT),
	};

	vmcs_get_state(v, &e.s);
	e.s.cr0 = vmread(VMCS_GUEST_CR0);
	e.s.cr3 = vmread(VMCS_GUEST_CR3);
	e.s.cr4 = vmread(VMCS_GUEST_CR4);
	e.s.efer = vmread(VMCS_GUEST_EFER);
	for (unsigned i = 0; vmx.ept && i < 4; i++)
		e.pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
	return entry_check_rules(&e);
}
