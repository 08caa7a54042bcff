/* SPDX-License-Identifier: MIT */
#include "hv/vm/guest_cr.h"

#include "hv/vm/guest_cpuid.h"
#include "hv/vm/guest_cr_pure.h"
#include "hv/vm/mmu_ops.h"
#include "hv/vm/vm.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "mm/space/guest_mem.h"

#define CR0_HIDDEN (CR0_NE | CR0_CD | CR0_NW) /* always Lethe's: NE must be 1, the caches stay on */

static uint64_t cr0_mask(void)
{
	return CR0_HIDDEN | (vmx.unrestricted ? 0 : CR0_PE | CR0_PG);
}

uint64_t cr4_allowed(void)
{
	static uint64_t allowed;
	struct cpuid one, seven;

	if (allowed)
		return allowed;
	one = cpuid(1, 0);
	seven = cpuid_or_zero(7, 0);
	allowed = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
		  CR4_OSFXSR | CR4_OSXMMEXCPT | (one.ecx & BIT(26) ? CR4_OSXSAVE : 0) |
		  (one.ecx & BIT(17) ? CR4_PCIDE : 0) | (seven.ebx & BIT(0) ? CR4_FSGSBASE : 0) |
		  (seven.ebx & BIT(7) ? CR4_SMEP : 0) | (seven.ebx & BIT(20) ? CR4_SMAP : 0) |
		  (seven.ecx & BIT(2) ? CR4_UMIP : 0);
	allowed &= vmx.cr4_fixed1;
	return allowed;
}

void cr_init(struct vcpu *v)
{
	vmcs_write(&v->vmcs, VMCS_CR0_MASK, cr0_mask() | ~(uint64_t)UINT32_MAX);
	vmcs_write(&v->vmcs, VMCS_CR4_MASK, cr4_mask(cr4_allowed(), false));
}

uint64_t cr0_read(struct vcpu *v)
{
	uint64_t mask = vmcs_read(&v->vmcs, VMCS_CR0_MASK);

	return (vmcs_read(&v->vmcs, VMCS_GUEST_CR0) & ~mask) | (vmcs_read(&v->vmcs, VMCS_CR0_SHADOW) & mask);
}

uint64_t cr4_read(struct vcpu *v)
{
	uint64_t mask = vmcs_read(&v->vmcs, VMCS_CR4_MASK);

	return (vmcs_read(&v->vmcs, VMCS_GUEST_CR4) & ~mask) | (vmcs_read(&v->vmcs, VMCS_CR4_SHADOW) & mask);
}

uint64_t cr3_read(struct vcpu *v)
{
	return v->hidden_paging ? v->hidden_cr3 : vmcs_read(&v->vmcs, VMCS_GUEST_CR3);
}

uint64_t efer_read(struct vcpu *v)
{
	return vmcs_read(&v->vmcs, VMCS_GUEST_EFER) | (v->hidden_lme ? EFER_LME : 0);
}

static void read_state(struct vcpu *v, struct cr_state *s)
{
	uint64_t tr = vmcs_read(&v->vmcs, VMCS_GUEST_TR_ACCESS);

	*s = (struct cr_state){ .cr0 = cr0_read(v),
		.cr3 = cr3_read(v),
		.cr4 = cr4_read(v),
		.efer = efer_read(v),
		.cr4_allowed = cr4_allowed(),
		.cs_l = vmcs_read(&v->vmcs, VMCS_GUEST_CS_ACCESS) & BIT(13),
		.tss16 = !(tr & BIT(3)) };
}

static void put_cr4(struct vcpu *v, uint64_t cr4)
{
	vmcs_write(&v->vmcs, VMCS_CR4_SHADOW, cr4);
	vmcs_write(&v->vmcs, VMCS_CR4_MASK, cr4_mask(cr4_allowed(), v->hidden_paging));
	vmcs_write(&v->vmcs, VMCS_GUEST_CR4, cr4_real(cr4, v->hidden_paging) | vmx.cr4_fixed0);
}

static void put_hidden_paging(struct vcpu *v, bool on)
{
	if (on == v->hidden_paging)
		return;
	if (on)
		v->hidden_cr3 = vmcs_read(&v->vmcs, VMCS_GUEST_CR3);
	v->hidden_paging = on;
	vmcs_write(&v->vmcs, VMCS_GUEST_CR3, on ? v->vm->identity_map.v : v->hidden_cr3);
	vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, on);
}

