/* SPDX-License-Identifier: MIT */
#include "hv/vmx/entry_check.h"

#include "hv/vmx/vmcs.h"
#include "hv/vmx/vmx_cpu.h"
#include "mm/host/frames.h"

/* Without EPT the CPU reads the PDPTEs from where CR3 points, which is a table of Lethe's. */
static uint64_t read_pdpte(const struct vmcs *m, const struct entry_state *e, unsigned i)
{
	if (!entry_has_pdptes(e))
		return 0;
	if (e->ept)
		return vmcs_read(m, VMCS_GUEST_PDPTE0 + 2 * i);
	return ((const uint64_t *)hpa_to_virt(hpa(e->s.cr3 & BITS(31, 5))))[i];
}

const char *entry_check(const struct vmcs *m, const struct vcpu_state *s)
{
	struct entry_state e = {
		.s = *s,
		.debugctl = vmcs_read(m, VMCS_GUEST_DEBUGCTL),
		.pat = vmx.pat ? vmcs_read(m, VMCS_GUEST_PAT) : 0,
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
		.unrestricted = m->proc2 & PROC2_UNRESTRICTED,
		.ept = m->proc2 & PROC2_EPT,
		.virtual_nmis = vmx.virtual_nmis,
		.gdtr_limit = (uint32_t)vmcs_read(m, VMCS_GUEST_GDTR_LIMIT),
		.idtr_limit = (uint32_t)vmcs_read(m, VMCS_GUEST_IDTR_LIMIT),
	};

	e.s.cr0 = vmcs_read(m, VMCS_GUEST_CR0);
	e.s.cr3 = vmcs_read(m, VMCS_GUEST_CR3);
	e.s.cr4 = vmcs_read(m, VMCS_GUEST_CR4);
	if (vmx.efer)
		e.s.efer = vmcs_read(m, VMCS_GUEST_EFER);
	else /* what VM entry makes of it */
		e.s.efer = (s->efer & ~(EFER_LME | EFER_LMA)) | (e.ia32e ? EFER_LME | EFER_LMA : 0);
	for (unsigned i = 0; i < 4; i++)
		e.pdpte[i] = read_pdpte(m, &e, i);
	return entry_check_rules(&e);
}