/* PAE paging keeps four entries in registers; with EPT they are the VMCS's (SDM Vol. 3A 4.4.1, Vol. 3C 26.3.2.4). */
static int load_pdptes(struct vcpu *v, uint64_t cr3)
{
	uint64_t reserved = BITS(63, guest_maxphyaddr()) | BITS(8, 5) | BITS(2, 1), pdpte[4];

	if (guest_read(v->vm->mmu, gpa(cr3 & BITS(31, 5)), pdpte, sizeof(pdpte)))
		return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		if (pdpte[i] & PTE_P && pdpte[i] & reserved)
			return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		vmcs_write(&v->vmcs, VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return 0;
}

/* While paging is on LME must agree with LMA (SDM Vol. 3C 26.3.1.1), and behind the hidden page directory it is on: an
 * LME that waits for the guest's own paging is kept aside. After put_hidden_paging(). */
static void put_efer(struct vcpu *v, uint64_t efer)
{
	v->hidden_lme = v->hidden_paging && efer & EFER_LME;
	vmcs_write(&v->vmcs, VMCS_GUEST_EFER, v->hidden_lme ? efer & ~EFER_LME : efer);
	v->vmcs.entry =
		efer & EFER_LMA ? v->vmcs.entry | ENTRY_IA32E : v->vmcs.entry & ~(uint32_t)ENTRY_IA32E;
	vmcs_write(&v->vmcs, VMCS_ENTRY, v->vmcs.entry);
}

static void put_cr0(struct vcpu *v, uint64_t cr0)
{
	uint64_t real = (cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE;

	if (!vmx.unrestricted)
		real |= CR0_PE | CR0_PG;
	vmcs_write(&v->vmcs, VMCS_CR0_SHADOW, cr0);
	vmcs_write(&v->vmcs, VMCS_GUEST_CR0, real);
}

int cr0_write(struct vcpu *v, uint64_t new)
{
	struct cr_state s;

	read_state(v, &s);
	if (!cr0_ok(&s, new) || (cr0_loads_pdptes(&s, new) && load_pdptes(v, s.cr3)))
		return -E_INVAL;
	new = (new &(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |
		      CR0_PG)) |
	      CR0_ET;
	if (!(new &CR0_PE) && !vmx.unrestricted) {
		vm_unsupported(v,
			"it leaves protected mode (CR0 = %#lx), and this CPU has no unrestricted guest", new);
		return -E_NOSUP;
	}
	if ((s.cr0 ^ new) & CR0_PG) {
		if (!vmx.unrestricted)
			put_hidden_paging(v, !(new &CR0_PG));
		put_efer(v, new &CR0_PG &&s.efer &EFER_LME ? s.efer | EFER_LMA : s.efer & ~EFER_LMA);
		if (!vmx.unrestricted)
			put_cr4(v, s.cr4);
		/* What was cached under the other way of paging goes, as with the CPU's own MOV to CR0 (4.10.4.1). */
		mmu_cpu_ops.invvpid_single(v->mmu.vpid);
	}
	put_cr0(v, new);
	return 0;
}

int cr3_write(struct vcpu *v, uint64_t new)
{
	struct cr_state s;

	read_state(v, &s);
	if (s.efer & EFER_LMA && s.cr4 & CR4_PCIDE)
		new &= ~CR3_NOFLUSH;
	if (s.efer & EFER_LMA && new &BITS(63, guest_maxphyaddr()))
		return -E_INVAL;
	if (v->hidden_paging) {
		v->hidden_cr3 = new;
		return 0;
	}
	if (s.cr0 & CR0_PG && s.cr4 & CR4_PAE && !(s.efer & EFER_LMA) && load_pdptes(v, new))
		return -E_INVAL;
	vmcs_write(&v->vmcs, VMCS_GUEST_CR3, new);
	return 0;
}

int cr4_write(struct vcpu *v, uint64_t new)
{
	struct cr_state s;

	read_state(v, &s);
	if (!cr4_ok(&s, new) || (cr4_loads_pdptes(&s, new) && load_pdptes(v, s.cr3)))
		return -E_INVAL;
	put_cr4(v, new);
	return 0;
}

int efer_write(struct vcpu *v, uint64_t new)
{
	struct cr_state s;

	read_state(v, &s);
	if (!efer_ok(&s, new))
		return -E_INVAL;
	put_efer(v, (new & ~EFER_LMA) | (s.efer & EFER_LMA)); /* LMA is read-only; writes of it are ignored */
	return 0;
}

void cr_set_all(struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	v->hidden_paging = false;
	vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, false);
	vmcs_write(&v->vmcs, VMCS_GUEST_CR3, cr3);
	if (!vmx.unrestricted)
		put_hidden_paging(v, !(cr0 & CR0_PG));
	put_efer(v, cr0 & CR0_PG && efer & EFER_LME ? efer | EFER_LMA : efer & ~EFER_LMA);
	put_cr4(v, cr4);
	put_cr0(v, cr0 | CR0_ET);
	mmu_cpu_ops.invvpid_single(v->mmu.vpid); /* INIT leaves no translations */
}
